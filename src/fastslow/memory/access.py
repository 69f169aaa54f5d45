"""What a memory with heads is: one controlled access a step, which can be undone."""

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Float

Held = TypeVar("Held")
Undo = TypeVar("Undo")


class AbstractAccess(eqx.Module, Generic[Held, Undo]):
    """A memory that a controller writes to and reads from by heads. It knows no controller and no time.

    Attributes:
        width: columns of the memory.
        heads: reads in a step.
    """

    width: eqx.AbstractVar[int]
    heads: eqx.AbstractVar[int]

    @property
    @abstractmethod
    def controls(self) -> int:
        """How many numbers of the controller steer one access."""

    @abstractmethod
    def init_state(self) -> Held:
        """The memory before the first step."""

    @abstractmethod
    def access(
        self, state: Held, controls: Float[Array, " controls"]
    ) -> tuple[Held, Float[Array, "heads width"], Undo]:
        """Writes and reads.

        Args:
            state: the memory before the step.
            controls: the controller's numbers, before any squashing.

        Returns:
            The memory after the step, what each head read, and what `rewind` needs beside the memory after the step.
        """

    @abstractmethod
    def rewind(self, after: Held, undo: Undo) -> Held:
        """The memory before an access, so that a backward pass need not have kept it."""
