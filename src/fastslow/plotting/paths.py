"""Figures of paths: errors after each inner step, and paths as they were and as they were predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from .curve import Curve
from .style import DARK, REFERENCES, TEXT, TRUE, VALIDATION, grid, plain

COLORS = (VALIDATION, TRUE, *REFERENCES[1:], "#8c8c8c", "#17becf", "#e377c2", "#bcbd22")
Curves = Mapping[str, Float[np.ndarray, "seeds steps"]]


def errors(panels: Mapping[str, Curves], unit: str, references: Sequence[str]) -> Figure:
    """Errors after each inner step: the mean over seeds, and their range shaded (fast-slow Figure 4).

    Args:
        panels: by title, curves by network.
        unit: of the error.
        references: names of those that learn nothing, which are dashed.
    """
    figure = Figure(figsize=(5 * len(panels), 4.2), layout="constrained")
    panes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, curves) in zip(panes, panels.items(), strict=True):
        for number, (name, values) in enumerate(curves.items()):
            color, steps = COLORS[number % len(COLORS)], np.arange(values.shape[1])
            if name in references:
                axes.plot(
                    steps, values.mean(0), color=DARK, linewidth=1, linestyle=(0, (2 + 2 * number, 2)), label=name
                )
                continue
            axes.plot(steps, values.mean(0), color=color, linewidth=1.5, marker="o", markersize=3, label=name)
            axes.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.12, linewidth=0)
        axes.set_title(title, **TEXT)
        axes.set(xlabel="inner steps", ylabel=f"mean square error, {unit}", yscale="log")
        grid(axes)
    handles, names = panes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def over_updates(panels: Mapping[str, Mapping[str, Curve]], unit: str) -> Figure:
    """Errors over the updates: the mean over seeds, and their range shaded (fast-slow Figure 8).

    Args:
        panels: by title, curves by network.
        unit: of the error.
    """
    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    panes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, curves) in zip(panes, panels.items(), strict=True):
        for (name, curve), color in zip(curves.items(), COLORS, strict=False):
            axes.plot(curve.steps, curve.values.mean(axis=1), color=color, linewidth=1.5, label=name)
            low, high = curve.values.min(axis=1), curve.values.max(axis=1)
            axes.fill_between(curve.steps, low, high, color=color, alpha=0.12, linewidth=0)
        axes.set_title(title, **TEXT)
        axes.set(xlabel="updates", ylabel=f"mean square error, {unit}", yscale="log")
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


def paths(users: Sequence[Drawn], unit: str) -> Figure:
    """Observed path, truth and predictions of some road users, a panel each (fast-slow Figure 5).

    Args:
        users: whose paths are drawn.
        unit: of positions.
    """
    figure = Figure(figsize=(4 * len(users), 4.4), layout="constrained")
    panes = figure.subplots(1, len(users), squeeze=False)[0]
    for axes, user in zip(panes, users, strict=True):
        axes.plot(*user.observed.T, color=DARK, linewidth=2, label="observed")
        axes.plot(*user.truth.T, color="black", linewidth=2, linestyle=":", label="truth")
        for number, (name, predicted) in enumerate(user.predicted.items()):
            axes.plot(*predicted.T, color=COLORS[number % len(COLORS)], linewidth=1.3, label=name)
        axes.set(xlabel=unit, aspect="equal", adjustable="datalim")
        plain(axes)
    panes[0].set_ylabel(unit)
    handles, names = panes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


__all__ = ["Drawn", "errors", "over_updates", "paths"]
