"""Slot memories of the neural memory network: soft overwrite (the paper's) and least-used key-value slots."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_choice, check_size
from .._typing import Key, Scalar
from .addressing import cosine, dot_scores, least_used

InitialMemory = Literal["learned", "constant", "random"]
CONSTANT = 1e-6
"""Value of every cell of a `constant` initial memory."""
INITIAL_SCALE = 0.1
"""Standard deviation of a `learned` memory before training and of a `random` one."""


class Reading(eqx.Module):
    """What a read returns.

    Attributes:
        content: the attended memory, `m̄_t`.
        scores: the attention over slots, `z_t`; they sum to one.
    """

    content: Float[Array, " width"]
    scores: Float[Array, " slots"]


class SlotsState(eqx.Module):
    """What a slot memory holds at one time.

    Attributes:
        keys: what slots are found by. For soft overwrite, which has no keys of its own, zero columns.
        values: what slots give back, `M_t`.
        usage: decayed sum of read and write weights of each slot; zeros where the address does not depend on it.
    """

    keys: Float[Array, "slots keys"]
    values: Float[Array, "slots width"]
    usage: Float[Array, " slots"]


class AbstractSlots(eqx.Module):
    """A memory of rows, read by a query and written with a vector. It knows no controller and no time."""

    @abstractmethod
    def init_state(self) -> SlotsState:
        """The memory before the first step, `M_0`."""

    @abstractmethod
    def read(self, state: SlotsState, query: Float[Array, " width"]) -> Reading:
        """Reads without changing the memory."""

    @abstractmethod
    def write(
        self, state: SlotsState, reading: Reading, query: Float[Array, " width"], update: Float[Array, " width"]
    ) -> SlotsState:
        """Writes `update`, after the read of the same step.

        Args:
            state: the memory, `M_{t-1}`.
            reading: this step's read, whose scores say which slots were attended.
            query: this step's query, `q_t`.
            update: the vector to store, `m'_t`.
        """


@dataclass(frozen=True)
class AbstractSlotsConfig(ABC):
    """The settings of a slot memory: a frozen dataclass with a field `kind`, its name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The settings of a member; `kind` is its name."""

    @abstractmethod
    def build(self, width: int, *, key: Key) -> AbstractSlots:
        """Builds the memory.

        Args:
            width: size of a slot.
            key: randomness of the initial memory.

        Raises:
            UserError: a size or a choice that does not exist.
        """


def initial_rows(kind: InitialMemory, slots: int, width: int, *, key: Key) -> Float[Array, "slots width"]:
    """Rows of an initial memory; `learned` and `random` ones are drawn once and stored with the model."""
    check_choice("initial", kind, ("learned", "constant", "random"))
    check_size("slots", slots)
    check_size("width", width)
    if kind == "constant":
        return jnp.full((slots, width), CONSTANT, float)
    return INITIAL_SCALE * jax.random.normal(key, (slots, width))


class SoftSlots(AbstractSlots):
    """Soft overwrite of the attended slots (fast-slow eq. 3, 4, 7).

    A constant initial memory stays constant over slots for ever (all slots are attended alike and written alike):
    it is one slot in effect, kept because the choice is the paper's to leave open.

    Attributes:
        initial: `M_0`; trained by gradient only if `trainable`.
        trainable: whether `M_0` is learned.
    """

    initial: Float[Array, "slots width"]
    trainable: bool = eqx.field(static=True)

    def __init__(self, slots: int, width: int, initial: InitialMemory = "learned", *, key: Key):
        self.initial = initial_rows(initial, slots, width, key=key)
        self.trainable = initial == "learned"

    def init_state(self) -> SlotsState:
        rows = self.initial if self.trainable else jax.lax.stop_gradient(self.initial)
        slots = rows.shape[0]
        return SlotsState(keys=jnp.zeros((slots, 0), rows.dtype), values=rows, usage=jnp.zeros(slots, rows.dtype))

    def read(self, state: SlotsState, query: Float[Array, " width"]) -> Reading:
        # z_t = softmax(M_{t-1} q_t)                       (fast-slow eq. 3)
        scores = dot_scores(state.values, query)
        # m̄_t = z_t M_{t-1}                                (eq. 4)
        return Reading(content=scores @ state.values, scores=scores)

    def write(
        self, state: SlotsState, reading: Reading, query: Float[Array, " width"], update: Float[Array, " width"]
    ) -> SlotsState:
        # M_t = M_{t-1} ∘ (1 − z_t ⊗ e_k) + (z_t ⊗ e_k) ∘ (e_l ⊗ m'_t)      (eq. 7)
        attended = reading.scores[:, None]
        values = state.values * (1 - attended) + attended * update[None, :]
        return SlotsState(keys=state.keys, values=values, usage=state.usage)


@dataclass(frozen=True)
class SoftSlotsConfig(AbstractSlotsConfig):
    """Slots with the soft overwrite of the paper (fast-slow eq. 3, 4, 7)."""

    slots: int = 10
    """l, rows of the memory."""
    initial: InitialMemory = "learned"
    """The memory before the first step: learned, constant, or random (drawn once and stored with the model)."""
    kind: Literal["soft"] = "soft"

    def build(self, width: int, *, key: Key) -> SoftSlots:
        """Builds the memory.

        Args:
            width: k, columns of the memory.
            key: randomness of the initial memory.

        Raises:
            UserError: a size or a choice that does not exist.
        """
        return SoftSlots(self.slots, width, self.initial, key=key)


class KeyValueSlots(AbstractSlots):
    """Slots of `[key; value]`, read by cosine at a learned temperature, written whole at the least-used address.

    Not in fast-slow, whose soft overwrite (eq. 7) makes all slots alike when nothing but the memory adapts; the
    write address is mann's least-used one (eq. 5, 6) with a single hard write. The key is the step's query, the
    value its update; a read returns values alone.

    Attributes:
        initial_keys, initial_values: `M_0`; trained by gradient only if `trainable`.
        log_temperature: logarithm of the factor on the cosine before the softmax; trained.
        decay: γ of mann eq. 5.
        trainable: whether `M_0` is learned.
    """

    initial_keys: Float[Array, "slots width"]
    initial_values: Float[Array, "slots width"]
    log_temperature: Scalar
    decay: float = eqx.field(static=True)
    trainable: bool = eqx.field(static=True)

    def __init__(self, slots: int, width: int, initial: InitialMemory = "constant", decay: float = 0.99, *, key: Key):
        key_keys, key_values = jax.random.split(key)
        self.initial_keys = initial_rows(initial, slots, width, key=key_keys)
        self.initial_values = initial_rows(initial, slots, width, key=key_values)
        self.log_temperature = jnp.log(jnp.asarray(10.0, float))
        self.decay = decay
        self.trainable = initial == "learned"

    def init_state(self) -> SlotsState:
        rows = (self.initial_keys, self.initial_values)
        keys, values = rows if self.trainable else jax.lax.stop_gradient(rows)
        return SlotsState(keys=keys, values=values, usage=jnp.zeros(keys.shape[0], keys.dtype))

    def read(self, state: SlotsState, query: Float[Array, " width"]) -> Reading:
        scores = jax.nn.softmax(jnp.exp(self.log_temperature) * cosine(state.keys, query))
        return Reading(content=scores @ state.values, scores=scores)

    def write(
        self, state: SlotsState, reading: Reading, query: Float[Array, " width"], update: Float[Array, " width"]
    ) -> SlotsState:
        return self.written(state, reading, query, update, least_used(state.usage))

    def written(
        self,
        state: SlotsState,
        reading: Reading,
        query: Float[Array, " width"],
        update: Float[Array, " width"],
        address: Float[Array, " slots"],
    ) -> SlotsState:
        """The memory after a write to a one-hot address."""
        chosen = address[:, None] > 0
        # w^u_t = γ w^u_{t-1} + w^r_t + w^w_t               (mann eq. 5); no gradient can pass the hard address
        usage = self.decay * state.usage + jax.lax.stop_gradient(reading.scores) + address
        return SlotsState(
            keys=jnp.where(chosen, query[None, :], state.keys),
            values=jnp.where(chosen, update[None, :], state.values),
            usage=usage,
        )


@dataclass(frozen=True)
class KeyValueSlotsConfig(AbstractSlotsConfig):
    """Slots of key and value: cosine read, least-used write."""

    slots: int = 10
    """l, rows of the memory."""
    initial: InitialMemory = "learned"
    """The memory before the first step: learned, constant, or random (drawn once and stored with the model)."""
    kind: Literal["key-value"] = "key-value"

    def build(self, width: int, *, key: Key) -> KeyValueSlots:
        """Builds the memory.

        Args:
            width: k, columns of the memory.
            key: randomness of the initial memory.

        Raises:
            UserError: a size or a choice that does not exist.
        """
        return KeyValueSlots(self.slots, width, self.initial, key=key)
