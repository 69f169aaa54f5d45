"""Derivatives by central differences, one number at a time."""

from collections.abc import Callable

import numpy as np

STEP = 1e-6
ERROR = 100 * float(np.finfo(np.float64).eps) / STEP
"""Error of a derivative by these differences, relative to the size of the function: a hundred roundings of each value
over the step. What the curvature adds is of the size of STEP squared, far smaller."""


def numeric_gradient(function: Callable[[], float], array: np.ndarray, step: float = STEP) -> np.ndarray:
    """Gradient of a number with respect to an array that the function reads.

    Args:
        function: takes nothing; reads `array`, which is changed in place and put back.
        array: float64.
        step: half the distance of the two points of each difference.

    Returns:
        An array of the same shape.
    """
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = function()
        array[index] = kept - step
        below = function()
        array[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient
