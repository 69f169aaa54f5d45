"""Figures of paths: errors after each inner step, and paths as they were and as they were predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from .curve import Curve
from .style import DARK, REFERENCES, TEXT, TRUE, VALIDATION, grid, plain

COLORS = (VALIDATION, TRUE, *REFERENCES[1:], "#8c8c8c", "#17becf", "#e377c2", "#bcbd22")
FEW = 20
"""Curves of fewer points have a mark at each."""


def errors(panels: Mapping[str, Mapping[str, Curve]], unit: str, over: str, references: Sequence[str] = ()) -> Figure:
    """Errors after each inner step or over the updates (fast-slow Figures 4 and 8).

    The mean over seeds is drawn, and their range shaded.

    Args:
        panels: by title, curves by network.
        unit: of the error.
        over: what the curves' steps are, such as updates.
        references: names of those that learn nothing, which are dashed.
    """
    figure = Figure(figsize=(5 * len(panels), 4.2), layout="constrained")
    panes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, curves) in zip(panes, panels.items(), strict=True):
        fixed = [name for name in curves if name in references]
        learned = [name for name in curves if name not in references]
        for name, curve in curves.items():
            mean, low, high = (of(curve.values, axis=1) for of in (np.mean, np.min, np.max))
            if name in fixed:
                dashes = (0, (2 + 2 * fixed.index(name), 2))
                axes.plot(curve.steps, mean, color=DARK, linewidth=1, linestyle=dashes, label=name)
                continue
            color = COLORS[learned.index(name) % len(COLORS)]  # as in the figure of paths
            marker = "o" if len(mean) < FEW else ""
            axes.plot(curve.steps, mean, color=color, linewidth=1.5, marker=marker, markersize=3, label=name)
            axes.fill_between(curve.steps, low, high, color=color, alpha=0.12, linewidth=0)
        axes.set_title(title, **TEXT)
        axes.set(xlabel=over, ylabel=f"mean square error, {unit}", yscale="log")
        grid(axes)
    handles, names = panes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


@dataclass(frozen=True, eq=False)
class Drawn:
    """One road user. Attributes: `observed`, `truth`, and `predicted` by network: positions in metres or pixels."""

    observed: Float[np.ndarray, "observed 2"]
    truth: Float[np.ndarray, "predicted 2"]
    predicted: Mapping[str, Float[np.ndarray, "predicted 2"]]


def paths(rows: Sequence[Sequence[Drawn]], unit: str, titles: Sequence[str] = ("",)) -> Figure:
    """Observed path, truth and predictions of some road users, a panel each (fast-slow Figures 5 and 9).

    Args:
        rows: whose paths are drawn, row by row, as many in each.
        unit: of positions.
        titles: what each row shows.
    """
    figure = Figure(figsize=(4 * len(rows[0]), 0.6 + 3.8 * len(rows)), layout="constrained")
    panes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for row, users, title in zip(panes, rows, titles, strict=True):
        for axes, user in zip(row, users, strict=True):
            axes.plot(*user.observed.T, color=DARK, linewidth=2, label="observed")
            axes.plot(*user.truth.T, color="black", linewidth=2, linestyle=":", label="truth")
            for number, (name, predicted) in enumerate(user.predicted.items()):
                axes.plot(*predicted.T, color=COLORS[number % len(COLORS)], linewidth=1.3, label=name)
            axes.set(xlabel=unit, aspect="equal", adjustable="datalim")
            plain(axes)
        row[0].set_title(title, **TEXT)
        row[0].set_ylabel(unit)
    handles, names = panes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


__all__ = ["Drawn", "errors", "paths"]
