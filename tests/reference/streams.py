"""Streams step by step: a network that is shown each label one step late, and one nearest neighbour."""

from collections.abc import Callable

import numpy as np

from .lstm import LSTMWeights, lstm_step


def lstm_outputs(
    weights: LSTMWeights, head: np.ndarray, bias: np.ndarray, inputs: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Outputs of each step on `(x_1, null), (x_2, y_1), …` (mann section 2)."""
    hidden = cell = np.zeros(len(weights.enter.bias))
    label, outputs = np.zeros(targets.shape[1]), []
    for t in range(len(inputs)):
        x = np.array([*inputs[t].reshape(-1), *label])
        hidden, cell = lstm_step(weights, hidden, cell, x)
        outputs.append([bias[k] + sum(head[k, j] * hidden[j] for j in range(len(hidden))) for k in range(len(bias))])
        label = targets[t]
    return np.array(outputs)


def nearest_before(inputs: np.ndarray, instance: np.ndarray) -> list[int | None]:
    """For each step the nearest earlier one that is no padding, the earliest of equals; None where there is none."""
    answers = []
    for t in range(len(inputs)):
        best, least = None, np.inf
        for s in range(t):
            distance = np.sqrt(((inputs[t].reshape(-1) - inputs[s].reshape(-1)) ** 2).sum())
            if instance[s] > 0 and distance < least:
                best, least = s, distance
        answers.append(best)
    return answers


def by_instance(
    right: Callable[[int], bool], instance: np.ndarray, instances: int
) -> tuple[float, list[int], list[int]]:
    """Share of steps that are right, and how often the k-th instance of a class was right and was there."""
    hits, seen, steps = [0] * instances, [0] * instances, [t for t in range(len(instance)) if instance[t] > 0]
    for t in steps:
        if instance[t] <= instances:
            seen[instance[t] - 1] += 1
            hits[instance[t] - 1] += right(t)
    return sum(right(t) for t in steps) / len(steps), hits, seen
