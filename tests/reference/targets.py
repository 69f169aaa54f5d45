"""What distributions say of a target, number by number (mann section 6.2 and eq. 24–26)."""

import numpy as np

from .memory import softmax


def categorical_nll(logits: np.ndarray, one_hot: np.ndarray) -> float:
    """eq. 25, one step."""
    p = softmax(logits)
    return -sum(one_hot[i] * np.log(p[i]) for i in range(len(p)))


def string_nll(logits: np.ndarray, string: np.ndarray, letters: int) -> float:
    """eq. 26, one step: a softmax for each chunk of `letters` numbers."""
    total = 0.0
    for start in range(0, len(logits), letters):
        total += categorical_nll(logits[start : start + letters], string[start : start + letters])
    return total


def string_is_right(logits: np.ndarray, string: np.ndarray, letters: int) -> bool:
    """Whether the likeliest letter is the right one in every place."""
    right = True
    for start in range(0, len(logits), letters):
        likeliest, expected = start, start
        for i in range(start, start + letters):
            likeliest = i if logits[i] > logits[likeliest] else likeliest
            expected = i if string[i] > string[expected] else expected
        right = right and likeliest == expected
    return right


def gaussian_nll(value: float, mean: float, deviation: float) -> float:
    """Minus the log of the normal density."""
    density = np.exp(-((value - mean) ** 2) / (2 * deviation**2)) / (deviation * np.sqrt(2 * np.pi))
    return -np.log(density)


def path_errors(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """MSE over frames and coordinates, mean distance, and distance at the last frame, of paths `[frames, 2]`."""
    squares = distances = 0.0
    for (px, py), (tx, ty) in zip(predicted, true, strict=True):
        square = (px - tx) ** 2 + (py - ty) ** 2
        squares, distances, last = squares + square, distances + np.sqrt(square), np.sqrt(square)
    return squares / (2 * len(true)), distances / len(true), last
