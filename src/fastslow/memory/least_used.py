"""Least-recently-used access (LRUA): written where nothing was used lately, read by content (mann section 3.2)."""

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._checks import bad, check_choice, check_size
from .._typing import Key
from .addressing import FLOOR, SHARP, inverse_lengths, is_at, least_used_slots, strength
from .base import AbstractMemory, AbstractMemoryConfig

EMPTY = 1e-6
"""Value of every cell of the first memory, `M_0`."""

Written = Literal["key", "vector"]
Strength = Literal["none", "learned"]


class LeastUsedState(eqx.Module):
    """What the memory holds at one time.

    Attributes:
        rows: `M_t`.
        usage: `w^u_t`.
        attention: each head's read weights `w^r_t`.
    """

    rows: Float[Array, "slots width"]
    usage: Float[Array, " slots"]
    attention: Float[Array, "heads slots"]


class LeastUsedResiduals(eqx.Module):
    """What one access did to the rows, and the small parts of the state before it.

    Attributes:
        unused: the least-used slots, of which the first was set to zero.
        row: what that one held.
        weights: `w^w_t` of each head.
        vectors: what each head wrote.
        usage, attention: of the state before.
    """

    unused: Int[Array, " heads"]
    row: Float[Array, " width"]
    weights: Float[Array, "heads slots"]
    vectors: Float[Array, "heads width"]
    usage: Float[Array, " slots"]
    attention: Float[Array, "heads slots"]


class LeastUsed(AbstractMemory[LeastUsedState, LeastUsedResiduals]):
    """LRUA memory with `n` heads; each reads and writes.

    The first rows hold `EMPTY` everywhere; the first usage and read weights are one at slot 0. Keys pass through tanh,
    gates through the logistic function. Usage and least-used weights carry no gradient.

    A deviation: equation 6 as printed gives every slot that ties with the n-th smallest usage a one, at first all but
    one of them. Here exactly n slots get one, and of equals those with the lowest indices.

    Attributes:
        slots: rows.
        width: columns.
        heads: `n`, reads (and writes) in a step.
        decay: `γ` of eq. 5.
        written: what is stored. key: the key itself, as in eq. 8; vector: one more output of the controller.
        strength: how sharp attention can be. none: eq. 3 as it stands, where similarities lie in [-1, 1] and the
            largest of 128 weights stays below 1/18; learned: each head's similarities are multiplied by
            `β_t = 1 + softplus(8 + …)` from the controller, as the NTM does, so that a single slot can be read.
    """

    slots: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)
    decay: float = eqx.field(static=True, default=0.99)
    written: Written = eqx.field(static=True, default="key")
    strength: Strength = eqx.field(static=True, default="none")

    def __check_init__(self):
        for name in ("slots", "width", "heads"):
            check_size(name, getattr(self, name))
        if not 0 <= self.decay <= 1:
            raise bad("decay", got=self.decay, expected="a number from 0 to 1")
        if self.heads > self.slots:
            raise bad("heads", got=self.heads, expected=f"at most the {self.slots} slots there are")
        check_choice("written", self.written, ("key", "vector"))
        check_choice("strength", self.strength, ("none", "learned"))

    @property
    def interface_size(self) -> int:
        scalars = 2 if self.strength == "learned" else 1
        return self.heads * (scalars + self._vectors * self.width)

    @property
    def _vectors(self) -> int:
        return 2 if self.written == "vector" else 1

    def init_state(self) -> LeastUsedState:
        first = jnp.zeros(self.slots, float).at[0].set(1.0)
        return LeastUsedState(
            rows=jnp.full((self.slots, self.width), EMPTY, float),
            usage=first,
            attention=jnp.broadcast_to(first, (self.heads, self.slots)),
        )

    def access(
        self, state: LeastUsedState, interface: Float[Array, " interface"]
    ) -> tuple[LeastUsedState, Float[Array, "heads width"], LeastUsedResiduals]:
        gate, sharpness, keys, vectors = self._parse(interface)
        unused = least_used_slots(state.usage, self.heads)
        # w^w_t = σ(α) w^r_{t-1} + (1 − σ(α)) w^{lu}_{t-1}                     (mann eq. 7)
        spare = _spare(unused, state.rows)
        weights = gate * state.attention + (1 - gate) * spare
        residuals = LeastUsedResiduals(unused, state.rows[unused[0]], weights, vectors, state.usage, state.attention)
        erased = jnp.where(is_at(unused[0], self.slots)[:, None], 0, state.rows)
        # M_t(i) = M_{t-1}(i) + w^w_t(i) k_t                                    (eq. 8)
        rows = erased + _outer(weights, vectors)
        # w^r_t = softmax_i K(k_t, M_t(i)), times β_t where there is one        (eq. 2, 3)
        units = keys * inverse_lengths(keys)[:, None]
        similar = (rows @ units.T).T * inverse_lengths(rows)[None]
        attention = jax.nn.softmax(sharpness * similar)
        # r_t = Σ_i w^r_t(i) M_t(i)                                             (eq. 4)
        read = attention @ rows
        # w^u_t = γ w^u_{t-1} + w^r_t + w^w_t, summed over heads; `vjp` has its derivative            (eq. 5)
        usage = self.decay * state.usage + jax.lax.stop_gradient(jnp.sum(attention + weights, 0))
        return LeastUsedState(rows, usage, attention), read, residuals

    def vjp(
        self,
        before: LeastUsedState,
        after: LeastUsedState,
        residuals: LeastUsedResiduals,
        interface: Float[Array, " interface"],
        to_after: LeastUsedState,
        to_read: Float[Array, "heads width"],
    ) -> tuple["LeastUsed", LeastUsedState, Float[Array, " interface"]]:
        gate, sharpness, keys, vectors = self._parse(interface)
        rows = after.rows
        shrink_keys, shrink_rows = inverse_lengths(keys), inverse_lengths(rows)
        units = keys * shrink_keys[:, None]
        # backwards through what was read, and its weights; both products with the rows are one
        products = (rows @ jnp.concatenate([units, to_read]).T).T
        similar = products[: self.heads] * shrink_rows[None]
        to_weights = to_after.attention + products[self.heads :]
        dot = jnp.sum(to_weights * after.attention, axis=1, keepdims=True)
        to_scores = after.attention * (to_weights - dot)
        to_similar = sharpness * to_scores
        scaled = to_similar * shrink_rows[None]
        # a length at its floor has no derivative
        slope = jnp.where(_is_above_floor(shrink_rows), jnp.sum(to_similar * similar, axis=0) * shrink_rows**2, 0)
        to_seen = jnp.concatenate([scaled, after.attention]).T @ jnp.concatenate([units, to_read])
        to_seen = to_seen - slope[:, None] * rows
        to_units = scaled @ rows
        along = jnp.where(_is_above_floor(shrink_keys), jnp.sum(to_units * units, axis=1), 0)
        to_keys = shrink_keys[:, None] * (to_units - along[:, None] * units)
        # and through the write
        to_rows = to_after.rows + to_seen
        to_written = vectors @ to_rows.T
        to_vectors = residuals.weights @ to_rows
        spare = _spare(residuals.unused, before.rows)
        to_gate = jnp.sum(to_written * (before.attention - spare), axis=1) * (gate * (1 - gate))[:, 0]
        to_before = jnp.where(is_at(residuals.unused[0], self.slots)[:, None], 0, to_rows)
        to_state = LeastUsedState(to_before, self.decay * to_after.usage, gate * to_written)
        return self, to_state, self._unparse(interface, to_gate, jnp.sum(to_scores * similar, 1), to_keys, to_vectors)

    def inverse(self, after: LeastUsedState, residuals: LeastUsedResiduals) -> LeastUsedState:
        # the very sum that was added, in full precision on all devices
        before = after.rows - _outer(residuals.weights, residuals.vectors)
        rows = jnp.where(is_at(residuals.unused[0], self.slots)[:, None], residuals.row, before)
        return LeastUsedState(rows, residuals.usage, residuals.attention)

    def _parse(self, interface: Float[Array, " interface"]) -> tuple[Array, Array, Array, Array]:
        """`σ(α_t)` and `β_t`, a column each, then keys and what is written."""
        scalars, rest = jnp.split(interface, [self.interface_size - self._vectors * self.heads * self.width])
        gates, strengths = scalars[: self.heads], scalars[self.heads :]
        sharpness = strength(strengths)[:, None] if self.strength == "learned" else jnp.ones((), gates.dtype)
        vectors = jnp.tanh(rest).reshape(self._vectors, self.heads, self.width)
        return jax.nn.sigmoid(gates)[:, None], sharpness, vectors[0], vectors[-1]

    def _unparse(
        self,
        interface: Float[Array, " interface"],
        to_gate: Array,
        to_strength: Array,
        to_keys: Array,
        to_vectors: Array,
    ) -> Float[Array, " interface"]:
        """The gradient in the interface vector from those in what `_parse` makes of them, gates done."""
        scalars, rest = jnp.split(interface, [self.interface_size - self._vectors * self.heads * self.width])
        parts = [to_gate]
        if self.strength == "learned":
            parts.append(to_strength * jax.nn.sigmoid(SHARP + scalars[self.heads :]))
        both = jnp.stack([to_keys, to_vectors]) if self._vectors == 2 else (to_keys + to_vectors)[None]
        return jnp.concatenate([*parts, both.reshape(-1) * (1 - jnp.tanh(rest) ** 2)])


@dataclass(frozen=True)
class LeastUsedConfig(AbstractMemoryConfig):
    """A memory with least-recently-used access."""

    slots: int = 128
    """Rows."""
    width: int = 40
    """Columns."""
    heads: int = 4
    """Reads in a step."""
    written: Written = "key"
    """What is stored: the key, or a vector of its own."""
    strength: Strength = "none"
    """How sharp attention can be. none: as in the paper; learned: by a factor the controller gives."""
    kind: Literal["least-used"] = "least-used"

    def build(self, *, key: Key) -> LeastUsed:
        """Builds the memory, which draws nothing.

        Raises:
            UserError: a size or a choice that does not exist.
        """
        del key
        return LeastUsed(self.slots, self.width, self.heads, written=self.written, strength=self.strength)


def _spare(unused: Int[Array, " heads"], rows: Float[Array, "slots width"]) -> Float[Array, "1 slots"]:
    """`w^{lu}`: one at each of the least-used slots."""
    return jnp.sum(jax.nn.one_hot(unused, rows.shape[0], dtype=rows.dtype), 0, keepdims=True)


def _is_above_floor(inverse: Float[Array, " rows"]) -> Bool[Array, " rows"]:
    """Whether a length, given by its inverse, is its own and not the floor, give or take rounding."""
    return inverse * FLOOR < 1 - 1e-6


def _outer(weights: Float[Array, "heads slots"], vectors: Float[Array, "heads width"]) -> Float[Array, "slots width"]:
    """`weightsᵀ @ vectors`, head by head: for a few heads quicker than a product, since it joins what stands around."""
    each = [w[:, None] * v[None] for w, v in zip(weights, vectors, strict=True)]
    return reduce(jnp.add, each)
