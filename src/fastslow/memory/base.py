"""What a memory with heads is: one access a step, controlled by an interface vector, which can be inverted."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._typing import Key

Held = TypeVar("Held")
Residuals = TypeVar("Residuals")


class AbstractMemory(eqx.Module, Generic[Held, Residuals]):
    """A memory that a controller writes to and reads from with heads. It knows no controller and no time.

    It may hold arrays that are trained, a first memory among them.

    Attributes:
        width: columns of the memory.
        heads: reads in a step.
    """

    width: eqx.AbstractVar[int]
    heads: eqx.AbstractVar[int]

    @property
    @abstractmethod
    def interface_size(self) -> int:
        """Length of the interface vector, with which the controller steers one access."""

    def interface_bias(self) -> Float[Array, " interface"]:
        """What the bias of the map to the interface vector starts with, added to its random numbers."""
        return jnp.zeros(self.interface_size)

    @abstractmethod
    def init_state(self) -> Held:
        """The memory before the first step."""

    @abstractmethod
    def access(
        self, state: Held, interface: Float[Array, " interface"]
    ) -> tuple[Held, Float[Array, "heads width"], Residuals]:
        """Writes and reads.

        Args:
            state: the memory before the step.
            interface: the interface vector, before any squashing.

        Returns:
            The memory after the step, what each head read, and what `inverse` needs beside the memory after the step.
        """

    @abstractmethod
    def inverse(self, after: Held, residuals: Residuals) -> Held:
        """The memory before an access, so that a backward pass need not have kept it."""

    def vjp(
        self,
        before: Held,
        after: Held,
        residuals: Residuals,
        interface: Float[Array, " interface"],
        to_after: Held,
        to_read: Float[Array, "heads width"],
    ) -> tuple["AbstractMemory[Held, Residuals]", Held, Float[Array, " interface"]]:
        """The vector-Jacobian product of an access.

        A memory may have it by hand, where what is known after the access saves computing it a second time.

        Args:
            before: the memory before the access.
            after: the memory after it.
            residuals: what `access` gave.
            interface: the interface vector.
            to_after: gradient in the memory after.
            to_read: gradient in what was read.

        Returns:
            The gradients in the trained arrays of this module, in the memory before, and in the interface vector.
        """
        del after, residuals
        trained, rest = eqx.partition(self, eqx.is_inexact_array)

        def access(trained: "AbstractMemory", before: Held, interface: Array) -> tuple[Held, Array]:
            after, read, _ = eqx.combine(trained, rest).access(before, interface)
            return after, read

        _, backwards = jax.vjp(access, trained, before, interface)
        return backwards((to_after, to_read))


@dataclass(frozen=True)
class AbstractMemoryConfig(ABC):
    """The settings of a memory with heads: a frozen dataclass with a field `kind`, its name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The settings of a member; `kind` is its name."""

    @abstractmethod
    def build(self, *, key: Key) -> AbstractMemory:
        """Builds the memory.

        Args:
            key: randomness, for a memory with arrays to train.

        Raises:
            UserError: a size or a choice that does not exist.
        """
