"""The access of the Neural Turing Machine: by content and by place (ntm: Graves, Wayne, Danihelka 2014, section 3)."""

from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_choice, check_size
from .._typing import Key
from .addressing import cosine, strength
from .base import AbstractMemory, AbstractMemoryConfig
from .least_used import EMPTY

SHIFTS = 3
"""Places a head may move to in a step: one back, none, one on."""
STRENGTH, GATE, SHARPNESS = range(3)
IN_ORDER = 3.0
"""Bias by which a fresh write head moves on by one slot in each step: against its gate, for its forward shift."""

WriteStart = Literal["uniform", "in-order"]


class NTMState(eqx.Module):
    """What the memory holds at one time.

    Attributes:
        rows: `M_t`.
        reading: `w_t` of each read head.
        writing: `w_t` of each write head.
    """

    rows: Float[Array, "slots width"]
    reading: Float[Array, "heads slots"]
    writing: Float[Array, "writers slots"]


class NTMResiduals(eqx.Module):
    """What the inverse of an access needs. Attributes: `before`, the whole memory before it.

    What an erase by `1 − w e` leaves can be divided by that again, but where it left nothing the row is gone, and
    where it left little so are the digits.
    """

    before: NTMState


class NTMMemory(AbstractMemory[NTMState, NTMResiduals]):
    """A memory whose heads look for a key, or move from where they were.

    Write, then read: write heads are addressed on the memory before the step, read heads on the one they read, after
    the write. The paper leaves the order open; this one is that of mann, and what is written can be read at once.
    Several write heads write at the same time: the order among them has no effect.

    The first rows hold `EMPTY` everywhere; every head starts at slot 0. Keys pass through tanh as the added vectors do,
    so that they can be alike. Key strength is `1 + softplus(8 + …)` and
    sharpening `1 + softplus(…)`: the paper has strengths above 0.

    Attributes:
        slots: rows.
        width: columns.
        heads: read heads.
        writers: write heads.
        write_start: how the biases of a fresh write head start. uniform: as any others, so that gate and shifts are
            undecided and each write is smeared over 10 to 16 slots; in-order: gate bias −3 and shift biases −3, 0, +3,
            so that it writes one slot after the other until training changes that. An initialisation: the equations
            stay as they are.
    """

    slots: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)
    writers: int = eqx.field(static=True, default=1)
    write_start: WriteStart = eqx.field(static=True, default="uniform")

    def __check_init__(self):
        for name in ("slots", "width", "heads", "writers"):
            check_size(name, getattr(self, name))
        check_choice("write_start", self.write_start, ("uniform", "in-order"))

    @property
    def interface_size(self) -> int:
        return (self.heads + self.writers) * self._address + 2 * self.writers * self.width

    @property
    def _address(self) -> int:
        return self.width + 3 + SHIFTS

    def interface_bias(self) -> Float[Array, " interface"]:
        start = jnp.zeros(self.interface_size)
        if self.write_start == "uniform":
            return start
        for head in range(self.heads, self.heads + self.writers):
            scalars = head * self._address + self.width
            start = start.at[scalars + GATE].set(-IN_ORDER)
            start = start.at[scalars + 3 : scalars + 3 + SHIFTS].set(jnp.array([-IN_ORDER, 0, IN_ORDER]))
        return start

    def init_state(self) -> NTMState:
        first = jnp.zeros(self.slots, float).at[0].set(1.0)
        return NTMState(
            rows=jnp.full((self.slots, self.width), EMPTY, float),
            reading=jnp.broadcast_to(first, (self.heads, self.slots)),
            writing=jnp.broadcast_to(first, (self.writers, self.slots)),
        )

    def access(
        self, state: NTMState, interface: Float[Array, " interface"]
    ) -> tuple[NTMState, Float[Array, "heads width"], NTMResiduals]:
        to_read, to_write, erase, add = self._parse(interface)
        addressed = jax.vmap(address, (None, 0, 0))
        writing = addressed(state.rows, state.writing, to_write)
        # M̃_t(i) = M_{t-1}(i) [1 − w_t(i) e_t], for each write head             (ntm eq. 3)
        kept = state.rows * jnp.prod(1 - writing[:, :, None] * erase[:, None, :], axis=0)
        # M_t(i) = M̃_t(i) + w_t(i) a_t                                          (eq. 4)
        rows = kept + writing.T @ add
        reading = addressed(rows, state.reading, to_read)
        # r_t = Σ_i w_t(i) M_t(i)                                               (eq. 2)
        return NTMState(rows, reading, writing), reading @ rows, NTMResiduals(state)

    def inverse(self, after: NTMState, residuals: NTMResiduals) -> NTMState:
        return residuals.before

    def _parse(self, interface: Float[Array, " interface"]) -> tuple[Array, Array, Array, Array]:
        heads = self.heads + self.writers
        addresses = interface[: heads * self._address].reshape(heads, self._address)
        erase, add = interface[heads * self._address :].reshape(2, self.writers, self.width)
        return addresses[: self.heads], addresses[self.heads :], jax.nn.sigmoid(erase), jnp.tanh(add)


@dataclass(frozen=True)
class NTMConfig(AbstractMemoryConfig):
    """The memory of the neural Turing machine, with one write head."""

    slots: int = 128
    """Rows."""
    width: int = 40
    """Columns."""
    heads: int = 4
    """Read heads."""
    write_start: WriteStart = "uniform"
    """How a fresh write head starts: uniform, smeared over slots; in-order, one slot after the other."""
    kind: Literal["ntm"] = "ntm"

    def build(self, *, key: Key) -> NTMMemory:
        """Builds the memory, which draws nothing.

        Raises:
            UserError: a size or a choice that does not exist.
        """
        del key
        return NTMMemory(self.slots, self.width, self.heads, write_start=self.write_start)


def address(
    rows: Float[Array, "slots width"], before: Float[Array, " slots"], interface: Float[Array, " interface"]
) -> Float[Array, " slots"]:
    """Where a head goes (ntm section 3.3).

    Args:
        rows: the memory it goes to.
        before: where it was, `w_{t-1}`.
        interface: key, strength, gate and sharpening, then one number for each shift; before any squashing.

    Returns:
        Weights of the slots, `w_t`; they sum to one.
    """
    width = rows.shape[1]
    key, scalars, shifts = jnp.split(interface, (width, width + 3))
    # w^c_t(i) = softmax_i β_t K(k_t, M_t(i))                                   (ntm eq. 5, 6)
    content = jax.nn.softmax(strength(scalars[STRENGTH]) * cosine(rows, jnp.tanh(key)))
    # w^g_t = g_t w^c_t + (1 − g_t) w_{t-1}                                     (eq. 7)
    gate = jax.nn.sigmoid(scalars[GATE])
    gated = gate * content + (1 - gate) * before
    # w̃_t(i) = Σ_j w^g_t(j) s_t(i − j), in a circle                             (eq. 8)
    back, stay, on = jax.nn.softmax(shifts)
    shifted = back * jnp.roll(gated, -1) + stay * gated + on * jnp.roll(gated, 1)
    # w_t(i) = w̃_t(i)^γ_t / Σ_j w̃_t(j)^γ_t                                      (eq. 9)
    # over the largest, so that not all powers can vanish; of any factor the fraction is free, and so its derivative
    scaled = shifted / jax.lax.stop_gradient(jnp.max(shifted))
    powers = scaled ** (1 + jax.nn.softplus(scalars[SHARPNESS]))
    return powers / jnp.sum(powers)
