"""The memory-augmented neural network, unit by unit (mann section 3.1, eq. 9 to 16)."""

from dataclasses import dataclass

import numpy as np
from tests.reference.least_used import LeastUsedMemory
from tests.reference.lstm import LSTMWeights, lstm_step
from tests.reference.ntm import NTMMemory


@dataclass
class FeedForwardWeights:
    """Attributes: `from_input` `[hidden, in]`, `bias` `[hidden]`."""

    from_input: np.ndarray
    bias: np.ndarray


def affine(weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    result = np.array(bias, np.float64)
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            result[i] += weight[i, j] * x[j]
    return result


def feedforward_step(weights: FeedForwardWeights, x: np.ndarray) -> np.ndarray:
    return np.tanh(affine(weights.from_input, weights.bias, x))


@dataclass
class Network:
    """A network in the middle of a sequence.

    Attributes:
        controller: its weights, over `[x_t; r_{t-1}]`.
        weight, bias: from the controller to the memory's interface.
        memory: the memory as it is now.
        key_source: `cell` or `hidden`.
        hidden, cell, read: `h_t`, `c_t` and each head's `r_t` as they are now.
    """

    controller: LSTMWeights | FeedForwardWeights
    weight: np.ndarray
    bias: np.ndarray
    memory: LeastUsedMemory | NTMMemory
    key_source: str
    hidden: np.ndarray
    cell: np.ndarray
    read: np.ndarray

    def step(self, x: np.ndarray) -> np.ndarray:
        """`o_t = (h_t, r_t)` (eq. 16)."""
        entered = np.concatenate([x, *self.read])
        if isinstance(self.controller, LSTMWeights):
            self.hidden, self.cell = lstm_step(self.controller, self.hidden, self.cell, entered)
            source = self.cell if self.key_source == "cell" else self.hidden
        else:
            source = self.hidden = feedforward_step(self.controller, entered)
        self.read = self.memory.access(affine(self.weight, self.bias, source))
        return np.concatenate([self.hidden, *self.read])
