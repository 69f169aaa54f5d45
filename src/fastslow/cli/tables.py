"""Results as tables for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from ..results.row import ResultRow


def results_table(rows: Sequence[ResultRow]) -> Table:
    """Rows side by side: the figure with its 95 % interval, chance, and the paper's figure where it has one.

    Args:
        rows: at least one.
    """
    table = Table(title=rows[0].experiment, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for title in ("measured", "95 % interval", "chance", "episodes", "seeds"):
        table.add_column(title, justify="right", no_wrap=True)
    several = len({row.metric for row in rows}) > 1
    compared = any(row.paper_value is not None for row in rows)
    for title in ("paper", "difference") if compared else ():
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        low, high = row.ci95
        name = row.row + (f", {row.metric}" if several else "") + (" (transductive)" if row.transductive else "")
        cells = [name, _figure(row, row.value), f"{_figure(row, low)} … {_figure(row, high)}", _figure(row, row.chance)]
        cells += [f"{row.episodes:,}", str(len(row.seeds))]
        table.add_row(*cells, *((_figure(row, row.paper_value), _difference(row)) if compared else ()))
    return table


def _figure(row: ResultRow, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if row.metric.startswith("accuracy") else f"{value:.4g}"


def _difference(row: ResultRow) -> str:
    if row.paper_value is None:
        return "–"
    difference = row.value - row.paper_value
    return f"{100 * difference:+.1f}" if row.metric.startswith("accuracy") else f"{difference:+.3g}"
