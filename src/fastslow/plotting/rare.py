"""Figures of a stream with rare batches: arrays in and a figure out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from .curve import Curve
from .style import DARK, REFERENCES, TEXT, TRUE, VALIDATION, grid, share

SHADES = "viridis"
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


@dataclass(frozen=True, eq=False)
class Attended:
    """Attention over slots.

    Attributes:
        scores: of each example.
        labels: what each example is.
        rare: how many of them, the first ones, are of a rare batch.
        slots: what each slot holds, or its number.
        holds: whether it is the former.
    """

    scores: Float[np.ndarray, "examples slots"]
    labels: Sequence[str]
    rare: int
    slots: Sequence[str]
    holds: bool


def attention(panels: Mapping[str, Attended]) -> Figure:
    """Where the examples of a rare batch and of the frequent one after it read (fast-slow Figure 1a).

    A memory that is overwritten by attention (eq. 7) is written there, too.

    Args:
        panels: by network; a line parts the two batches.
    """
    figure = Figure(figsize=(4.2 * len(panels), 5.4), layout="constrained")
    panes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, seen) in zip(panes, panels.items(), strict=True):
        axes.imshow(seen.scores, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
        axes.axhline(seen.rare - 0.5, color=TRUE, linewidth=2)
        axes.set_xticks(range(len(seen.slots)), seen.slots, fontsize=8)
        axes.set_yticks(range(len(seen.labels)), seen.labels, fontsize=8)
        axes.set_title(title, **TEXT)
        axes.set(xlabel="slot, by the class it holds" if seen.holds else "slot", ylabel="example, by its class")
    shades = ScalarMappable(Normalize(0, 1), SHADES)
    figure.colorbar(shades, ax=panes, label="attention", shrink=0.6)
    return figure


__all__ = ["Attended", "accuracies", "attention", "gradient_norms"]
