"""Images as they stand beside a heat map."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes


def strip(
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
