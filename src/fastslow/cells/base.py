"""What a cell is: one step of a recurrence, for one example. `vmap` batches it, `unroll` runs it through time."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._typing import Key, Scalar

State = TypeVar("State")


class AbstractCell(eqx.Module, Generic[State]):
    """One step `(state, x) → (state, y)` and the state before the first step."""

    @property
    @abstractmethod
    def out_size(self) -> int:
        """Size of the output `y`."""

    @abstractmethod
    def init_state(self) -> State:
        """The state before the first step, a module of arrays."""

    @abstractmethod
    def __call__(self, state: State, x: Float[Array, " in"]) -> tuple[State, Float[Array, " out"]]:
        """One step for one example."""

    def own_loss(self, state: State) -> Scalar:
        """What the cell adds to the loss of a sequence, from its state at the end, such as a meta objective."""
        return jnp.zeros(())


@dataclass(frozen=True)
class AbstractCellConfig(ABC):
    """The settings of a cell: a frozen dataclass with a field `kind`, its name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The settings of a member; `kind` is its name."""

    @abstractmethod
    def build(self, features: int, label: int, *, key: Key) -> AbstractCell:
        """Builds the cell.

        Args:
            features: size of `x_t`.
            label: size of the label that stands beside it; the cell's input is `[x_t; label]`.
            key: randomness of the initial weights.

        Raises:
            UserError: a size or a choice that does not exist.
        """


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
