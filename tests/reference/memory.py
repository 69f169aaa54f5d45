"""Slot memories, cell by cell: soft overwrite (fast-slow eq. 3, 4, 7) and key-value slots written where least used."""

import copy
from dataclasses import dataclass

import numpy as np


def softmax(values: np.ndarray) -> np.ndarray:
    largest = max(values)
    powers = [np.exp(v - largest) for v in values]
    return np.array([p / sum(powers) for p in powers])


def dot(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


def cosine(a: np.ndarray, b: np.ndarray, floor: float = 0.0) -> float:
    """`a·b / (‖a‖ ‖b‖)`; `floor` is the least length either vector counts as."""
    return dot(a, b) / (max(np.sqrt(dot(a, a)), floor) * max(np.sqrt(dot(b, b)), floor))


def attended(rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`z M`: the rows, each as much as it is attended."""
    content = np.zeros(rows.shape[1])
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            content[j] += scores[i] * rows[i, j]
    return content


@dataclass
class SoftMemory:
    """Attributes: `rows`, `M`, `[slots, width]`."""

    rows: np.ndarray

    def fresh(self) -> "SoftMemory":
        return copy.deepcopy(self)

    def values(self) -> np.ndarray:
        return self.rows

    def arrays(self) -> list[np.ndarray]:
        """What a gradient may train."""
        return [self.rows]

    def read(self, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Content and scores (eq. 3, 4)."""
        scores = softmax(np.array([dot(row, query) for row in self.rows]))
        return attended(self.rows, scores), scores

    def write(self, scores: np.ndarray, query: np.ndarray, update: np.ndarray) -> None:
        """eq. 7: each cell keeps what is not attended and takes that much of the update."""
        for i in range(self.rows.shape[0]):
            for j in range(self.rows.shape[1]):
                self.rows[i, j] = self.rows[i, j] * (1 - scores[i]) + scores[i] * update[j]


@dataclass
class KeyValueMemory:
    """Slots of a key and a value, read by cosine, written whole where they were used least.

    Attributes:
        keys, stored: `[slots, width]`.
        temperature: factor on the cosine before the softmax, one number in an array.
        decay: what is left of a slot's usage after a step.
        floor: the least length a key counts as.
    """

    keys: np.ndarray
    stored: np.ndarray
    temperature: np.ndarray
    decay: float
    floor: float = 0.0

    def __post_init__(self) -> None:
        self.usage = np.zeros(len(self.keys))

    def fresh(self) -> "KeyValueMemory":
        return copy.deepcopy(self)

    def values(self) -> np.ndarray:
        return self.stored

    def arrays(self) -> list[np.ndarray]:
        """What a gradient may train."""
        return [self.keys, self.stored, self.temperature]

    def read(self, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = softmax(np.array([self.temperature[0] * cosine(key, query, self.floor) for key in self.keys]))
        return attended(self.stored, scores), scores

    def write(self, scores: np.ndarray, query: np.ndarray, update: np.ndarray) -> None:
        least = min(self.usage)
        chosen = next(i for i in range(len(self.usage)) if self.usage[i] <= least + 2**-16)
        for i in range(len(self.usage)):
            self.usage[i] = self.decay * self.usage[i] + scores[i] + (1.0 if i == chosen else 0.0)
        self.keys[chosen] = query
        self.stored[chosen] = update
