"""Synthetic gradients: predictors of the gradient at a controller's output (fast-slow eq. 9, 11)."""

from abc import abstractmethod
from typing import Any, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from .._checks import check_choice
from .._typing import Key, Scalar
from ..cells.context import ContextAndQueries, joined, walk
from ..cells.lstm import LSTM
from .controllers import each, for_each

PredictorKind = Literal["lstm", "mlp"]
T = TypeVar("T")


def _linear(in_size: int, out_size: int, scale: float, *, key: Key) -> eqx.nn.Linear:
    layer = eqx.nn.Linear(in_size, out_size, key=key)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (scale * layer.weight, jnp.zeros(out_size)))


class AbstractPredictor(eqx.Module):
    """Predicts `δL/δc_t` from a controller's outputs `c_t` and the true labels `y_t`, over a segment.

    Which loss `L` is, a sum or a mean over steps, is the learner's to say.
    """

    @abstractmethod
    def __call__(
        self, outputs_and_labels: ContextAndQueries, alive: Bool[Array, " time"] | None = None
    ) -> ContextAndQueries:
        """Maps rows `[c_t; y_t]` to rows of `c_t`'s width; `alive` as for `walk`."""


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

    def __call__(
        self, outputs_and_labels: ContextAndQueries, alive: Bool[Array, " time"] | None = None
    ) -> ContextAndQueries:
        _, hidden = walk(self.recurrence, self.recurrence.init_state(), outputs_and_labels, alive)
        return jax.tree.map(jax.vmap(self.readout), hidden)


class MLPPredictor(AbstractPredictor):
    """A predictor without memory: one hidden layer of rectified units on `[c_t; y_t]`, step by step."""

    hidden: eqx.nn.Linear
    readout: eqx.nn.Linear

    def __init__(self, width: int, labels: int, hidden: int, scale: float, *, key: Key):
        key_hidden, key_readout = jax.random.split(key)
        self.hidden = eqx.nn.Linear(width + labels, hidden, key=key_hidden)
        self.readout = _linear(hidden, width, scale, key=key_readout)

    def __call__(
        self, outputs_and_labels: ContextAndQueries, alive: Bool[Array, " time"] | None = None
    ) -> ContextAndQueries:
        return jax.tree.map(jax.vmap(lambda x: self.readout(jax.nn.relu(self.hidden(x)))), outputs_and_labels)


class SyntheticGradients(eqx.Module):
    """One predictor for each controller. The same set may serve several networks of equal widths and label size.

    Attributes:
        predictors: `SG_IC`, `SG_OC`, `SG_WC`, in a module with a field for each controller.
    """

    predictors: Any

    def __init__(
        self,
        controllers: Any,
        labels: int,
        *,
        kind: PredictorKind = "lstm",
        hidden: int = 128,
        scale: float = 0.1,
        key: Key,
    ):
        """Builds the predictors.

        Args:
            controllers: a module with a recurrent cell for each controller; their widths are used.
            labels: size of the ground-truth vector `y_t`.
            kind: the paper's LSTM, or an MLP.
            hidden: hidden units of each predictor.
            scale: factor on the initial weights of the last layer.
            key: randomness of the initial weights.

        Raises:
            UserError: `kind` is neither.
        """
        check_choice("predictor", kind, ("lstm", "mlp"))
        build = {"lstm": LSTMPredictor, "mlp": MLPPredictor}[kind]
        names = each(controllers)
        keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        keyed = type(controllers)(**keys)
        self.predictors = for_each(
            lambda cell, key: build(cell.out_size, labels, hidden, scale, key=key), controllers, keyed
        )

    def __call__(
        self, outputs: ContextAndQueries, labels: ContextAndQueries, alive: Bool[Array, " time"] | None = None
    ) -> ContextAndQueries:
        """Predicts the gradient at every controller's output.

        Args:
            outputs: rows `c_t` for each controller, for context and queries.
            labels: rows `y_t` for context and queries.
            alive: see `walk`.

        Returns:
            `SG_C(c_t, y_t)`, shaped as `outputs`                    (fast-slow eq. 9).
        """

        def predict(predictor: AbstractPredictor, context: Any, queries: Any) -> ContextAndQueries:
            return predictor(
                ContextAndQueries(
                    context=jnp.concatenate([context, labels.context], axis=1),
                    queries=jnp.concatenate([queries, labels.queries], axis=1),
                ),
                alive,
            )

        found = for_each(predict, self.predictors, outputs.context, outputs.queries)
        return ContextAndQueries(
            context=for_each(lambda part: part.context, found), queries=for_each(lambda part: part.queries, found)
        )


def regression_loss(predicted: ContextAndQueries, true: ContextAndQueries) -> Scalar:
    """The predictors' own loss, `L_SG = ‖SG_C(c_t, y_t) − δL/δc_t‖²` (fast-slow eq. 11).

    Summed over a vector's width and over the controllers, averaged over the steps. No gradient reaches the target.
    """
    predicted_rows, true_rows = joined(predicted), jax.lax.stop_gradient(joined(true))
    squares = jax.tree.map(lambda p, t: jnp.sum((p - t) ** 2) / p.shape[0], predicted_rows, true_rows)
    return jnp.sum(jnp.stack(jax.tree.leaves(squares)))


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
