"""Muon: steps of weight matrices are made orthogonal before they are taken, an LSTM's gate by gate (Jordan 2024)."""

from typing import Any

import equinox as eqx
import jax
import optax
from jaxtyping import PyTree
from optax.contrib import MuonDimensionNumbers

from ..cells.lstm import LSTM

RMS = 0.2
"""Root mean square of a matrix' step as a share of the learning rate, about that of Adam (Liu and others 2025)."""


def muon(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """Muon for weights with two or more axes, the first one their outputs; for the rest Adam with Nesterov's momentum.

    The weights of an LSTM's four gates are stacked in one matrix, and taken apart here: each gate is a matrix of its
    own, and four small ones cost a third of what the stack would.
    """
    inner = optax.contrib.muon(learning_rate, consistent_rms=RMS, muon_weight_dimension_numbers=_axes)

    def init(params: Any) -> Any:
        return inner.init(_apart(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = inner.update(_apart(updates), state, _apart(params))
        return _stacked(updates), state

    return optax.GradientTransformation(init, update)


def _axes(apart: PyTree) -> PyTree:
    """Which axes of a weight are inputs, and which outputs; None for what is no matrix."""

    def of_leaf(leaf: Any) -> MuonDimensionNumbers | None:
        return MuonDimensionNumbers(tuple(range(1, leaf.ndim)), 0) if leaf.ndim > 1 else None

    def of_lstm(node: Any) -> Any:
        if not isinstance(node, LSTM):
            return of_leaf(node)
        gates = MuonDimensionNumbers(2, 1)
        return eqx.tree_at(_weights, jax.tree.map(of_leaf, node), (gates, gates), is_leaf=_is_axes)

    return jax.tree.map(of_lstm, apart, is_leaf=_is_lstm)


def _apart(tree: PyTree) -> PyTree:
    """The tree with weights `[4, hidden, in]` in place of an LSTM's `[4 hidden, in]`."""
    return _with_weights(tree, lambda weight, hidden: weight.reshape(4, hidden, -1))


def _stacked(tree: PyTree) -> PyTree:
    """The other way round."""
    return _with_weights(tree, lambda weight, hidden: weight.reshape(4 * hidden, -1))


def _with_weights(tree: PyTree, reshape: Any) -> PyTree:
    def of_lstm(node: Any) -> Any:
        if not isinstance(node, LSTM):
            return node
        return eqx.tree_at(_weights, node, tuple(reshape(weight, node.hidden_size) for weight in _weights(node)))

    return jax.tree.map(of_lstm, tree, is_leaf=_is_lstm)


def _weights(lstm: LSTM) -> tuple[Any, Any]:
    return lstm.input_weight, lstm.hidden_weight


def _is_lstm(node: Any) -> bool:
    return isinstance(node, LSTM)


def _is_axes(node: Any) -> bool:
    return node is None or isinstance(node, MuonDimensionNumbers)
