"""Synthetic gradients beside true ones over the updates: arrays in and a figure out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .curve import Curve, draw
from .style import DARK, REFERENCES, TEXT, VALIDATION, grid

LINES = (VALIDATION, REFERENCES[0], REFERENCES[2], REFERENCES[1], REFERENCES[3])

Met = Mapping[str, tuple[Curve, Curve, Curve]]
"""By controller: the norm of the true gradient, that of the synthetic one, and the cosine between them."""


def over_training(rows: Mapping[str, Met]) -> Figure:
    """How large synthetic gradients are to true ones, and the cosine between them, at each controller.

    Args:
        rows: by training; the mean over seeds, each seed as a thin line.
    """
    controllers = list(next(iter(rows.values())))
    figure = Figure(figsize=(3.4 * len(controllers), 5.4), layout="constrained")
    panes = figure.subplots(2, len(controllers), squeeze=False, sharex=True, sharey="row")
    for column, controller in enumerate(controllers):
        above, below = panes[:, column]
        _prepared(above, below, f"{controller} controller")
        met = {name: each[controller] for name, each in rows.items()}
        if not any(np.nan_to_num(true.values).any() for true, _, _ in met.values()):
            for axes in (above, below):
                _note(axes)
        for (name, (true, synthetic, agreement)), color in zip(met.items(), LINES[: len(met)], strict=True):
            there = np.nan_to_num(true.values) > 0
            ratio = np.divide(synthetic.values, true.values, out=np.full_like(true.values, np.nan), where=there)
            draw(above, Curve(true.steps, ratio), color, name, marker="o")
            draw(below, Curve(true.steps, np.where(there, agreement.values, np.nan)), color, name, marker="o")
    panes[0, 0].set_ylabel("norm of the synthetic gradient\nover that of the true one", **TEXT)
    panes[1, 0].set_ylabel("cosine between them", **TEXT)
    handles, names = panes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(rows), fontsize=9, frameon=False)
    return figure


def _prepared(above: Axes, below: Axes, title: str) -> None:
    above.set_title(title, **TEXT)
    above.set_yscale("log")
    below.set(ylim=(-1.02, 1.02))
    below.set_xlabel("updates", **TEXT)
    for axes, level in ((above, 1), (below, 0)):
        grid(axes)
        axes.axhline(level, color=DARK, linewidth=0.8)


def _note(axes: Axes) -> None:
    axes.text(0.5, 0.7, "no true gradient:\nnothing depends on it", transform=axes.transAxes, ha="center", **TEXT)


__all__ = ["Met", "over_training"]
