"""Draws the network and its two feedback paths into docs/figures/architecture.png.

Our own drawing of what Figure 3 of "Fast & Slow Learning" (Fernando et al. 2020) shows. Run: python
scripts/architecture_figure.py
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

OUT = Path(__file__).resolve().parents[1] / "docs" / "figures" / "architecture.png"
INK, FORWARD, SLOW, FAST = "#222222", "#555555", "#2b6cb0", "#dd6b20"
Point = tuple[float, float]


def box(ax: Axes, centre: Point, text: str, size: Point = (1.7, 0.9), edge: str = INK, fill: str = "#f4f4f2") -> None:
    """A rounded box with text."""
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    style = "round,pad=0,rounding_size=0.12"
    ax.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, fc=fill, ec=edge, lw=1.6, zorder=3))
    ax.text(*centre, text, ha="center", va="center", fontsize=11, color=INK, zorder=4, linespacing=1.25)


def path(ax: Axes, points: list[Point], colour: str = FORWARD, width: float = 1.6, dashed: bool = False) -> None:
    """A line through corners that ends in an arrow."""
    style = (0, (4, 2)) if dashed else "-"
    ax.plot(*zip(*points[:-1], strict=True), color=colour, lw=width, ls=style, solid_joinstyle="round", zorder=2)
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": width, "ls": style, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=points[-1], xytext=points[-2], arrowprops={**arrow, "mutation_scale": 15}, zorder=2)


def label(ax: Axes, at: Point, text: str, colour: str = INK, **kwargs: object) -> None:
    """Text beside a line."""
    ax.text(*at, text, **({"ha": "center", "va": "center", "fontsize": 11, "color": colour} | kwargs))


def drawing(ax: Axes, centre: Point) -> None:
    """A small character, as an example of an input."""
    t = np.linspace(0, 1, 60)
    ax.add_patch(Rectangle((centre[0] - 0.42, centre[1] - 0.42), 0.84, 0.84, fc="white", ec=INK, lw=1.2, zorder=3))
    ax.plot(centre[0] - 0.2 + 0.42 * t, centre[1] - 0.22 + 0.5 * np.sin(2.6 * t), color=INK, lw=2.2, zorder=4)
    ax.plot(centre[0] + 0.12 * np.cos(5 * t), centre[1] + 0.1 - 0.4 * t, color=INK, lw=2.2, zorder=4)


def memory(ax: Axes, centre: Point, slots: int = 8, width: int = 6, cell: float = 0.27) -> None:
    """Rows of a memory; the redder the bar beside a row, the more it is attended."""
    random = np.random.default_rng(3)
    left, bottom = centre[0] - width * cell / 2, centre[1] - slots * cell / 2
    scores = np.array([0.04, 0.05, 0.1, 0.2, 0.95, 0.3, 0.08, 0.05])
    for row in range(slots):
        for column in range(width):
            shade = str(0.97 - 0.45 * random.random())
            place = (left + column * cell, bottom + row * cell)
            ax.add_patch(Rectangle(place, cell, cell, fc=shade, ec="white", lw=1, zorder=3))
        bar = (left - 0.24, bottom + row * cell)
        ax.add_patch(Rectangle(bar, 0.17, cell, fc=plt.colormaps["Reds"](scores[row]), ec="white", lw=1, zorder=3))
    ax.add_patch(Rectangle((left, bottom), width * cell, slots * cell, fc="none", ec=INK, lw=1.6, zorder=4))
    label(ax, (centre[0], bottom + slots * cell + 0.24), r"memory $M_t$")
    label(ax, (left - 0.15, bottom - 0.24), r"$z_t$", colour="#a11212")


def forward(ax: Axes) -> None:
    """Images in, predictions out: equations 1 to 8."""
    drawing(ax, (0.6, 4))
    box(ax, (2.3, 4), "embedding\n$f_E$", size=(1.7, 0.9))
    box(ax, (4.8, 4), "input\ncontroller")
    memory(ax, (7.6, 4))
    box(ax, (10.4, 4), "output\ncontroller")
    box(ax, (10.4, 1.2), "write\ncontroller")
    box(ax, (13.1, 4), "decoder\n$f_D$", size=(1.5, 0.9))
    box(ax, (15.2, 4), "loss\n$L$", size=(1.0, 0.9), fill="#fbe9e7")
    steps = [(1.02, 1.45, ""), (3.15, 3.95, "$x_t$"), (5.65, 6.5, "$q_t$"), (8.42, 9.55, r"$\bar m_t$")]
    for start, end, text in steps:
        path(ax, [(start, 4), (end, 4)])
        label(ax, ((start + end) / 2 - 0.05, 4.26), text)
    path(ax, [(11.25, 4), (12.35, 4)])
    path(ax, [(13.85, 4), (14.7, 4)])
    label(ax, (11.8, 4.26), "$m_t$")
    label(ax, (14.25, 4.28), r"$\hat y_t$")
    path(ax, [(11.65, 4), (11.65, 2.3), (10.0, 2.3), (10.0, 1.65)])
    path(ax, [(9.55, 1.2), (7.6, 1.2), (7.6, 2.92)])
    label(ax, (8.5, 1.44), r"$m^\prime_t$")
    path(ax, [(15.2, 2.9), (15.2, 3.55)])
    label(ax, (15.2, 2.68), "$y_t$")


def feedback(ax: Axes) -> None:
    """The slow path over the whole network, and the fast one at each controller: equations 9 to 11."""
    ends = [(4.8, 6.1, "IC", "q_t"), (10.4, 6.1, "OC", "m_t"), (13.1, 1.2, "WC", r"m^\prime_t")]
    for x, y, name, output in ends:
        box(ax, (x, y), f"$SG_{{{name}}}({output}, y_t)$", size=(2.2, 0.75), edge=FAST, fill="#fff4e8")
    for x in (4.8, 10.4):
        path(ax, [(x, 5.72), (x, 4.45)], FAST, 2.4, dashed=True)
    path(ax, [(12.0, 1.2), (11.25, 1.2)], FAST, 2.4, dashed=True)
    label(ax, (4.98, 5.08), r"$\approx \partial L / \partial q_t$", FAST, ha="left")
    label(ax, (10.58, 5.08), r"$\approx \partial L / \partial m_t$", FAST, ha="left")
    label(ax, (11.7, 0.55), r"$\approx \partial L / \partial m^\prime_t$", FAST)
    path(ax, [(15.2, 4.45), (15.2, 7.2), (2.3, 7.2), (2.3, 4.45)], SLOW, 3.0)
    label(ax, (8.0, 7.5), "slow path: backpropagation, learns over many episodes", SLOW, fontsize=13)
    label(ax, (7.6, 6.25), "fast path: synthetic\ngradients, learn\nwithin one episode", FAST, fontsize=13)


def main() -> None:
    """Writes the figure."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "mathtext.fontset": "cm"})
    figure, ax = plt.subplots(figsize=(12.4, 6.2))
    ax.set(xlim=(0, 15.9), ylim=(0.2, 7.9), aspect="equal")
    ax.axis("off")
    forward(ax)
    feedback(ax)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT, dpi=110, bbox_inches="tight", facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    main()
