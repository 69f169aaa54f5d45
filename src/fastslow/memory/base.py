"""What a memory with heads is: one controlled access a step, which can be undone."""

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Held = TypeVar("Held")
Undo = TypeVar("Undo")


class AbstractAccess(eqx.Module, Generic[Held, Undo]):
    """A memory that a controller writes to and reads from by heads. It knows no controller and no time.

    It has nothing to train: the backward pass that walks memories back has gradients for the controller and for the
    controls alone, and `MANN` takes no memory with arrays of floating point.

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

    def initial_controls(self) -> Float[Array, " controls"]:
        """What the bias of the map from the controller to the controls starts with, added to its random numbers."""
        return jnp.zeros(self.controls)

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

    def pull(
        self,
        before: Held,
        after: Held,
        undo: Undo,
        controls: Float[Array, " controls"],
        to_after: Held,
        to_read: Float[Array, "heads width"],
    ) -> tuple[Held, Float[Array, " controls"]]:
        """The derivative of an access backwards, from what is known once it was made and rewound.

        A memory may have it by hand, where that spares computing the access anew.

        Args:
            before: the memory before the access.
            after: the memory after it.
            undo: what `access` gave.
            controls: the controller's numbers.
            to_after: gradient in the memory after.
            to_read: gradient in what was read.

        Returns:
            The gradients in the memory before, and in the controls.
        """
        del after, undo
        _, backwards = jax.vjp(lambda *given: self.access(*given)[:2], before, controls)
        return backwards((to_after, to_read))

    @abstractmethod
    def rewind(self, after: Held, undo: Undo) -> Held:
        """The memory before an access, so that a backward pass need not have kept it."""
