"""Synthetic gradients: the predictors, what they are trained on, and the fast path (fast-slow eq. 9–11)."""

from dataclasses import dataclass

import numpy as np

from .lstm import LSTMWeights, lstm_step
from .memory import dot
from .nmn import Place


def affine(weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.array([dot(weight[i], x) + bias[i] for i in range(len(bias))])


@dataclass
class MLPWeights:
    """One hidden layer of rectified units."""

    hidden: np.ndarray
    hidden_bias: np.ndarray
    readout: np.ndarray
    readout_bias: np.ndarray

    def predict(self, rows: list[np.ndarray]) -> list[np.ndarray]:
        predicted = []
        for row in rows:
            units = np.array([max(v, 0.0) for v in affine(self.hidden, self.hidden_bias, row)])
            predicted.append(affine(self.readout, self.readout_bias, units))
        return predicted


@dataclass
class LSTMPredictorWeights:
    """An LSTM over the steps, then a linear layer."""

    recurrence: LSTMWeights
    readout: np.ndarray
    readout_bias: np.ndarray

    def predict(self, rows: list[np.ndarray]) -> list[np.ndarray]:
        hidden = cell = np.zeros(len(self.recurrence.enter.bias))
        predicted = []
        for row in rows:
            hidden, cell = lstm_step(self.recurrence, hidden, cell, row)
            predicted.append(affine(self.readout, self.readout_bias, hidden))
        return predicted


def regression_loss(predicted: dict[Place, np.ndarray], true: dict[Place, np.ndarray]) -> float:
    """eq. 11: squares summed over width and controllers, averaged over the steps."""
    steps = {place[1:] for place in predicted}
    total = 0.0
    for place, values in predicted.items():
        for p, t in zip(values, true[place], strict=True):
            total += (p - t) ** 2
    return total / len(steps)


def weighed_outputs(
    weights: LSTMWeights, context: list[np.ndarray], queries: list[np.ndarray], weigh: dict[tuple[str, int], np.ndarray]
) -> float:
    """`Σ_t SG_t · c_t` of one controller run on given inputs: its derivative by the weights is eq. 10's sum."""
    hidden = cell = np.zeros(len(weights.enter.bias))
    total = 0.0
    for t, x in enumerate(context):
        hidden, cell = lstm_step(weights, hidden, cell, x)
        total += dot(weigh["context", t], hidden)
    for b, x in enumerate(queries):
        total += dot(weigh["queries", b], lstm_step(weights, hidden, cell, x)[0])
    return total
