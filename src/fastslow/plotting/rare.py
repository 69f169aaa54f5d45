"""Figures of a stream with rare batches: arrays in and a figure out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from .curve import Curve
from .style import DARK, REFERENCES, TEXT, TRUE, VALIDATION, grid, share

LINES = (DARK, "#8c8c8c", "#a6761d", VALIDATION, REFERENCES[2])


def gradient_norms(panels: Mapping[str, Curve], every: int) -> Figure:
    """The size of a gradient at each update, rare batches marked (fast-slow Figure 6).

    Args:
        panels: by title; the first seed is drawn.
        every: updates from one rare batch to the next.
    """
    figure = Figure(figsize=(8, 2.6 * len(panels)), layout="constrained")
    panes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (title, curve) in zip(panes, panels.items(), strict=True):
        norms, rare = curve.values[:, 0], curve.steps % every == 0
        axes.plot(curve.steps[~rare], norms[~rare], color=VALIDATION, linewidth=0.5, label="frequent batch")
        axes.plot(curve.steps[rare], norms[rare], "o", color=TRUE, markersize=4, label="rare batch")
        axes.set_title(title, **TEXT)
        axes.set(ylabel="mean norm", ylim=(0, None), xlim=(0, None))
        grid(axes)
    panes[-1].set_xlabel("updates")
    handles, names = panes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def accuracies(panels: Mapping[str, Mapping[str, Curve]], every: int) -> Figure:
    """Accuracy just before each rare batch and right after it (fast-slow Figure 7).

    Args:
        panels: by group of classes, curves by network; the mean over seeds, and their range shaded.
        every: updates from one rare batch to the next, which are marked.
    """
    figure = Figure(figsize=(8, 3.2 * len(panels)), layout="constrained")
    panes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (group, curves) in zip(panes, panels.items(), strict=True):
        for (name, curve), color in zip(curves.items(), LINES, strict=False):
            axes.plot(curve.steps, np.mean(curve.values, axis=1), color=color, linewidth=1.4, label=name)
            low, high = curve.values.min(axis=1), curve.values.max(axis=1)
            axes.fill_between(curve.steps, low, high, color=color, alpha=0.15, linewidth=0)
        last = max(int(curve.steps[-1]) for curve in curves.values())
        for step in range(every, last + 1, every):
            axes.axvline(step, color=TRUE, linewidth=0.5, alpha=0.4)
        axes.set_title(f"{group} digits", **TEXT)
        axes.set(ylabel="accuracy", xlim=(0, None))
        grid(axes)
        share(axes)
    panes[-1].set_xlabel("updates")
    handles, names = panes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


__all__ = ["accuracies", "gradient_norms"]
