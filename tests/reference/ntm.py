"""The memory of the Neural Turing Machine, cell by cell (Graves, Wayne, Danihelka 2014, eq. 2 to 9)."""

from dataclasses import dataclass

import numpy as np
from tests.reference.lstm import sigmoid
from tests.reference.memory import attended, cosine, softmax


def softplus(value: float) -> float:
    return np.log(1.0 + np.exp(value))


def address(rows: np.ndarray, before: np.ndarray, interface: np.ndarray, floor: float) -> np.ndarray:
    """Where a head goes that was at `before`; `interface` are key, strength, gate, sharpening and three shifts."""
    slots, width = rows.shape
    key = np.tanh(interface[:width])
    strength, gate, sharpness = interface[width : width + 3]
    shift = dict(zip((-1, 0, 1), softmax(interface[width + 3 :]), strict=True))
    # eq. 5, 6
    content = softmax([(1 + softplus(8 + strength)) * cosine(key, row, floor) for row in rows])
    # eq. 7
    gated = [sigmoid(gate) * content[i] + (1 - sigmoid(gate)) * before[i] for i in range(slots)]
    # eq. 8: what is at j moves to j + by
    moved = np.zeros(slots)
    for j in range(slots):
        for by, share in shift.items():
            moved[(j + by) % slots] += gated[j] * share
    # eq. 9
    powers = [value ** (1 + softplus(sharpness)) for value in moved]
    return np.array([power / sum(powers) for power in powers])


@dataclass
class NTMMemory:
    """Attributes: `rows` `[slots, width]`; `reading` and `writing`, the heads' weights, `[heads, slots]`; `floor`."""

    rows: np.ndarray
    reading: np.ndarray
    writing: np.ndarray
    floor: float

    def access(self, interface: np.ndarray) -> np.ndarray:
        """Writes and reads; `interface` holds read heads, write heads, all erased and all added vectors."""
        (slots, width), heads, writers = self.rows.shape, len(self.reading), len(self.writing)
        each, count = width + 6, heads + writers
        own = [interface[n * each : (n + 1) * each] for n in range(count)]
        vectors = [interface[count * each + n * width : count * each + (n + 1) * width] for n in range(2 * writers)]
        writing = [address(self.rows, self.writing[n], own[heads + n], self.floor) for n in range(writers)]
        rows = self.rows.copy()
        # all erase before any adds, so that no head's news are erased by another (eq. 3, 4)
        for n in range(writers):
            for i in range(slots):
                for j in range(width):
                    rows[i, j] *= 1 - writing[n][i] * sigmoid(vectors[n][j])
        for n in range(writers):
            for i in range(slots):
                for j in range(width):
                    rows[i, j] += writing[n][i] * np.tanh(vectors[writers + n][j])
        reading = [address(rows, self.reading[n], own[n], self.floor) for n in range(heads)]
        self.rows, self.reading, self.writing = rows, np.array(reading), np.array(writing)
        # eq. 2
        return np.array([attended(rows, weights) for weights in reading])
