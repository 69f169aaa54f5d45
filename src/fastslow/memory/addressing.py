"""Addressing: which slots of a memory a key speaks to. Pure functions of one example."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

EPSILON = 1e-6
"""Floor under the squared norms of cosine similarity, so that an empty slot or a zero key gives 0, not NaN."""
FLOOR = math.sqrt(EPSILON)
"""Least length that a vector counts as."""

TIE = 2.0**-16
"""Usages that differ by less count as equal."""

SHARP = 8.0
"""Where learned strengths start, before softplus: near 9, so that a fresh network reads mostly what is like its key."""


def dot_scores(memory: Float[Array, "slots width"], query: Float[Array, " width"]) -> Float[Array, " slots"]:
    """Soft attention by dot product.

    Args:
        memory: the slots, `M_{t-1}`.
        query: the query, `q_t`.

    Returns:
        Slot scores that sum to one, `z_t = softmax(M_{t-1} q_t)` (fast-slow eq. 3).
    """
    return jax.nn.softmax(memory @ query)


def cosine(memory: Float[Array, "slots width"], key: Float[Array, " width"]) -> Float[Array, " slots"]:
    """Cosine similarity of a key with every slot, `K(k, M(i)) = k·M(i) / (‖k‖ ‖M(i)‖)` (mann eq. 2).

    The dot products are divided by the two norms, each floored at `sqrt(EPSILON)`; the gradient is finite
    everywhere, at a zero key and at an empty slot too.
    """
    return (memory @ key) * inverse_lengths(memory) * inverse_lengths(key[None])


def inverse_lengths(rows: Float[Array, "rows width"]) -> Float[Array, " rows"]:
    """`1 / ‖row‖`, at most `1 / sqrt(EPSILON)`.

    The floor stands under the root, whose derivative at 0 is infinite; and once more around it, since XLA makes of one
    over a root its own `rsqrt`, which is right to seven digits alone in double precision, too. The sum is a product
    with ones, which is quicker on CPUs.
    """
    squares = jnp.matmul(rows**2, jnp.ones(rows.shape[1], rows.dtype), precision=jax.lax.Precision.HIGHEST)
    return 1 / jnp.maximum(jnp.sqrt(jnp.maximum(squares, EPSILON)), FLOOR)


def strength(control: Float[Array, " *heads"]) -> Float[Array, " *heads"]:
    """Key strength `β_t = 1 + softplus(8 + …)` of what the controller gives, by which similarities are multiplied."""
    return 1 + jax.nn.softplus(SHARP + control)


def least_used(usage: Float[Array, " slots"]) -> Float[Array, " slots"]:
    """One-hot address of the least-used slot, ties broken as by `least_used_slots`."""
    return jax.nn.one_hot(least_used_slots(usage, 1)[0], usage.shape[0], dtype=usage.dtype)


def least_used_slots(usage: Float[Array, " slots"], count: int) -> Int[Array, " count"]:
    """The `count` slots of least usage, least first; of equals, the one with the lowest index comes first.

    Usages count as equal to the least where they are above it by at most `TIE`. Those of slots that were used alike
    differ by rounding, in another way on each device; which of them is taken must not depend on that.
    """
    found = []
    for _ in range(count):  # a few minima are quicker than a sort or `top_k`
        slot = jnp.argmax(usage <= jnp.min(usage) + TIE)
        found.append(slot)
        usage = jnp.where(is_at(slot, usage.shape[0]), jnp.inf, usage)
    return jnp.stack(found)


def is_at(slot: Int[Array, ""], slots: int) -> Bool[Array, " slots"]:
    """Which of so many slots is that slot."""
    return jnp.arange(slots, dtype=slot.dtype) == slot
