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


class AbstractSplitCell(AbstractCell[State]):
    """A cell with a part that no state enters, which `unroll` computes for a whole sequence at once."""

    def __call__(self, state: State, x: Float[Array, " in"]) -> tuple[State, Float[Array, " out"]]:
        return self.advance(state, self.project(x))

    @abstractmethod
    def project(self, x: Float[Array, " in"]) -> Float[Array, " projected"]:
        """The part of a step that no state enters: over a whole sequence, one matrix product."""

    @abstractmethod
    def advance(self, state: State, projected: Float[Array, " projected"]) -> tuple[State, Float[Array, " out"]]:
        """The rest of the step, from a projected input."""


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
    rows, advance = (jax.vmap(cell.project)(xs), cell.advance) if isinstance(cell, AbstractSplitCell) else (xs, cell)
    resets = jnp.zeros(steps, bool) if reset is None else reset
    kept = jnp.ones(steps, bool) if mask is None else mask

    def step(state: State, inputs: tuple[Array, Array, Array]) -> tuple[State, Array]:
        row, fresh, keep = inputs
        start = state if reset is None else select(fresh, cell.init_state(), state)
        after, y = advance(start, row)
        return (after, y) if mask is None else (select(keep, after, state), jnp.where(keep, y, 0))

    return jax.lax.scan(step, state, (rows, resets, kept))
