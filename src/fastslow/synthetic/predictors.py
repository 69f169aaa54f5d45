"""Synthetic gradients: predictors of the gradient at a controller's output (fast-slow eq. 9, 11)."""

from abc import abstractmethod
from typing import Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import check_choice
from .._typing import Key, Scalar
from ..cells.context import Forked, joined, walk
from ..cells.lstm import LSTM
from ..cells.nmn import PerController

PredictorKind = Literal["lstm", "mlp"]
T = TypeVar("T")


def _linear(in_size: int, out_size: int, scale: float, *, key: Key) -> eqx.nn.Linear:
    layer = eqx.nn.Linear(in_size, out_size, key=key)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (scale * layer.weight, jnp.zeros(out_size)))


class AbstractPredictor(eqx.Module):
    """Predicts `δL/δc_t` from a controller's outputs `c_t` and the true labels `y_t`, over a passage.

    Which loss `L` is, a sum or a mean over steps, is the learner's to say.
    """

    @abstractmethod
    def __call__(self, outputs_and_labels: Forked) -> Forked:
        """Maps rows `[c_t; y_t]` to rows of `c_t`'s width."""


class LSTMPredictor(AbstractPredictor):
    """The paper's predictor: an LSTM over time on `[c_t; y_t]`, then a linear layer to `c_t`'s width.

    The linear layer is ours: an LSTM's own output cannot leave (−1, 1) and would mix the scale of a gradient with
    its memory. It starts small, so that a fresh predictor says almost nothing (Jaderberg et al. 2017).
    """

    recurrence: LSTM
    readout: eqx.nn.Linear

    def __init__(self, width: int, labels: int, hidden: int, scale: float, *, key: Key):
        key_recurrence, key_readout = jax.random.split(key)
        self.recurrence = LSTM(width + labels, hidden, key=key_recurrence)
        self.readout = _linear(hidden, width, scale, key=key_readout)

    def __call__(self, outputs_and_labels: Forked) -> Forked:
        _, hidden = walk(self.recurrence, self.recurrence.init_state(), outputs_and_labels)
        return jax.tree.map(jax.vmap(self.readout), hidden)


class MLPPredictor(AbstractPredictor):
    """A predictor without memory: one hidden layer of rectified units on `[c_t; y_t]`, step by step."""

    hidden: eqx.nn.Linear
    readout: eqx.nn.Linear

    def __init__(self, width: int, labels: int, hidden: int, scale: float, *, key: Key):
        key_hidden, key_readout = jax.random.split(key)
        self.hidden = eqx.nn.Linear(width + labels, hidden, key=key_hidden)
        self.readout = _linear(hidden, width, scale, key=key_readout)

    def __call__(self, outputs_and_labels: Forked) -> Forked:
        return jax.tree.map(jax.vmap(lambda x: self.readout(jax.nn.relu(self.hidden(x)))), outputs_and_labels)


class SyntheticGradients(eqx.Module):
    """One predictor for each controller. The same set may serve several networks of equal width and label size.

    Attributes:
        predictors: `SG_IC`, `SG_OC`, `SG_WC`.
    """

    predictors: PerController

    def __init__(
        self,
        width: int,
        labels: int,
        *,
        kind: PredictorKind = "lstm",
        hidden: int = 128,
        scale: float = 0.1,
        key: Key,
    ):
        """Builds the predictors.

        Args:
            width: `k`, size of every controller's output.
            labels: size of the ground-truth vector `y_t`.
            kind: the paper's LSTM, or an MLP.
            hidden: hidden units of each predictor.
            scale: factor on the initial weights of the last layer.
            key: randomness of the initial weights.

        Raises:
            UserError: `kind` is neither.
        """
        check_choice("predictor", kind, ("lstm", "mlp"))
        build = LSTMPredictor if kind == "lstm" else MLPPredictor
        keys = jax.random.split(key, 3)
        self.predictors = PerController(*(build(width, labels, hidden, scale, key=k) for k in keys))

    def __call__(self, outputs: Forked, labels: Forked) -> Forked:
        """Predicts the gradient at every controller's output.

        Args:
            outputs: a `PerController` of rows `c_t` for trunk and branches.
            labels: rows `y_t` for trunk and branches.

        Returns:
            `SG_C(c_t, y_t)`, shaped as `outputs`                    (fast-slow eq. 9).
        """
        named = {name: self._one(name, outputs, labels) for name in ("input", "output", "write")}
        return Forked(
            trunk=PerController(**{name: g.trunk for name, g in named.items()}),
            branches=PerController(**{name: g.branches for name, g in named.items()}),
        )

    def _one(self, name: str, outputs: Forked, labels: Forked) -> Forked:
        rows = Forked(
            trunk=jnp.concatenate([getattr(outputs.trunk, name), labels.trunk], axis=1),
            branches=jnp.concatenate([getattr(outputs.branches, name), labels.branches], axis=1),
        )
        return getattr(self.predictors, name)(rows)


def regression_loss(predicted: Forked, true: Forked) -> Scalar:
    """The predictors' own loss, `L_SG = ‖SG_C(c_t, y_t) − δL/δc_t‖²` (fast-slow eq. 11).

    Summed over a vector's width and over the controllers, averaged over the steps. No gradient reaches the target.
    """
    predicted_rows, true_rows = joined(predicted), jax.lax.stop_gradient(joined(true))
    steps = predicted_rows.input.shape[0]
    squares = jax.tree.map(lambda p, t: jnp.sum((p - t) ** 2), predicted_rows, true_rows)
    return (squares.input + squares.output + squares.write) / steps


def detached(tree: T) -> T:
    """The same values, closed to gradients."""
    arrays, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)


__all__ = [
    "AbstractPredictor",
    "LSTMPredictor",
    "MLPPredictor",
    "PredictorKind",
    "SyntheticGradients",
    "detached",
    "regression_loss",
]
