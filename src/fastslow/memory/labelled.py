"""Slots that hold a key, a value and a label: filled by a support set at once, read by cosine with a vote."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._typing import Scalar
from .addressing import cosine

Keep = Literal["least-used", "class-balanced"]
KEEP: tuple[Keep, ...] = ("least-used", "class-balanced")
FLOOR = 1e-4
"""Added to the vote of a class, so that its logarithm is finite where no attention falls on its slots."""


class LabelledSlots(eqx.Module):
    """A memory after a support set was written.

    Attributes:
        keys: of each slot.
        values: of each slot.
        labels: class of each slot, `0 … classes - 1`.
        items: which support item each slot holds.
    """

    keys: Float[Array, "slots width"]
    values: Float[Array, "slots width"]
    labels: Int[Array, " slots"]
    items: Int[Array, " slots"]


def kept_items(labels: Int[Array, " items"], slots: int, keep: Keep) -> Int[Array, " kept"]:
    """Which items of a support set a memory holds after they were written one after the other.

    Nothing is read while a support set is written, so that the least-used slot is the oldest: the last items stay.
    Class-balanced eviction takes the oldest item of the class that holds most slots: of each class its last items stay,
    of all classes as nearly as many.

    Args:
        labels: of the items, in the order of writing.
        slots: l, slots of the memory.
        keep: what is evicted where slots are missing.

    Returns:
        Numbers of the items; all where there are slots enough.
    """
    count = labels.shape[0]
    items = jnp.arange(count, dtype=labels.dtype)
    if slots >= count:
        return items
    if keep == "least-used":
        return items[count - slots :]
    later = jnp.triu(labels[:, None] == labels[None, :], k=1)
    # the number of later items of the same class comes first, then recency
    order = jnp.argsort(jnp.sum(later, axis=1, dtype=labels.dtype) * count - items)
    return items[order[:slots]]


def attention(
    slots: LabelledSlots, query: Float[Array, " width"], temperature: Scalar, without: Int[Array, ""] | None = None
) -> Float[Array, " slots"]:
    """`a`, softmax over the cosines of a query and the keys of at least one slot; see `read`."""
    scores = temperature * cosine(slots.keys, query)
    if without is None:
        return jax.nn.softmax(scores)
    # a finite number, as the only slot may be the one that is not read
    hidden = slots.items == without
    return jnp.where(hidden, 0.0, jax.nn.softmax(jnp.where(hidden, -1e9, scores)))


def read(
    slots: LabelledSlots,
    query: Float[Array, " width"],
    temperature: Scalar,
    classes: int,
    absent: Scalar,
    without: Int[Array, ""] | None = None,
) -> tuple[Float[Array, " width"], Float[Array, " classes"]]:
    """Reads a memory by cosine similarity.

    Args:
        slots: the memory; the content of one without slots is zero.
        query: `q`.
        temperature: factor on the cosine before the softmax.
        classes: width of the vote.
        absent: the logarithm of the vote of a class that no slot which is read holds.
        without: a support item whose own slot is not read.

    Returns:
        The content, `Σ_i a_i v_i`, and of each class `j` `log(Σ_i a_i [label_i = j] + FLOOR)`, or `absent` where no
        slot holds the class.
    """
    if slots.keys.shape[0] == 0:
        return jnp.zeros_like(query), jnp.broadcast_to(absent, classes)
    a = attention(slots, query, temperature, without)
    member = jax.nn.one_hot(slots.labels, classes, dtype=query.dtype)
    read_slots = jnp.ones_like(a) if without is None else (slots.items != without).astype(a.dtype)
    return a @ slots.values, jnp.where(read_slots @ member > 0, jnp.log(a @ member + FLOOR), absent)


__all__ = ["FLOOR", "KEEP", "Keep", "LabelledSlots", "attention", "kept_items", "read"]
