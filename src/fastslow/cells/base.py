"""What a cell is: one step of a recurrence, for one example. `vmap` batches it, `unroll` runs it through time."""

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

State = TypeVar("State")


class AbstractCell(eqx.Module, Generic[State]):
    """One step `(state, x) → (state, y)` and the state before the first step."""

    @abstractmethod
    def init_state(self) -> State:
        """The state before the first step, a module of arrays."""

    @abstractmethod
    def __call__(self, state: State, x: Float[Array, " in"]) -> tuple[State, Float[Array, " out"]]:
        """One step for one example."""


def select(condition: Bool[Array, ""], on_true: State, on_false: State) -> State:
    """Leaf-wise choice between two states; by `where`, so that an infinity in the one not chosen leaves no trace."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), on_true, on_false)


def unroll(
    cell: AbstractCell[State],
    state: State,
    xs: Float[Array, "time in"],
    reset: Bool[Array, " time"] | None = None,
    mask: Bool[Array, " time"] | None = None,
) -> tuple[State, Float[Array, "time out"]]:
    """Runs a cell over a sequence.

    Args:
        cell: the cell.
        state: its state before the first step.
        xs: the inputs, one row a step.
        reset: where true, the step starts from `cell.init_state()`: a sequence may hold several episodes.
        mask: where false, the step changes no state and its output is zero: padding.

    Returns:
        The state after the last step, and the output of every step.
    """
    steps = xs.shape[0]
    resets = jnp.zeros(steps, bool) if reset is None else reset
    kept = jnp.ones(steps, bool) if mask is None else mask

    def step(state: State, inputs: tuple[Array, Array, Array]) -> tuple[State, Array]:
        x, fresh, keep = inputs
        start = state if reset is None else select(fresh, cell.init_state(), state)
        after, y = cell(start, x)
        return (after, y) if mask is None else (select(keep, after, state), jnp.where(keep, y, 0))

    return jax.lax.scan(step, state, (xs, resets, kept))
