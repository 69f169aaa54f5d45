"""Least-recently-used access, slot by slot (mann eq. 2 to 8, and 17 to 23 once more)."""

from dataclasses import dataclass

import numpy as np
from tests.reference.lstm import sigmoid
from tests.reference.memory import attended, cosine, softmax


def printed_least_used(usage: np.ndarray, count: int) -> list[int]:
    """eq. 6 as printed: the slots whose usage is not above the `count`-th smallest."""
    threshold = sorted(usage)[count - 1]
    return [i for i in range(len(usage)) if usage[i] <= threshold]


def least_used(usage: np.ndarray, count: int) -> list[int]:
    """`count` slots, each the first of those left whose usage is above the least by 2⁻¹⁶ or less."""
    chosen: list[int] = []
    for _ in range(count):
        left = [i for i in range(len(usage)) if i not in chosen]
        least = min(usage[i] for i in left)
        chosen.append(next(i for i in left if usage[i] <= least + 2**-16))
    return chosen


@dataclass
class LeastUsedMemory:
    """Attributes: `rows` `[slots, width]`, `usage` `[slots]`, `attention` `[heads, slots]`, and the choices.

    `floor` is the least length a vector counts as in a cosine.
    """

    rows: np.ndarray
    usage: np.ndarray
    attention: np.ndarray
    decay: float
    written: str
    strength: str
    floor: float

    def access(self, interface: np.ndarray) -> np.ndarray:
        """Writes and reads; `interface` are gates, strengths if any, keys, then what is written if no keys."""
        heads, slots = self.attention.shape
        width = self.rows.shape[1]
        gates, strengths = [sigmoid(control) for control in interface[:heads]], [1.0] * heads
        if self.strength == "learned":
            interface = interface[heads:]
            strengths = [1 + np.log(1 + np.exp(8 + control)) for control in interface[:heads]]
        vectors = [np.tanh(interface[heads + n * width : heads + (n + 1) * width]) for n in range(2 * heads)]
        keys, stored = vectors[:heads], vectors[heads:] if self.written == "vector" else vectors[:heads]
        unused = least_used(self.usage, heads)
        weights = np.zeros((heads, slots))
        for h in range(heads):
            for i in range(slots):
                weights[h, i] = gates[h] * self.attention[h, i] + (1 - gates[h]) * (1.0 if i in unused else 0.0)
        rows = self.rows.copy()
        rows[unused[0]] = 0.0
        for h in range(heads):
            for i in range(slots):
                for j in range(width):
                    rows[i, j] += weights[h, i] * stored[h][j]
        attention = np.array(
            [
                softmax([b * cosine(key, row, self.floor) for row in rows])
                for b, key in zip(strengths, keys, strict=True)
            ]
        )
        usage = np.zeros(slots)
        for i in range(slots):
            usage[i] = self.decay * self.usage[i]
            for h in range(heads):
                usage[i] += attention[h, i] + weights[h, i]
        self.rows, self.usage, self.attention = rows, usage, attention
        return np.array([attended(rows, scores) for scores in attention])
