"""A Markdown table from result rows, and below it what all of its rows share."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..metrics import Label, label_of
from .row import ResultRow

NONE = "–"


@dataclass(frozen=True)
class Head:
    """How the labels of an axis head their columns. Attributes: `of` a label; `caption`, what the heads mean."""

    of: Callable[[Label], str]
    caption: str


def ordinal(number: Label) -> str:
    """1st, 2nd, 3rd, 4th, … 11th, … 21st."""
    if not isinstance(number, int):
        return number
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


HEADS: Mapping[str, Head] = {
    "instance": Head(ordinal, "by instance: the 1st instance of a class is its first example in an episode"),
    "seen": Head("after {}".format, "by how many values were seen before"),
    "setting": Head(str, "by setting"),
    "steps": Head(lambda steps: f"after {steps} step{'' if steps == 1 else 's'}", "by how many steps were taken"),
    "part": Head(str, "by part of the last examples"),
}
"""Axes whose labels read better in other words than `NAME LABEL`."""


def table(rows: Sequence[ResultRow]) -> str:
    """A Markdown table, and below it what its columns are and what all of its rows share.

    Rows of one name that differ in their metric, or in where they stand on its axis, share a line.

    Args:
        rows: at least one row, in the order to be shown. Shares are shown in percent.
    """
    lines = _lines(rows)
    kinds = list(dict.fromkeys(_kind(row) for row in rows))
    columns = {"": [_escaped(next(iter(line.values())).row) for line in lines]}
    varied, shared, partly = _settings(lines)
    columns |= varied
    columns |= _figures(lines, kinds, rows)
    table_lines = [
        " | ".join(line) for line in zip(*([title, *cells] for title, cells in columns.items()), strict=True)
    ]
    table_lines.insert(1, " | ".join(["---"] * len(columns)))
    notes = [_caption(kinds, rows)]
    notes += [f"All rows: {_stated(shared)}"] if shared else []
    notes += [f"Where they apply: {_stated(partly)}"] if partly else []
    return "\n".join(f"| {line} |" for line in table_lines) + "\n\n" + "\n".join(notes)


_Kind = tuple[str, str, tuple[tuple[str, Label], ...]]
"""Metric, unit and place on the axis: what makes a column."""
_Line = dict[_Kind, ResultRow]


def _kind(row: ResultRow) -> _Kind:
    return row.metric, row.unit, tuple(row.axis.items())


def _lines(rows: Sequence[ResultRow]) -> list[_Line]:
    """One line for a name, and another where the same was measured again (in another file)."""
    lines: dict[tuple[str, int], _Line] = {}
    again: dict[tuple[str, _Kind], int] = {}
    for row in rows:
        name, kind = row.row, _kind(row)
        number = again[name, kind] = again.get((name, kind), -1) + 1
        lines.setdefault((name, number), {})[kind] = row
    return list(lines.values())


def _settings(lines: Sequence[_Line]) -> tuple[dict[str, list[str]], dict[str, str], dict[str, str]]:
    """What lines state beside their figures: columns where it varies, what all share, and what some do not have."""
    names = dict.fromkeys(name for line in lines for row in line.values() for name in settings(row))
    varied, shared, partly = {}, {}, {}
    for name in names:
        cells = []
        for line in lines:
            stated = dict.fromkeys(settings(row).get(name, NONE) for row in line.values())
            cells.append(", ".join(cell for cell in stated if cell != NONE) or NONE)
        values = [value for value in dict.fromkeys(cells) if value != NONE]
        if len(values) > 1:
            varied[name] = cells
        elif values:
            (partly if NONE in cells else shared)[name] = values[0]
    return varied, shared, partly


def settings(row: ResultRow) -> dict[str, str]:
    """What a row states beside its figure, as text by name: its facts, chance, episodes, seeds and data."""
    return {
        **{_escaped(name): fact_text(value) for name, value in row.facts.items()},
        "chance": NONE if row.chance is None else digits(row, row.chance),
        "episodes": f"{row.episodes:,}",
        "seeds": str(len(row.seeds)),
        "data": _escaped(f"{row.data['name']}, {row.data['split']}"),
    }


def fact_text(value: str | int | float | bool | None) -> str:
    """A fact as a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else _escaped(value) if isinstance(value, str) else f"{value:g}"


def _figures(lines: Sequence[_Line], kinds: Sequence[_Kind], rows: Sequence[ResultRow]) -> dict[str, list[str]]:
    """The columns of the figures: one for each kind, or the figure, the paper's and their difference."""
    if len(kinds) > 1:
        heads = _heads(kinds)
        return {heads[kind]: [_beside_paper(line.get(kind)) for line in lines] for kind in kinds}
    columns = {"measured, 95 % interval": [measured(row) for row in rows]}
    if any(row.paper_value is not None for row in rows):
        columns |= {"paper": [paper(row) for row in rows], "difference": [difference(row) for row in rows]}
    return columns


def _heads(kinds: Sequence[_Kind]) -> dict[_Kind, str]:
    """Titles of several columns, without the metric where it is the same in all."""
    one_metric = len({(metric, unit) for metric, unit, _ in kinds}) == 1
    heads = {}
    for kind in kinds:
        metric, unit, axis = kind
        labels = [HEADS[name].of(label) if name in HEADS else f"{name} {label}" for name, label in axis]
        title = ", ".join(labels) or "all"
        heads[kind] = _escaped(title if one_metric else ", ".join([_with_unit(metric, unit), *labels]))
    return heads


def _caption(kinds: Sequence[_Kind], rows: Sequence[ResultRow]) -> str:
    """What the figures are."""
    metrics = list(dict.fromkeys(_with_unit(metric, unit) for metric, unit, _ in kinds))
    if len(kinds) == 1:
        return f"Metric: {_escaped(_with_unit(label_of(rows[0].metric, rows[0].axis), rows[0].unit))}."
    axes = dict.fromkeys(name for *_, axis in kinds for name, _ in axis)
    parts = [HEADS[name].caption if name in HEADS else f"by {name}" for name in axes]
    text = ", ".join([_escaped(" and ".join(metrics)), *parts])
    whole = "; all: over whole episodes" if axes and len(metrics) == 1 and any(not axis for *_, axis in kinds) else ""
    beside = (
        "; in brackets the paper's value and the difference" if any(row.paper_value is not None for row in rows) else ""
    )
    return f"Metric: {text}{whole}{beside}."


def _stated(named: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in named.items()) + "."


def _with_unit(metric: str, unit: str) -> str:
    shown = {"share": "%", "1": ""}.get(unit, unit)
    return f"{metric}, {shown}" if shown else metric


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


def digits(row: ResultRow, value: float) -> str:
    """A share in percent with one decimal; all else with as many decimals as give the row's value three digits."""
    if row.unit == "share":
        return f"{100 * value:.1f}"
    magnitude = math.floor(math.log10(abs(row.value))) if row.value else 0
    return f"{value:.{max(0, 2 - magnitude)}f}"


def measured(row: ResultRow) -> str:
    """The value with the longer side of its 95 % interval."""
    low, high = row.ci95
    return f"{digits(row, row.value)} ± {digits(row, max(row.value - low, high - row.value))}"


def paper(row: ResultRow) -> str:
    """The paper's value."""
    return NONE if row.paper_value is None else digits(row, row.paper_value)


def difference(row: ResultRow) -> str:
    """The value minus the paper's."""
    if row.paper_value is None:
        return NONE
    text = digits(row, row.value - row.paper_value)
    return f"+{text}" if not text.startswith("-") else f"−{text[1:]}"


def _beside_paper(row: ResultRow | None) -> str:
    """A figure of a table with several kinds, with the paper's and the difference in brackets."""
    if row is None:
        return NONE
    beside = f" (paper {paper(row)}, {difference(row)})" if row.paper_value is not None else ""
    return measured(row) + beside


__all__ = ["HEADS", "NONE", "difference", "digits", "fact_text", "measured", "ordinal", "paper", "settings", "table"]
