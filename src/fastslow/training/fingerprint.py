"""Names and digests of arrays: what a checkpoint stores them under, and what tells two sets of them apart."""

import hashlib
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

SCHEME = "leaves-sha256"
"""Types, shapes and bytes of all arrays in tree order."""


def is_data(leaf: object) -> bool:
    """Whether a leaf of a tree is an array, on a device or on the host."""
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray)


def named_arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """Copies every array of a tree to the host.

    They are copies, also on CPU, where a view would show what a later update writes into the donated buffer.

    Args:
        tree: any tree; leaves that are no arrays are passed over.

    Returns:
        The arrays by their paths, such as `learner.params.head.weight`, in the tree's order.
    """
    leaves = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, is_data))[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.array(leaf) for path, leaf in leaves}


def digest(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 over types, shapes and bytes of arrays, in their order; names are no part of it."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.name}|{array.shape}|".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def tree_digest(tree: PyTree) -> str:
    """SHA-256 of a tree's arrays in tree order: equal exactly when types, shapes and every bit are equal."""
    return digest(named_arrays(tree).values())


def params_digest(each: Iterable[PyTree]) -> dict[str, Any]:
    """The `params_digest` of a result row: the scheme's name, and a digest for each seed's parameters."""
    return {"scheme": SCHEME, "values": [tree_digest(params) for params in each]}
