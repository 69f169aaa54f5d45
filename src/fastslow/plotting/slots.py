"""Accuracy against the slots of a memory: arrays in and a figure out."""

from collections.abc import Mapping

from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from .style import REFERENCES, TEXT, grid


def over_slots(panels: Mapping[str, Mapping[str, Float[ndarray, "sizes 4"]]]) -> Figure:
    """A panel for each setting, a line for each network.

    Args:
        panels: by title, lines by name; a line's rows are slots, accuracy, and the bounds of its interval, in [0, 1].
    """
    figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
    panes = figure.subplots(1, len(panels), squeeze=False)
    for axes, (title, lines) in zip(panes.flat, panels.items(), strict=True):
        every = sorted({int(slots) for line in lines.values() for slots in line[:, 0]})
        places = {slots: place for place, slots in enumerate(every)}  # 0 to 100 slots, evenly spaced
        for (name, line), color in zip(lines.items(), REFERENCES, strict=False):
            at = [places[int(slots)] for slots in line[:, 0]]
            axes.plot(at, 100 * line[:, 1], color=color, marker="o", label=name, linewidth=1.6)
            axes.fill_between(at, 100 * line[:, 2], 100 * line[:, 3], color=color, alpha=0.15, linewidth=0)
        axes.set_title(title, **TEXT)
        axes.set(xlabel="slots", ylabel="accuracy, %", xticks=range(len(every)), xticklabels=map(str, every))
        grid(axes)
    handles, names = panes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9, frameon=False)
    return figure
