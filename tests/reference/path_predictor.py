"""The supervised predictor of paths, number by number (BASELINES' equations B64–B66)."""

import numpy as np

from .lstm import LSTMWeights, lstm_step
from .memory import softmax


def predict(
    encoder: LSTMWeights,
    decoder: LSTMWeights,
    of_state: np.ndarray,
    of_frame: np.ndarray,
    score: np.ndarray,
    step: tuple[np.ndarray, np.ndarray],
    path: np.ndarray,
    frames: int,
) -> np.ndarray:
    """Positions `[frames, 2]` after a path `[observed, 2]`; `step` is `W_o` and `b_o`."""
    size = len(score)
    hidden, cell, outputs = np.zeros(size), np.zeros(size), []
    for position in path:
        hidden, cell = lstm_step(encoder, hidden, cell, position)
        outputs.append(hidden)
    y, found = path[-1], []
    for _ in range(frames):
        scores = [sum(score * np.tanh(of_state @ hidden + of_frame @ each)) for each in outputs]
        context = sum(a * each for a, each in zip(softmax(np.array(scores)), outputs, strict=True))
        hidden, cell = lstm_step(decoder, hidden, cell, np.concatenate([y, context]))
        y = y + step[0] @ np.concatenate([hidden, context]) + step[1]
        found.append(y)
    return np.array(found)
