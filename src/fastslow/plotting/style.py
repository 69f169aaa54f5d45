"""Colours, text and frames that all figures share, and how a figure becomes a file."""

import io
import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..training.files import writing

TRAINING, VALIDATION, TRUE, SYNTHETIC = "#8c8c8c", "#0b62a4", "#c4501b", "#0b62a4"
"""Colours that stay apart for colour-blind readers and in print."""
CORRECT, MISSED = "#2b7a3d", "#222222"
REFERENCES = ("#c4501b", "#6a3d9a", "#2b7a3d", "#a6761d")
SHADES = ("#c6c6c6", "#7fb3d5", "#2e75a8", "#123a5e", "#c4501b", "#6a3d9a")
"""From the first instance to the tenth, light to dark; the last two for whatever else there is."""
DARK = "#444444"
TEXT = {"color": DARK, "fontsize": 9}
DPI = 130


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


def plain(axes: Axes) -> None:
    """Leaves out the frame's upper and right side."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", labelsize=9, colors=DARK)


def grid(axes: Axes) -> None:
    """Leaves out the frame's upper and right side, and draws a light grid behind the curves."""
    plain(axes)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)


def share(axes: Axes) -> None:
    """Makes the vertical axis one of shares, from 0 to 100 %."""
    axes.set(ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
