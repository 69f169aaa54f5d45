"""The fast path read literally: a synthetic gradient reaches its own controller's weights and nothing else."""

from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Bool

from ..cells.base import AbstractSplitCell
from ..cells.context import ContextAndQueries, walk
from .controllers import for_each


def local_gradients(
    controllers: Any,
    traces: ContextAndQueries,
    synthetic: ContextAndQueries,
    alive: Bool[Array, " time"] | None = None,
) -> Any:
    """`Σ_t SG_C(c_t, y_t) · ∂c_t/∂θ_C` for each controller (fast-slow eq. 10, without the −α).

    Each controller is run again on the inputs it was given, and its vjp takes the synthetic gradient as cotangent: the
    inputs are constants of that pass, the controller's own recurrence is part of it. The result is an ordinary function
    of weights, inputs and predictors, so an outer loop can differentiate through it.

    Args:
        controllers: a module with a recurrent cell for each controller, `θ_C`.
        traces: `Trace` rows of steps that those controllers took from a fresh state.
        synthetic: rows for each controller of what is brought in, such as `α · SG_C`; zeros at padding.
        alive: see `walk`.

    Returns:
        A gradient shaped as `controllers`.
    """
    inputs = traces.context.inputs, traces.queries.inputs
    return for_each(partial(_gradient, alive), controllers, *inputs, synthetic.context, synthetic.queries)


def _gradient(
    alive: Bool[Array, " time"] | None,
    controller: AbstractSplitCell,
    context: Any,
    queries: Any,
    to_context: Any,
    to_queries: Any,
) -> AbstractSplitCell:
    def run(weights: AbstractSplitCell) -> ContextAndQueries:
        # W u + b over all steps at once: only what follows is sequential
        projected = ContextAndQueries(
            context=jax.vmap(weights.project)(context), queries=jax.vmap(weights.project)(queries)
        )
        return walk(weights.advance, weights.init_state(), projected, alive)[1]

    _, vjp = jax.vjp(run, controller)
    return vjp(ContextAndQueries(context=to_context, queries=to_queries))[0]


__all__ = ["local_gradients"]
