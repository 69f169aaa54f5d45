"""Slots that hold examples as they were shown, so that a network can read and rehearse them as it sees them now."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from .labelled import Keep


class StoredExamples(eqx.Module):
    """Examples in the order in which they came, oldest first; empty slots stand before them.

    Attributes:
        inputs: the examples.
        targets: one-hot rows of their classes; zeros in an empty slot.
    """

    inputs: Num[Array, "slots ..."]
    targets: Float[Array, "slots classes"]

    @property
    def filled(self) -> Bool[Array, " slots"]:
        """Which slots hold an example."""
        return jnp.any(self.targets > 0, axis=1)


def no_examples(slots: int, shape: tuple[int, ...], classes: int) -> StoredExamples:
    """Empty slots."""
    return StoredExamples(jnp.zeros((slots, *shape)), jnp.zeros((slots, classes)))


def store(
    stored: StoredExamples,
    inputs: Num[Array, "time ..."],
    targets: Float[Array, "time classes"],
    mask: Bool[Array, " time"],
    keep: Keep,
) -> StoredExamples:
    """Writes examples one after the other; each takes an empty slot, or the one that `keep` evicts.

    Args:
        stored: what is held.
        inputs: the examples.
        targets: one-hot rows of their classes.
        mask: which of them are to be written.
        keep: what is evicted. least-used: the oldest example; class-balanced: the oldest of the class that holds most
            slots, the example that comes counted with its own.
    """
    slots = stored.targets.shape[0]
    every = jnp.concatenate([stored.targets, targets])

    def write(held: Int[Array, " slots"], given: tuple[Array, Array]) -> tuple[Int[Array, " slots"], None]:
        number, write_it = given
        wider = jnp.append(held, number)
        out = _evicted(every[wider], keep)
        place = jnp.arange(slots, dtype=held.dtype)
        left = wider[jnp.where(place >= out, place + 1, place)]
        return jnp.where(write_it, left, held), None

    numbers = jnp.arange(slots, every.shape[0], dtype=jnp.int32)
    held, _ = jax.lax.scan(write, jnp.arange(slots, dtype=jnp.int32), (numbers, mask))
    return StoredExamples(jnp.concatenate([stored.inputs, inputs])[held], every[held])


def _evicted(targets: Float[Array, "wider classes"], keep: Keep) -> Int[Array, ""]:
    """Which example goes: an empty slot before any other, and the first of equals, which is the oldest."""
    if keep == "least-used":
        # empty slots stand before all others, and then comes the oldest example
        return jnp.zeros((), jnp.int32)
    filled = jnp.any(targets > 0, axis=1)
    same = targets @ jnp.sum(targets, axis=0)
    return jnp.argmax(jnp.where(filled, same, jnp.inf)).astype(jnp.int32)


__all__ = ["StoredExamples", "no_examples", "store"]
