"""Figures of trainings on streams: pure drawing functions, arrays in and a figure out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .curve import Curve
from .style import SHADES, TEXT, grid, share


def over_training(panels: Mapping[str, Mapping[str, Curve]], columns: int = 2) -> Figure:
    """Several accuracies over the updates, a panel for each network (mann Figures 2 and 3).

    Args:
        panels: by title, curves by name; of each the mean over its seeds is drawn.
        columns: panels side by side.
    """
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * rows + 0.4), layout="constrained")
    panes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, (title, curves) in zip(panes.flat, panels.items(), strict=False):
        for (name, curve), color in zip(curves.items(), SHADES, strict=False):
            some = ~np.isnan(curve.values).all(axis=1)
            if some.any():
                mean = np.nanmean(curve.values[some], axis=1)
                axes.plot(curve.steps[some], mean, color=color, label=name, linewidth=1.6)
        axes.set_title(title, **TEXT)
        grid(axes)
        share(axes)
        axes.set(xlabel="updates", xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    for axes in panes.flat[len(panels) :]:
        axes.set_visible(False)
    handles, names = panes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9, frameon=False)
    return figure


def by_classes(classes: Int[np.ndarray, " sizes"], shares: Mapping[str, Float[np.ndarray, " sizes"]]) -> Figure:
    """Accuracy against the number of classes of an episode (mann Figure 4).

    Args:
        classes: numbers of classes.
        shares: by name, one accuracy for each of them, in [0, 1].
    """
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    for (name, values), color in zip(shares.items(), SHADES, strict=False):
        axes.plot(classes, values, color=color, marker="o", label=name, linewidth=1.6)
    grid(axes)
    share(axes)
    axes.set(xlabel="classes in an episode", xticks=classes)
    figure.legend(loc="outside lower center", ncols=len(shares), fontsize=9, frameon=False)
    return figure


@dataclass(frozen=True, eq=False)
class Belief:
    """What is predicted of a function at each of many places. Attributes: `mean`; `deviation`."""

    mean: Float[np.ndarray, " places"]
    deviation: Float[np.ndarray, " places"]


def regression(
    places: Float[np.ndarray, " places"],
    truth: Float[np.ndarray, " places"],
    seen: tuple[Float[np.ndarray, " seen"], Float[np.ndarray, " seen"]],
    beliefs: Mapping[str, Belief],
) -> Figure:
    """A function, the values of it that were seen, and what each of several predicts (mann Figure 5).

    Args:
        places: inputs, rising.
        truth: the function at them.
        seen: inputs and values that were shown.
        beliefs: by name; two standard deviations either side are shaded.
    """
    figure = Figure(figsize=(4.2 * len(beliefs), 3.4), layout="constrained")
    panels = figure.subplots(1, len(beliefs), sharey=True, squeeze=False)[0]
    for axes, (name, belief) in zip(panels, beliefs.items(), strict=True):
        low, high = belief.mean - 2 * belief.deviation, belief.mean + 2 * belief.deviation
        axes.fill_between(places, low, high, color="#9ecae1", alpha=0.6, linewidth=0, label="two deviations")
        axes.plot(places, truth, color="#8c8c8c", linestyle="--", linewidth=1.2, label="function")
        axes.plot(places, belief.mean, color="#0b62a4", linewidth=1.8, label="mean")
        axes.plot(*seen, "o", color="#c4501b", markersize=4, label="seen")
        axes.set_title(name, **TEXT)
        axes.set(xlabel="x")
        grid(axes)
    panels[0].set_ylabel("f(x)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def likelihoods(panels: Mapping[str, Mapping[str, Float[np.ndarray, " time"]]]) -> Figure:
    """Log likelihood of each value given those before it (mann Figure 6).

    Args:
        panels: by title, by name, nats for each step of a stream as means over episodes.
    """
    figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, lines) in zip(row, panels.items(), strict=True):
        for (name, values), color in zip(lines.items(), ("#444444", "#0b62a4", "#c4501b", "#6a3d9a"), strict=False):
            axes.plot(np.arange(1, len(values) + 1), values, color=color, label=name, linewidth=1.6)
        axes.set_title(title, **TEXT)
        axes.set(xlabel="sample")
        grid(axes)
    row[0].set_ylabel("log likelihood, nats")
    handles, names = row[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure
