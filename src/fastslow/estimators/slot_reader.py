"""A memory that grows with a stream: labelled slots of feature vectors, read by cosine with a vote."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from .._checks import Described, bad

TEMPERATURE = 50.0
"""Factor on the cosine before the softmax. Of 10, 20, 30, 50, 70, 100 and 200 it named most drawings rightly on streams
of 10, 20 and 40 of Omniglot's validation classes."""


@dataclass(frozen=True, eq=False)
class Slots:
    """What is held, in the order of writing. Attributes: `keys`, of length 1; `numbers`, the class of each slot."""

    keys: Float[np.ndarray, "held width"]
    numbers: Int[np.ndarray, " held"]


class SlotReader:
    """Writes each example into a slot of its own; where none is left, the class with most slots loses its oldest.

    It is the memory of the network for any number of classes (`memory.labelled`, class-balanced), filled one example
    at a time. Nothing decays, and a class keeps a slot for as long as there are as many slots as classes.
    """

    def __init__(self, slots: int) -> None:
        """Makes a reader. Args: `slots`, how many examples are held."""
        self.most_classes = slots

    def start(self) -> Slots:
        """An empty memory."""
        return Slots(np.zeros((0, 0), np.float32), np.zeros(0, np.int64))

    def predict(self, held: Slots, key: Float[np.ndarray, " width"], classes: int) -> Float[np.ndarray, " classes"]:
        """The votes of the classes, to sum 1: `Σ_i exp(TEMPERATURE · cos(key, key_i)) / √n` over the `n` slots of one.

        The network's own read takes the sum. In a stream, classes differ in their number of examples: a sum favours
        those with many, a mean those with few.
        """
        check_width(held, key)
        powers = np.exp(TEMPERATURE * (held.keys @ key - 1).astype(np.float64))
        votes = np.bincount(held.numbers, weights=powers, minlength=classes) / np.sqrt(np.bincount(held.numbers))
        return votes / votes.sum()

    def learn(self, held: Slots, key: Float[np.ndarray, " width"], number: int) -> Slots:
        """The memory with one more example."""
        check_width(held, key)
        keys = np.concatenate([held.keys.reshape(-1, len(key)), key[None]])
        numbers = np.append(held.numbers, number)
        if len(numbers) <= self.most_classes:
            return Slots(keys, numbers)
        counts = np.bincount(numbers)
        evicted = int(np.flatnonzero(counts[numbers] == counts.max())[0])
        return Slots(np.delete(keys, evicted, axis=0), np.delete(numbers, evicted))


def check_width(held: Slots, key: np.ndarray) -> None:
    """Raises `UserError` for a key of another width than those that are held."""
    if len(held.keys) and held.keys.shape[1] != len(key):
        expected = f"{held.keys.shape[1]}, as in the first example"
        raise bad("x", got=Described(f"{len(key)} numbers"), expected=expected)


def as_features(x: Any) -> Float[np.ndarray, " width"]:
    """The key of a user's feature vector.

    Raises:
        UserError: for what is no vector of finite real numbers.
    """
    expected = "one vector of finite numbers"
    try:
        vector = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise bad("x", got=x, expected=expected) from error
    if vector.ndim != 1 or len(vector) == 0:
        raise bad("x", got=Described(f"an array of shape {vector.shape}"), expected=expected)
    if not np.isfinite(vector).all():
        raise bad("x", got=Described("NaN or infinite numbers"), expected=expected)
    return unit(vector)


def unit(vector: np.ndarray) -> Float[np.ndarray, " width"]:
    """A vector of length 1 in the same direction; zero stays zero."""
    # a square of a large number is infinite
    scaled = vector / max(np.abs(vector).max(), np.finfo(np.float32).tiny)
    return (scaled / max(float(np.linalg.norm(scaled)), 1e-12)).astype(np.float32)


__all__ = ["SlotReader", "Slots", "as_features", "unit"]
