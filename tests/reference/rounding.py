"""How far rounding may take a result, from the arithmetic alone."""

import jax
import numpy as np
from jaxtyping import PyTree


def rounding(operations: int, *, scale: float = 1.0, precision: type = np.float32) -> float:
    """`n · eps · scale`: the most that `n` operations one after the other move a result.

    Args:
        operations: on the longest path from inputs to result; a sum of `n` products counts as `n`.
        scale: the largest size of a number on the way, relative to the result where the tolerance is relative.
        precision: `np.float32` or `np.float64`.
    """
    return float(operations * np.finfo(precision).eps * scale)


def operations_of(network: PyTree) -> int:
    """Products that are summed for one output, over all layers of a network one after the other.

    A layer's weights are arrays of two axes or more, `[outputs, inputs]` for a dense one and `[3, 3, inputs, outputs]`
    for a convolution.
    """
    weights = [leaf for leaf in jax.tree.leaves(network) if np.ndim(leaf) >= 2]
    return int(sum(np.prod(w.shape[:-1]) if w.ndim == 4 else np.prod(w.shape[1:]) for w in weights))
