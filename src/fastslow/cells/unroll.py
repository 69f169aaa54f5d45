"""Runs a cell through time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .base import AbstractCell, AbstractSplitCell, State, select
from .reversible import AbstractReversibleCell, unroll_reversible


def unroll(
    cell: AbstractCell[State],
    state: State,
    xs: Float[Array, "time in"],
    *,
    reset: Bool[Array, " time"] | None = None,
    mask: Bool[Array, " time"] | None = None,
) -> tuple[State, Float[Array, "time out"]]:
    """Runs a cell over a sequence.

    A reversible cell keeps only the residuals of each step for its gradient, not its states. With resets it keeps the
    states as well: the one before a reset cannot be recovered from the one after it.

    Args:
        cell: the cell.
        state: its state before the first step, any pytree of arrays.
        xs: the inputs, one row a step.
        reset: where true, the step starts from `cell.init_state()`: a sequence may hold several episodes.
        mask: where false, the step changes no state and its output is zero: padding, which may hold anything.

    Returns:
        The state after the last step, and the output of every step.
    """
    if mask is not None:
        xs = jnp.where(mask[:, None], xs, 0)
    rows = jax.vmap(cell.project)(xs) if isinstance(cell, AbstractSplitCell) else xs
    if isinstance(cell, AbstractReversibleCell):
        return unroll_reversible(cell, state, rows, reset, mask)
    return unroll_plain(cell, state, rows, reset, mask)


def unroll_plain(
    cell: AbstractCell[State],
    state: State,
    rows: Float[Array, "time row"],
    reset: Bool[Array, " time"] | None,
    mask: Bool[Array, " time"] | None,
) -> tuple[State, Float[Array, "time out"]]:
    """The scan, with JAX's derivative: the reference of the reversible one, too.

    Args:
        cell: the cell.
        state: its state before the first step.
        rows: projected inputs for a cell that projects them, else inputs.
        reset: as for `unroll`.
        mask: as for `unroll`.
    """
    advance = cell.advance if isinstance(cell, AbstractSplitCell) else cell

    def step(state: State, given: tuple[Array, Array | None, Array | None]) -> tuple[State, Array]:
        row, fresh, keep = given
        start = state if fresh is None else select(fresh, cell.init_state(), state)
        after, y = advance(start, row)
        return (after, y) if keep is None else (select(keep, after, state), jnp.where(keep, y, 0))

    return jax.lax.scan(step, state, (rows, reset, mask))
