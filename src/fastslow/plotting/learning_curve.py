"""How a metric and the loss develop in training."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..metrics import Metric
from .curve import Curve, draw
from .style import DARK, REFERENCES, TRAINING, VALIDATION, grid, share


def learning_curve(
    *,
    monitor: Metric,
    training: Curve,
    validation: Curve,
    loss: Curve,
    chance: float | None,
    references: Mapping[str, float],
) -> Figure:
    """The monitored metric in training and validation, and the loss, over the updates.

    Args:
        monitor: the metric by which the best parameters are chosen.
        training: the metric on training episodes.
        validation: the same on validation episodes; may have no reports.
        loss: of training.
        chance: what guessing gives, in the metric's unit; None where guessing has no meaning.
        references: values of the metric by name, drawn as horizontal lines.
    """
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    for axes in (top, bottom):
        grid(axes)
    draw(top, training, TRAINING, "training")
    draw(top, validation, VALIDATION, "validation, held-out classes", marker="o")
    for (name, value), color in zip(references.items(), REFERENCES * (1 + len(references) // 4), strict=False):
        top.axhline(value, color=color, linestyle="--", linewidth=1.2, label=f"{name}: {_value(monitor, value)}")
    if chance is not None:
        top.axhline(chance, color=DARK, linestyle=":", linewidth=1.2, label=f"chance: {_value(monitor, chance)}")
    if monitor.unit == "share":
        share(top)
    top.set_ylabel(monitor.name if monitor.unit in ("share", "1") else f"{monitor.name}, {monitor.unit}")
    # above the axes: inside, it would hide a curve
    figure.legend(loc="outside upper center", ncols=2 if len(references) < 4 else 3, fontsize=9, frameon=False)
    _draw_loss(bottom, loss)
    return figure


def _value(monitor: Metric, value: float) -> str:
    return f"{100 * value:.1f} %" if monitor.unit == "share" else f"{value:.3g}"


def _draw_loss(axes: Axes, loss: Curve) -> None:
    """On a logarithmic scale where it falls far."""
    draw(axes, loss, TRAINING, "training")
    axes.set(xlabel="updates", ylabel="loss", xlim=(0, None))
    known = loss.values[~np.isnan(loss.values)]
    if known.size and known.min() > 0 and known.max() > 5 * known.min():
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
