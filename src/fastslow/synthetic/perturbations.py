"""Perturbations: the true gradient at every controller's output, for every step, from one backward pass."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from ..cells.context import ContextAndQueries, walk
from ..cells.controlled import AbstractControlledCell, AbstractTrace, Apply


def zero_perturbations(cell: AbstractControlledCell, inputs: ContextAndQueries) -> ContextAndQueries:
    """A zero for each controller's output at each step; added to the output, its gradient is `δL/δc_t`."""
    row = jax.tree.map(lambda xs: xs[0], joined_shape(inputs))
    outputs = jax.eval_shape(lambda x: cell.trace(cell.init_state(), x)[1].outputs, row)

    def zeros(steps: int) -> PyTree:
        return jax.tree.map(lambda leaf: jnp.zeros((steps, *leaf.shape), leaf.dtype), outputs)

    return ContextAndQueries(context=zeros(inputs.context.shape[0]), queries=zeros(inputs.queries.shape[0]))


def joined_shape(inputs: ContextAndQueries) -> PyTree:
    """The inputs' rows, of whichever part has some."""
    return inputs.queries if inputs.queries.shape[0] else inputs.context


def traced_walk(
    cell: AbstractControlledCell,
    state: Any,
    inputs: ContextAndQueries,
    perturbations: ContextAndQueries | None = None,
    apply: Apply = jnp.add,
    alive: Bool[Array, " time"] | None = None,
) -> tuple[Any, ContextAndQueries]:
    """Runs a cell over context and queries and records every step.

    Args:
        cell: the cell.
        state: its state before the context.
        inputs: rows of cell inputs.
        perturbations: rows for each controller's output, or `None`.
        apply: how a perturbation acts on an output; `jnp.add` leaves it alone where the perturbation is zero.
        alive: see `walk`.

    Returns:
        The state after the context, and the trace of each step.
    """
    if perturbations is None:
        return walk(lambda s, x: cell.trace(s, x), state, inputs, alive)
    paired = ContextAndQueries(
        context=(inputs.context, perturbations.context), queries=(inputs.queries, perturbations.queries)
    )

    def step(state: Any, pair: tuple[Array, Any]) -> tuple[Any, AbstractTrace]:
        return cell.trace(state, pair[0], pair[1], apply)

    return walk(step, state, paired, alive)


def outputs_of(traces: ContextAndQueries) -> ContextAndQueries:
    """The controllers' outputs of recorded steps."""
    return ContextAndQueries(context=traces.context.outputs, queries=traces.queries.outputs)
