"""Gradients of every path by finite differences on the NumPy twin: what the library's gradients must be."""

from collections.abc import Callable

import numpy as np
from tests.reference.memory import SoftMemory
from tests.reference.nmn import CONTROLLERS, NetworkWeights, Passage, Place, cross_entropy, walk
from tests.reference.numeric import numeric_gradient

Pairs = list[tuple[np.ndarray, np.ndarray]]
Numbers = dict[str, np.ndarray]
"""Gradients by name, the gates of each controller stacked; the names are those of `library_numbers`."""


class SegmentTwin:
    """A segment on the twin: what is shown, and the right classes at the steps of the loss mask.

    Attributes:
        net: the weights.
        context, queries: pairs of features and label.
        expected: the class at each step that makes the loss, by part and step.
    """

    def __init__(self, net: NetworkWeights, context: Pairs, queries: Pairs, expected: dict[tuple[str, int], int]):
        self.net, self.context, self.queries, self.expected = net, context, queries, expected

    def walk(self, **options) -> Passage:
        return walk(self.net, self.context, self.queries, **options)

    def loss(self, **options) -> float:
        return cross_entropy(self.walk(**options), self.expected)

    def gradients(self, objective: Callable[[], float]) -> Numbers:
        """Derivatives of a number by every weight, by the first memory and by the inputs."""
        numbers = {}
        for name in CONTROLLERS:
            parts = [numeric_gradient(objective, a) for a in self.net.controllers[name].arrays()]
            for i, kind in enumerate(("input_weight", "hidden_weight", "bias")):
                numbers[f"{name}.{kind}"] = np.concatenate(parts[i::3])
        memory = [numeric_gradient(objective, a) for a in self.net.memory.arrays()]
        if isinstance(self.net.memory, SoftMemory):
            numbers["memory.initial"] = memory[0]
        else:
            numbers |= {"memory.initial_keys": memory[0], "memory.initial_values": memory[1]}
            numbers["memory.log_temperature"] = (memory[2] * self.net.memory.temperature)[0]
        numbers["head.weight"] = numeric_gradient(objective, self.net.head)
        numbers["head.bias"] = numeric_gradient(objective, self.net.bias)
        for part, rows in (("context", self.context), ("queries", self.queries)):
            numbers[f"inputs.{part}"] = np.array([numeric_gradient(objective, x) for x, _ in rows])
        return numbers


def true_gradients(segment: SegmentTwin) -> dict[Place, np.ndarray]:
    """`δL/δc_t`: how the loss changes with a perturbation of each output."""
    gradients = {}
    for place, output in segment.walk().gave.items():
        perturbation = np.zeros_like(output)
        perturb = lambda at, c, place=place, perturbation=perturbation: c + perturbation if at == place else c
        gradients[place] = numeric_gradient(lambda perturb=perturb: segment.loss(perturb=perturb), perturbation)
    return gradients


def through_beside(segment: SegmentTwin, synthetic: dict[Place, np.ndarray]) -> Numbers:
    """True and synthetic gradient, both flowing on: derivatives of `L + Σ SG · c`, `SG` held fixed."""

    def objective() -> float:
        seen = segment.walk()
        reached = sum(float(synthetic[place] @ c) for place, c in seen.gave.items())
        return cross_entropy(seen, segment.expected) + reached

    return segment.gradients(objective)


def through_instead(segment: SegmentTwin, synthetic: dict[Place, np.ndarray]) -> Numbers:
    """The synthetic gradient in place of all that comes back: every output is frozen for what follows it."""
    frozen = segment.walk().gave

    def objective() -> float:
        reached = 0.0

        def perturb(place: Place, output: np.ndarray) -> np.ndarray:
            nonlocal reached
            reached += float(synthetic[place] @ output)
            return frozen[place]

        return segment.loss(perturb=perturb) + reached

    return segment.gradients(objective)
