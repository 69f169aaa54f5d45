"""One step of an LSTM without peepholes, unit by unit."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Gate:
    """Weights of one gate: `from_input` `[hidden, in]`, `from_hidden` `[hidden, hidden]`, `bias` `[hidden]`."""

    from_input: np.ndarray
    from_hidden: np.ndarray
    bias: np.ndarray


@dataclass
class LSTMWeights:
    """The four gates, each with weights of its own."""

    enter: Gate
    forget: Gate
    new: Gate
    out: Gate

    def arrays(self) -> list[np.ndarray]:
        """All weights, gate after gate."""
        gates = (self.enter, self.forget, self.new, self.out)
        return [array for gate in gates for array in (gate.from_input, gate.from_hidden, gate.bias)]


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + np.exp(-value))


def _drive(gate: Gate, unit: int, x: np.ndarray, hidden: np.ndarray) -> float:
    total = gate.bias[unit]
    for j in range(len(x)):
        total += gate.from_input[unit, j] * x[j]
    for j in range(len(hidden)):
        total += gate.from_hidden[unit, j] * hidden[j]
    return total


def lstm_step(
    weights: LSTMWeights, hidden: np.ndarray, cell: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hidden and the inner state after one step."""
    hidden_after, cell_after = np.zeros_like(hidden), np.zeros_like(cell)
    for unit in range(len(hidden)):
        enter = sigmoid(_drive(weights.enter, unit, x, hidden))
        forget = sigmoid(_drive(weights.forget, unit, x, hidden))
        new = np.tanh(_drive(weights.new, unit, x, hidden))
        out = sigmoid(_drive(weights.out, unit, x, hidden))
        cell_after[unit] = forget * cell[unit] + enter * new
        hidden_after[unit] = out * np.tanh(cell_after[unit])
    return hidden_after, cell_after
