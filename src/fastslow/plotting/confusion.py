"""What the queries of one episode were taken for."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .drawings import strip
from .style import CORRECT, MISSED, TEXT, TRUE


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
    figure.suptitle(f"One test episode: {right} of {rows} queries are correct", fontsize=11)
    strip(grid[0, 1], np.concatenate(list(classes), axis=1), way, 1, aspect="equal")
    grid[0, 1].set_title("classes, by their support drawing", **TEXT)
    strip(grid[1, 0], np.concatenate(list(queries[order]), axis=0), 1, rows, aspect="equal")
    grid[1, 0].set_ylabel("queries, sorted by true class", **TEXT)
    axes = grid[1, 1]
    heat = axes.imshow(probabilities[order], cmap="Blues", vmin=0, vmax=1)
    for row, query in enumerate(order):
        found, true = int(np.argmax(probabilities[query])), int(labels[query])
        axes.add_patch(_frame(true, row, CORRECT if found == true else MISSED))
        if found != true:
            axes.add_patch(_frame(found, row, TRUE))
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(heat, ax=grid[:, 1], shrink=0.8, pad=0.02)
    bar.set_label("probability given to the class", **TEXT)
    handles = [Rectangle((0, 0), 1, 1, fill=False, edgecolor=color, linewidth=2) for color in (CORRECT, MISSED, TRUE)]
    figure.legend(
        handles, ["right", "true class, missed", "taken for"], loc="outside lower center", ncols=3, fontsize=9
    )
    return figure


def _frame(column: int, row: int, color: str) -> Rectangle:
    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=color, linewidth=1.8)
