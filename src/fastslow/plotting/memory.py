"""What a memory holds during one episode, and which slots each step attends to."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from .drawings import strip
from .style import TEXT


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
        note: how the memory was used in the episode.
    """
    slots, steps = scores.shape[1], scores.shape[0]
    width = max(9.0, 0.34 * steps + 2)
    figure = Figure(figsize=(width, 3.4 + 0.16 * slots), layout="constrained")
    figure.suptitle(note, fontsize=11)
    upper, lower = cast(np.ndarray, figure.subfigures(2, 1, height_ratios=(1.1, 1.25)))
    _contents(upper, contents, moments)
    images_axes, axes = lower.subplots(2, 1, sharex=True, height_ratios=(1, max(2.2, 0.35 * slots)))
    # paper at both sides of a drawing keeps it from being stretched where there are few
    margin = max(0, round(images.shape[2] * ((width - 1) / steps / 0.5 - 1) / 2))
    strip(images_axes, np.concatenate(list(np.pad(images, ((0, 0), (0, 0), (margin, margin)))), axis=1), steps, 1)
    # each column on its own scale would hide how sharply a slot is chosen, so all share one, from zero
    heat = axes.imshow(scores.T, cmap="viridis", vmin=0, aspect="auto", interpolation="nearest")
    axes.set_ylabel("slot", **TEXT)
    axes.set_xlabel(f"support set ({support}), then queries ({steps - support})", **TEXT)
    axes.set_xticks([])
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    for either, color in ((images_axes, "#222222"), (axes, "white")):
        either.axvline(support - 0.5, color=color, linewidth=2)
    lower.colorbar(heat, ax=[images_axes, axes], pad=0.01).set_label("slot score $z_t$", **TEXT)
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
        axes.set_title(name, **TEXT)
        axes.set_xlabel("width k", **TEXT)
        axes.set_xticks([])
    panels[0].set_ylabel("slot", **TEXT)
    panels[0].yaxis.set_major_locator(MaxNLocator(6, integer=True))
    figure.colorbar(heats[0], ax=list(panels), pad=0.01).set_label("memory content", **TEXT)
