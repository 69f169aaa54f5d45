"""Addressing: which slots of a memory a key speaks to. Pure functions of one example."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

EPSILON = 1e-6
"""Floor under the squared norms of cosine similarity, so that an empty slot or a zero key gives 0, not NaN."""


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
    # the floor stands under the root: the derivative of sqrt at 0 is infinite
    norms = jnp.sqrt(jnp.maximum(jnp.sum(memory**2, axis=1), EPSILON))
    return (memory @ key) / (norms * jnp.sqrt(jnp.maximum(jnp.sum(key**2), EPSILON)))


def least_used(usage: Float[Array, " slots"]) -> Float[Array, " slots"]:
    """One-hot address of the least-used slot; of equals, the one with the lowest index."""
    return jax.nn.one_hot(jnp.argmin(usage), usage.shape[0], dtype=usage.dtype)
