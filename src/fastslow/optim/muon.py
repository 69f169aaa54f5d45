"""Muon: the step of a weight matrix is made orthogonal before it is taken (Jordan 2024)."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import optax
from jaxtyping import PyTree
from optax.contrib import MuonDimensionNumbers

RMS = 0.2
"""Root mean square of a matrix' step as a share of the learning rate, about that of Adam (Liu and others 2025)."""


def muon(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """Muon for weights with two or more axes, the first one their outputs; for the rest Adam with Nesterov's momentum.

    A module whose weight has its outputs along another axis, as a convolution's kernel has, says so by a class
    attribute `output_axes`, a mapping from the weight's name to the axis.

    A module may stack several matrices in one weight along the first axis, as an LSTM does with its four gates. It
    says so by a class attribute `stacked`, a mapping from the weight's name to the number of matrices. Each of them is
    then a matrix of its own; four small ones cost a third of what the stack would.
    """
    inner = optax.contrib.muon(learning_rate, consistent_rms=RMS, muon_weight_dimension_numbers=_axes)

    def init(params: Any) -> Any:
        return inner.init(_unstack(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = inner.update(_unstack(updates), state, _unstack(params))
        return _stack(updates), state

    return optax.GradientTransformation(init, update)


def _axes(unstacked: PyTree) -> PyTree:
    """Which axes of a weight are inputs, and which outputs; None for what is no matrix."""

    def of_leaf(leaf: Any) -> MuonDimensionNumbers | None:
        return MuonDimensionNumbers(tuple(range(1, leaf.ndim)), 0) if leaf.ndim > 1 else None

    def of_stack(weight: Any, matrices: int) -> MuonDimensionNumbers:
        del matrices
        return MuonDimensionNumbers(tuple(range(2, weight.ndim)), 1)

    def of_node(axes: Any, node: Any) -> Any:
        outputs = getattr(type(node), "output_axes", {})
        weights = lambda module: [getattr(module, name) for name in outputs]
        found = [_but(getattr(node, name).ndim, axis) for name, axis in outputs.items()]
        return eqx.tree_at(weights, axes, found, is_leaf=_is_axes) if outputs else axes

    axes = _map_stacked(unstacked, of_leaf, of_stack)
    is_module = lambda node: hasattr(type(node), "output_axes")
    flat, structure = jax.tree.flatten(unstacked, is_leaf=is_module)
    return structure.unflatten(map(of_node, structure.flatten_up_to(axes), flat))


def _but(ndim: int, output: int) -> MuonDimensionNumbers | None:
    """All axes but one are inputs; None for what is no matrix."""
    output %= max(ndim, 1)
    return MuonDimensionNumbers(tuple(i for i in range(ndim) if i != output), output) if ndim > 1 else None


def _unstack(tree: PyTree) -> PyTree:
    """The tree with `[matrices, out, ...]` in place of each stacked weight `[matrices · out, ...]`."""
    return _map_stacked(tree, _same, lambda weight, n: weight.reshape(n, weight.shape[0] // n, *weight.shape[1:]))


def _stack(tree: PyTree) -> PyTree:
    """The inverse of `_unstack`."""
    return _map_stacked(tree, _same, lambda weight, n: weight.reshape(n * weight.shape[1], *weight.shape[2:]))


def _map_stacked(tree: PyTree, of_leaf: Any, of_stack: Any) -> PyTree:
    """Applies `of_stack` to each stacked weight and the number of its matrices, and `of_leaf` to all other leaves."""

    def of_node(node: Any) -> Any:
        numbers = _stacked(node)
        if not numbers:
            return of_leaf(node)
        weights = lambda module: [getattr(module, name) for name in numbers]
        changed = [of_stack(weight, number) for weight, number in zip(weights(node), numbers.values(), strict=True)]
        return eqx.tree_at(weights, jax.tree.map(of_leaf, node), changed, is_leaf=_is_axes)

    return jax.tree.map(of_node, tree, is_leaf=lambda node: bool(_stacked(node)))


def _stacked(node: Any) -> Mapping[str, int]:
    """The stacked weights of a module, and how many matrices each holds; empty where there is none.

    A tree shaped like a module may hold other things in the weights' places, such as inner learning rates.
    """
    named = getattr(type(node), "stacked", {}) if isinstance(node, eqx.Module) else {}
    return {name: number for name, number in named.items() if getattr(getattr(node, name), "ndim", 0) > 1}


def _same(leaf: Any) -> Any:
    return leaf


def _is_axes(node: Any) -> bool:
    return node is None or isinstance(node, MuonDimensionNumbers)
