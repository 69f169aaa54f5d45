"""Slots whose write depends on a fixed similarity: the simple rival that fast-slow's introduction names."""

from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad
from .._typing import Key
from .addressing import cosine, least_used
from .slots import AbstractSlots, AbstractSlotsConfig, InitialMemory, KeyValueSlots, Reading, SlotsState


class ThresholdSlots(AbstractSlots):
    """Slots of key and value: a query that is like a slot's key overwrites that slot, any other the least-used one.

    The paper describes it in words (fast-slow section 1); read, usage and the two addresses are those of key-value
    slots.

    Attributes:
        slots: read as they are.
        threshold: the cosine from which on a key counts as alike.
    """

    slots: KeyValueSlots
    threshold: float = eqx.field(static=True)

    def init_state(self) -> SlotsState:
        return self.slots.init_state()

    def read(self, state: SlotsState, query: Float[Array, " width"]) -> Reading:
        return self.slots.read(state, query)

    def write(
        self, state: SlotsState, reading: Reading, query: Float[Array, " width"], update: Float[Array, " width"]
    ) -> SlotsState:
        similar = jax.lax.stop_gradient(cosine(state.keys, query))
        nearest = jax.nn.one_hot(jnp.argmax(similar), similar.shape[0], dtype=similar.dtype)
        address = jnp.where(jnp.max(similar) >= self.threshold, nearest, least_used(state.usage))
        return self.slots.written(state, reading, query, update, address)


@dataclass(frozen=True)
class ThresholdSlotsConfig(AbstractSlotsConfig):
    """Slots of key and value, written by a fixed similarity."""

    slots: int = 10
    """l, rows of the memory."""
    initial: InitialMemory = "learned"
    """The memory before the first step: learned, constant, or random (drawn once and stored with the model)."""
    threshold: float = 0.9
    """Cosine of query and key from which on the key's slot is overwritten; below it the least-used slot is."""
    kind: Literal["threshold"] = "threshold"

    def build(self, width: int, *, key: Key) -> ThresholdSlots:
        """Builds the memory.

        Args:
            width: k, columns of the memory.
            key: randomness of the initial memory.

        Raises:
            UserError: a size or a choice that does not exist.
        """
        if not -1 <= self.threshold <= 1:
            raise bad("threshold", got=self.threshold, expected="a cosine, from -1 to 1")
        return ThresholdSlots(KeyValueSlots(self.slots, width, self.initial, key=key), self.threshold)


__all__ = ["ThresholdSlots", "ThresholdSlotsConfig"]
