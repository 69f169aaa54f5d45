"""Numbers over the updates, as `metrics.jsonl` has them, and how they are drawn."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Curve:
    """One metric over the updates.

    Attributes:
        steps: updates made, rising.
        values: one column a seed; NaN where a seed has no value.
    """

    steps: Int[np.ndarray, " reports"]
    values: Float[np.ndarray, "reports seeds"]


def draw(axes: Axes, curve: Curve, color: str, name: str, marker: str = "") -> None:
    """Draws the mean over seeds, and each seed as a thin line where there are several."""
    some = ~np.isnan(curve.values).all(axis=1)
    steps, values = curve.steps[some], curve.values[some]
    if not steps.size:
        return
    if values.shape[1] > 1:
        axes.plot(steps, values, color=color, linewidth=0.8, alpha=0.35)
    axes.plot(steps, np.nanmean(values, axis=1), color=color, linewidth=2, marker=marker, markersize=4, label=name)
