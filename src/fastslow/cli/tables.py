"""Results as tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from ..metrics import label_of
from ..results.row import ResultRow
from ..results.tables import NONE, fact_text

LEAST_NAME = 14
"""Columns that the name of a row has at least."""


def results_table(rows: Sequence[ResultRow], *, title: str | None = None) -> Table:
    """Rows below each other: the figure with its 95 % interval, chance, and the paper's figure where it has one.

    What varies between rows is a column; what does not, the metric and the facts, is stated below the table.

    Args:
        rows: at least one.
        title: above the table; None for the name of the experiment.
    """
    table = Table(title=escape(title or rows[0].experiment), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    heads, labels = _labels(rows)
    facts = {name: {row.facts[name] for row in rows if name in row.facts} for row in rows for name in row.facts}
    varied = [name for name, values in facts.items() if len(values) > 1]
    first = [number == 0 or _what(rows[number - 1]) != _what(row) for number, row in enumerate(rows)]
    columns: dict[str, list[str]] = {
        "": [row.row if is_first else "" for row, is_first in zip(rows, first, strict=True)]
    }
    if len(set(labels)) > 1:
        columns[heads] = labels
    columns |= {
        "measured": [_figure(row, row.value) for row in rows],
        "95 % interval": [" … ".join(_figure(row, end) for end in row.ci95) for row in rows],
        "chance": [_figure(row, row.chance) for row in rows],
        "episodes": [f"{row.episodes:,}" for row in rows],
        "seeds": [str(len(row.seeds)) for row in rows],
    }
    if any(row.paper_value is not None for row in rows):
        columns["paper"] = [_figure(row, row.paper_value) for row in rows]
        columns["difference"] = [_difference(row) for row in rows]
    if varied:
        columns[varied[0] if len(varied) == 1 else "facts"] = [
            _stated(row, varied) if is_first else "" for row, is_first in zip(rows, first, strict=True)
        ]
    table.caption, table.caption_justify = escape(_caption(rows, facts, labels)) or None, "left"
    for name in columns:
        text = name in ("", heads, "facts")
        width = LEAST_NAME if name == "" else None
        table.add_column(name, justify="left" if text else "right", no_wrap=not text or name == heads, min_width=width)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, cells))
    return table


def _labels(rows: Sequence[ResultRow]) -> tuple[str, list[str]]:
    """What is measured in each row: title of the column and its cells, with the unit that a percent sign leaves out."""
    metrics = {_with_unit(row.metric, row.unit) for row in rows}
    if len(metrics) > 1:
        return "metric", [_with_unit(label_of(row.metric, row.axis), row.unit) for row in rows]
    (metric,) = metrics
    return metric, [label_of("", row.axis).removeprefix(", ") or "all" for row in rows]


def _with_unit(label: str, unit: str) -> str:
    return label if unit in ("share", "1") else f"{label} ({unit})"


def _what(row: ResultRow) -> object:
    return row.row, row.facts


def _stated(row: ResultRow, names: Sequence[str]) -> str:
    """Some facts of a row; without its name where it is only one."""
    found = {name: fact_text(row.facts[name]) for name in names if name in row.facts}
    return ", ".join(found.values() if len(names) == 1 else [f"{name} {text}" for name, text in found.items()])


def _caption(rows: Sequence[ResultRow], facts: Mapping[str, set[Any]], labels: Sequence[str]) -> str:
    """What all rows share, and below it what the rows share that have it."""
    shared = (
        [] if len(set(labels)) > 1 else [f"metric {_with_unit(label_of(rows[0].metric, rows[0].axis), rows[0].unit)}"]
    )
    partly = []
    for name, values in facts.items():
        if len(values) == 1:
            has_all = all(name in row.facts for row in rows)
            (shared if has_all else partly).append(f"{name} {fact_text(*values)}")
    lines = {"All rows": shared, "Where it applies": partly}
    return "\n".join(f"{title}: {', '.join(stated)}" for title, stated in lines.items() if stated)


def _figure(row: ResultRow, value: float | None) -> str:
    if value is None:
        return NONE
    return f"{100 * value:.1f} %" if row.unit == "share" else f"{value:.4g}"


def _difference(row: ResultRow) -> str:
    if row.paper_value is None:
        return NONE
    difference = row.value - row.paper_value
    return f"{100 * difference:+.1f}" if row.unit == "share" else f"{difference:+.3g}"
