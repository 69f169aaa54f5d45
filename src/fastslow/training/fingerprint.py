"""Names and checksums of arrays: what a checkpoint stores them under, and what tells two sets of them apart."""

import hashlib
from collections.abc import Mapping

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree


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


def arrays_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """Checksum over names, types, shapes and bytes of arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.name}|{arrays[name].shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def params_sha256(params: PyTree) -> str:
    """Checksum of parameters: equal exactly when names, types, shapes and every bit are equal."""
    return arrays_sha256(named_arrays(params))
