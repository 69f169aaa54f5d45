"""Norms of true and synthetic gradients in one episode."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .style import SYNTHETIC, TEXT, TRUE, plain


def gradients(
    true: Mapping[str, Float[np.ndarray, "inner items"]],
    synthetic: Mapping[str, Float[np.ndarray, "inner items"]],
    agreement: Mapping[str, Float[np.ndarray, "inner items"]],
    support: int | None = None,
) -> Figure:
    """Norms of true and synthetic gradients at the output of each controller, over inner steps or over an episode.

    Args:
        true: by place, such as "input controller", `‖δL/δc_t‖` for each inner step and item.
        synthetic: by place, `‖SG_C(c_t, y_t)‖`; empty where there are no predictors.
        agreement: by place, the cosine between the two; empty where there are no predictors.
        support: for an episode that is one walk, the number of its steps that belong to the support set.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, len(true), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, true, strict=True):
        for norms, color in ((true[name], TRUE), (synthetic.get(name), SYNTHETIC)):
            if norms is not None:
                _norms(axes, norms, color, support is not None)
        if support is not None:
            axes.axvline(support + 0.5, color="#bbbbbb", linewidth=1)
        axes.set_title(f"{name}{_note(true[name], agreement.get(name))}", **TEXT)
        axes.set_xlabel("inner step" if support is None else "step: support set, then queries", **TEXT)
        axes.set_xlim(0.5, true[name].shape[0 if support is None else 1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain(axes)
        axes.grid(color="#e6e6e6", linewidth=0.8)
    figures = np.concatenate([norms.ravel() for norms in (*true.values(), *synthetic.values())])
    if (figures > 0).any():
        panels[0].set_yscale("log", nonpositive="mask")
    panels[0].set_ylabel("norm of the gradient", **TEXT)
    drawn = [("true, backpropagation", TRUE)] + ([("synthetic", SYNTHETIC)] if synthetic else [])
    handles = [Line2D([], [], color=color, marker="o", linewidth=2) for _, color in drawn]
    figure.legend(handles, [name for name, _ in drawn], loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _note(true: Float[np.ndarray, "inner items"], agreement: Float[np.ndarray, "inner items"] | None) -> str:
    """What the curves of one controller do not show."""
    if not true.any():
        return "\nno true gradient: the loss does not depend on it"
    return "" if agreement is None else f"\ncosine between them {np.mean(agreement):+.2f}"


def _norms(axes: Axes, norms: Float[np.ndarray, "inner items"], color: str, over_items: bool) -> None:
    """Over the items of one walk, or over inner steps: each item as a point, their mean as a line."""
    if over_items:
        axes.plot(np.arange(1, norms.shape[1] + 1), norms[0], color=color, marker="o", markersize=3)
        return
    steps = np.arange(1, norms.shape[0] + 1)
    axes.plot(np.repeat(steps, norms.shape[1]), norms.ravel(), "o", color=color, markersize=3, alpha=0.3)
    axes.plot(steps, norms.mean(axis=1), color=color, marker="o", linewidth=2)
