"""Small drawings for the classifier: one dark patch for each class."""

import numpy as np

WAY = 5
"""Outputs of the tiny model's head."""
SLOTS = 8
"""Slots of the tiny network for any number of classes."""


def drawings(classes: int, each: int, side: int = 40, seed: int = 0) -> np.ndarray:
    """Bytes `[classes * each, side, side]`: one dark patch for each class, on paper, with some noise."""
    rng = np.random.default_rng(seed)
    images = 255 - rng.integers(0, 30, (classes, each, side, side))
    for number in range(classes):
        row, column = divmod(number, 3)
        images[number, :, side // 8 + 12 * row : side // 8 + 12 * row + 7, 12 * column + 2 : 12 * column + 11] = 0
    return images.reshape(-1, side, side).astype(np.uint8)


LABELS = ["alpha", "beta", "gamma"]
SUPPORT, QUERIES = drawings(3, 2), drawings(3, 4, seed=1)
Y = np.repeat(LABELS, 2)


def spoiled(value: float) -> np.ndarray:
    images = SUPPORT / 255
    images[2, 5, 5] = value
    return images
