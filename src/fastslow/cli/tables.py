"""Results as tables for the terminal."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from ..metrics import label_of
from ..results.row import ResultRow
from ..results.tables import NONE, fact_text


def results_table(rows: Sequence[ResultRow], *, title: str | None = None, whole: bool = False) -> Table:
    """Rows side by side: the figure with its 95 % interval, chance, and the paper's figure where it has one.

    Args:
        rows: at least one.
        title: above the table; None for the name of the experiment.
        whole: whether the metric and the facts that all rows share are stated below the table.
    """
    table = Table(title=escape(title or rows[0].experiment), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    metrics = [_metric(row) for row in rows]
    shared = {f: v for f, v in rows[0].facts.items() if all(f in row.facts and row.facts[f] == v for row in rows)}
    facts = [_facts({f: v for f, v in row.facts.items() if f not in shared}) for row in rows]
    columns: dict[str, list[str]] = {"": [row.row for row in rows]}
    if len(set(metrics)) > 1:
        columns["metric"] = metrics
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
    if any(facts):
        columns["facts"] = facts
    if whole:
        stated = [f"metric {metrics[0]}"] if len(set(metrics)) == 1 else []
        stated += [_facts(shared)] if shared else []
        table.caption = escape(f"All rows: {', '.join(stated)}") if stated else None
        table.caption_justify = "left"
    for name in columns:
        text = name in ("", "metric", "facts")
        table.add_column(name, justify="left" if text else "right", no_wrap=not text)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, cells))
    return table


def _metric(row: ResultRow) -> str:
    """What is measured and where on its axis, with the unit that a percent sign does not show."""
    label = label_of(row.metric, row.axis)
    return label if row.unit in ("share", "1") else f"{label} ({row.unit})"


def _facts(facts: Mapping[str, str | int | float | bool | None]) -> str:
    return ", ".join(f"{name} {fact_text(value)}" for name, value in facts.items())


def _figure(row: ResultRow, value: float | None) -> str:
    if value is None:
        return NONE
    return f"{100 * value:.1f} %" if row.unit == "share" else f"{value:.4g}"


def _difference(row: ResultRow) -> str:
    if row.paper_value is None:
        return NONE
    difference = row.value - row.paper_value
    return f"{100 * difference:+.1f}" if row.unit == "share" else f"{difference:+.3g}"
