"""A context that is shown step by step, then queries, each read from the state after the context.

A support set streamed into a memory followed by queries is a context with its queries: queries neither see nor change
each other's state. Items that are each shown from a fresh state are queries after an empty context.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from .base import AbstractCell, select
from .unroll import unroll

State = TypeVar("State")
Step = Callable[[State, Any], tuple[State, Any]]


class ContextAndQueries(eqx.Module):
    """One thing for each step of the context and for each query; either part may have no steps.

    Attributes:
        context: arrays with leading axis `time`.
        queries: arrays with leading axis `query`.
    """

    context: Any
    queries: Any


def walk(
    step: AbstractCell[State] | Step[State],
    state: State,
    inputs: ContextAndQueries,
    alive: Bool[Array, " time"] | None = None,
) -> tuple[State, ContextAndQueries]:
    """Runs a cell over a context, then on each query.

    Args:
        step: a cell, or any function `(state, input) → (state, output)`.
        state: the state before the context.
        inputs: the inputs.
        alive: of each step of the context, whether it changes the state; the others are padding.

    Returns:
        The state after the context, and the outputs; those of padding have no meaning.
    """
    if jax.tree.leaves(inputs.context)[0].shape[0] == 0:
        # a scan of no steps cannot run under `jax.disable_jit`, and costs compile time for nothing
        queries = jax.vmap(lambda x: step(state, x)[1])(inputs.queries)
        return state, ContextAndQueries(context=jax.tree.map(lambda y: y[:0], queries), queries=queries)
    if isinstance(step, AbstractCell):
        after, context = unroll(step, state, inputs.context, mask=alive)
    else:
        after, context = jax.lax.scan(partial(_kept, step), state, (inputs.context, alive))
    queries = jax.vmap(lambda x: step(after, x)[1])(inputs.queries)
    return after, ContextAndQueries(context=context, queries=queries)


def _kept(step: Step[State], state: State, given: tuple[Any, Array | None]) -> tuple[State, Any]:
    """A step that changes no state where it is padding."""
    x, keep = given
    after, y = step(state, x)
    return (after if keep is None else select(keep, after, state)), y


def only_context(xs: PyTree) -> ContextAndQueries:
    """A context without queries."""
    return ContextAndQueries(context=xs, queries=jax.tree.map(lambda x: x[:0], xs))


def only_queries(xs: PyTree) -> ContextAndQueries:
    """Queries without a context: every item from the same state."""
    return ContextAndQueries(context=jax.tree.map(lambda x: x[:0], xs), queries=xs)


def joined(both: ContextAndQueries) -> PyTree:
    """All steps in one axis, the context first."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), both.context, both.queries)
