"""Figures of a run: pure drawing functions, arrays in and a figure out. They know no learner and no folder."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..training.files import writing

TRAINING, VALIDATION, TRUE, SYNTHETIC = "#8c8c8c", "#0b62a4", "#c4501b", "#0b62a4"
"""Colours that stay apart for colour-blind readers and in print."""
REFERENCES = ("#c4501b", "#6a3d9a", "#2b7a3d", "#a6761d")
DPI = 130
_STYLE = {"color": "#444444", "fontsize": 9}


@dataclass(frozen=True, eq=False)
class Curve:
    """One figure over the updates.

    Attributes:
        steps: updates made, rising.
        values: one column a seed; NaN where a seed has no figure.
    """

    steps: Int[np.ndarray, " reports"]
    values: Float[np.ndarray, "reports seeds"]


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all; its folder is made where it is missing.

    Raises:
        UserError: where it cannot be written, or the disk is full.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(drawn.getvalue())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def learning_curve(
    *,
    accuracy: Curve,
    validation: Curve,
    loss: Curve,
    chance: float | None,
    references: Mapping[str, float],
    judged_by: str = "accuracy",
) -> Figure:
    """Accuracy in training and validation, and the loss, over the updates.

    Args:
        accuracy: training accuracy, in [0, 1], or whatever else the learner is judged by.
        validation: the same in validation; may have no reports.
        loss: of training.
        chance: what guessing gives, in [0, 1]; None where guessing has no meaning.
        references: horizontal lines by name, in [0, 1].
        judged_by: name of the first figure.
    """
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    _lines(top, accuracy, TRAINING, "training")
    _lines(top, validation, VALIDATION, "validation, held-out classes", marker="o")
    for (name, value), color in zip(references.items(), REFERENCES * (1 + len(references) // 4), strict=False):
        top.axhline(value, color=color, linestyle="--", linewidth=1.2, label=f"{name}: {100 * value:.1f} %")
    if chance is not None:
        top.axhline(chance, color="#444444", linestyle=":", linewidth=1.2, label=f"chance: {100 * chance:.1f} %")
    top.set(ylabel=judged_by.replace("_", " "), ylim=(0, 1.02) if judged_by == "accuracy" else None)
    if judged_by == "accuracy":
        top.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    # above the axes: inside, it would hide a curve
    figure.legend(loc="outside upper center", ncols=2 if len(references) < 4 else 3, fontsize=9, frameon=False)
    _lines(bottom, loss, TRAINING, "training")
    bottom.set(xlabel="updates", ylabel="loss", xlim=(0, None))
    known = loss.values[~np.isnan(loss.values)]
    if known.size and known.min() > 0 and known.max() > 5 * known.min():
        bottom.set_yscale("log")
    else:
        bottom.ticklabel_format(axis="y", useOffset=False)
    bottom.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    for axes in (top, bottom):
        plain(axes)
        axes.grid(color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def _lines(axes: Axes, curve: Curve, color: str, name: str, marker: str = "") -> None:
    """The mean over seeds, and each seed as a thin line where there are several."""
    some = ~np.isnan(curve.values).all(axis=1)
    steps, values = curve.steps[some], curve.values[some]
    if not steps.size:
        return
    if values.shape[1] > 1:
        axes.plot(steps, values, color=color, linewidth=0.8, alpha=0.35)
    axes.plot(steps, np.nanmean(values, axis=1), color=color, linewidth=2, marker=marker, markersize=4, label=name)


def confusion(
    probabilities: Float[np.ndarray, "query way"],
    labels: Int[np.ndarray, " query"],
    queries: Float[np.ndarray, "query height columns"],
    classes: Float[np.ndarray, "way height columns"],
) -> Figure:
    """What each query of an episode was taken for: a row a query, a column a class, both with their drawings.

    Args:
        probabilities: of the classes, each row summing to one.
        labels: true class of each query.
        queries: the queries' images, ink = 1; rows are sorted by true class.
        classes: a support drawing of each class.
    """
    order = np.argsort(labels, kind="stable")
    rows, way = probabilities.shape
    side = 0.42 if way <= 10 else 0.3
    figure = Figure(figsize=(max(side * (way + 1) + 1.9, 5.2), side * (rows + 1) + 1.5), layout="compressed")
    grid = figure.subplots(2, 2, width_ratios=(1, way), height_ratios=(1, rows))
    grid[0, 0].axis("off")
    right = int(np.sum(np.argmax(probabilities, axis=1) == labels))
    figure.suptitle(f"One test episode: {right} of {rows} queries named rightly", fontsize=11)
    _strip(grid[0, 1], np.concatenate(list(classes), axis=1), way, 1, aspect="equal")
    grid[0, 1].set_title("classes, by their support drawing", **_STYLE)
    _strip(grid[1, 0], np.concatenate(list(queries[order]), axis=0), 1, rows, aspect="equal")
    grid[1, 0].set_ylabel("queries, sorted by true class", **_STYLE)
    axes = grid[1, 1]
    heat = axes.imshow(probabilities[order], cmap="Blues", vmin=0, vmax=1)
    for row, query in enumerate(order):
        found, true = int(np.argmax(probabilities[query])), int(labels[query])
        axes.add_patch(_frame(true, row, "#2b7a3d" if found == true else "#222222"))
        if found != true:
            axes.add_patch(_frame(found, row, TRUE))
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(heat, ax=grid[:, 1], shrink=0.8, pad=0.02)
    bar.set_label("probability given to the class", **_STYLE)
    handles = [
        Rectangle((0, 0), 1, 1, fill=False, edgecolor=color, linewidth=2) for color in ("#2b7a3d", "#222222", TRUE)
    ]
    figure.legend(
        handles, ["right", "true class, missed", "taken for"], loc="outside lower center", ncols=3, fontsize=9
    )
    return figure


def _frame(column: int, row: int, color: str) -> Rectangle:
    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=color, linewidth=1.8)


def _strip(
    axes: Axes,
    images: Float[np.ndarray, "height columns"],
    across: int,
    down: int,
    aspect: Literal["equal", "auto"] = "auto",
) -> None:
    """Drawings side by side, one to each unit of an axis, as a heat map beside it has its cells."""
    extent = (-0.5, across - 0.5, down - 0.5, -0.5)
    axes.imshow(images, cmap="Greys", vmin=0, vmax=1, extent=extent, aspect=aspect, interpolation="nearest")
    for place in range(1, across):
        axes.axvline(place - 0.5, color="#cccccc", linewidth=0.8)
    for place in range(1, down):
        axes.axhline(place - 0.5, color="#cccccc", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])


def memory(
    contents: Float[np.ndarray, "moments slots width"],
    moments: Sequence[str],
    scores: Float[np.ndarray, "steps slots"],
    images: Float[np.ndarray, "steps height columns"],
    support: int,
    note: str,
) -> Figure:
    """What a memory held at some moments of an episode, and which slots each step attended to.

    Args:
        contents: the slots at each moment.
        moments: what each moment is called.
        scores: attention over the slots, `z_t`, support set first, then queries.
        images: what was shown at each step.
        support: number of steps that belong to the support set.
        note: how the episode was walked.
    """
    slots, steps = scores.shape[1], scores.shape[0]
    width = max(9.0, 0.34 * steps + 2)
    figure = Figure(figsize=(width, 3.4 + 0.16 * slots), layout="constrained")
    figure.suptitle(note, fontsize=11)
    upper, lower = cast(np.ndarray, figure.subfigures(2, 1, height_ratios=(1.1, 1.25)))
    _contents(upper, contents, moments)
    strip, axes = lower.subplots(2, 1, sharex=True, height_ratios=(1, max(2.2, 0.35 * slots)))
    # paper at both sides of a drawing keeps it from being stretched where there are few
    margin = max(0, round(images.shape[2] * ((width - 1) / steps / 0.5 - 1) / 2))
    _strip(strip, np.concatenate(list(np.pad(images, ((0, 0), (0, 0), (margin, margin)))), axis=1), steps, 1)
    # each column on its own scale would hide how sharply a slot is chosen, so all share one, from zero
    heat = axes.imshow(scores.T, cmap="viridis", vmin=0, aspect="auto", interpolation="nearest")
    axes.set_ylabel("slot", **_STYLE)
    axes.set_xlabel(f"support set ({support}), then queries ({steps - support})", **_STYLE)
    axes.set_xticks([])
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    for either, color in ((strip, "#222222"), (axes, "white")):
        either.axvline(support - 0.5, color=color, linewidth=2)
    lower.colorbar(heat, ax=[strip, axes], pad=0.01).set_label("slot score $z_t$", **_STYLE)
    return figure


def _contents(figure: SubFigure, contents: Float[np.ndarray, "moments slots width"], moments: Sequence[str]) -> None:
    """A memory at some moments, side by side and on one scale."""
    panels = figure.subplots(1, len(contents), sharey=True, squeeze=False)[0]
    bound = float(np.max(np.abs(contents))) or 1.0
    heats = []
    for axes, content, name in zip(panels, contents, moments, strict=True):
        heats.append(
            axes.imshow(content, cmap="RdBu_r", vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest")
        )
        axes.set_title(name, **_STYLE)
        axes.set_xlabel("width k", **_STYLE)
        axes.set_xticks([])
    panels[0].set_ylabel("slot", **_STYLE)
    panels[0].yaxis.set_major_locator(MaxNLocator(6, integer=True))
    figure.colorbar(heats[0], ax=list(panels), pad=0.01).set_label("memory content", **_STYLE)


def gradients(
    true: Mapping[str, Float[np.ndarray, "fast items"]],
    synthetic: Mapping[str, Float[np.ndarray, "fast items"]],
    agreement: Mapping[str, Float[np.ndarray, "fast items"]],
    support: int | None = None,
) -> Figure:
    """Norms of true and synthetic gradients at the output of each controller, over fast steps or over an episode.

    Args:
        true: by controller, `‖δL/δc_t‖` for each fast step and item.
        synthetic: by controller, `‖SG_C(c_t, y_t)‖`; empty where there are no predictors.
        agreement: by controller, the cosine between the two; empty where there are no predictors.
        support: for an episode that is one walk, the number of its steps that belong to the support set.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, len(true), sharey=True)
    for axes, name in zip(panels, true, strict=True):
        for norms, color in ((true[name], TRUE), (synthetic.get(name), SYNTHETIC)):
            if norms is not None:
                _norms(axes, norms, color, support is not None)
        if support is not None:
            axes.axvline(support + 0.5, color="#bbbbbb", linewidth=1)
        axes.set_title(f"{name} controller{_told(true[name], agreement.get(name))}", **_STYLE)
        axes.set_xlabel("fast step" if support is None else "step: support set, then queries", **_STYLE)
        axes.set_xlim(0.5, true[name].shape[0 if support is None else 1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain(axes)
        axes.grid(color="#e6e6e6", linewidth=0.8)
    figures = np.concatenate([norms.ravel() for norms in (*true.values(), *synthetic.values())])
    if (figures > 0).any():
        panels[0].set_yscale("log", nonpositive="mask")
    panels[0].set_ylabel("norm of the gradient", **_STYLE)
    drawn = [("true, backpropagation", TRUE)] + ([("synthetic", SYNTHETIC)] if synthetic else [])
    handles = [Line2D([], [], color=color, marker="o", linewidth=2) for _, color in drawn]
    figure.legend(handles, [name for name, _ in drawn], loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _told(true: Float[np.ndarray, "fast items"], agreement: Float[np.ndarray, "fast items"] | None) -> str:
    """What the curves of one controller do not show."""
    if not true.any():
        return "\nno true gradient: the loss does not depend on it"
    return "" if agreement is None else f"\ncosine between them {np.mean(agreement):+.2f}"


def _norms(axes: Axes, norms: Float[np.ndarray, "fast items"], color: str, over_items: bool) -> None:
    """Over the items of one walk, or over fast steps: each item as a point, their mean as a line."""
    if over_items:
        axes.plot(np.arange(1, norms.shape[1] + 1), norms[0], color=color, marker="o", markersize=3)
        return
    steps = np.arange(1, norms.shape[0] + 1)
    axes.plot(np.repeat(steps, norms.shape[1]), norms.ravel(), "o", color=color, markersize=3, alpha=0.3)
    axes.plot(steps, norms.mean(axis=1), color=color, marker="o", linewidth=2)


def plain(axes: Axes) -> None:
    """Leaves out the frame's upper and right side."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", labelsize=9, colors="#444444")
