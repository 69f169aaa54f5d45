"""Gradients of every path by finite differences on the NumPy twin: what the library's gradients must be."""

from collections.abc import Callable

import numpy as np
from tests.reference.memory import SoftMemory
from tests.reference.nmn import CONTROLLERS, NetworkWeights, Passage, Place, cross_entropy, walk
from tests.reference.numeric import numeric_gradient

Pairs = list[tuple[np.ndarray, np.ndarray]]
Numbers = dict[str, np.ndarray]
"""Gradients by name, the gates of each controller stacked; the names are those of `library_numbers`."""


class Lesson:
    """One episode on the twin: what is shown, and which classes the scored part should be named.

    Attributes:
        net: the weights.
        context, queries: pairs of features and label.
        scored: the part that is scored.
        classes: the right answers there.
    """

    def __init__(self, net: NetworkWeights, context: Pairs, queries: Pairs, scored: str, classes: list[int]):
        self.net, self.context, self.queries, self.scored, self.classes = net, context, queries, scored, classes

    def walk(self, **options) -> Passage:
        return walk(self.net, self.context, self.queries, **options)

    def loss(self, **options) -> float:
        return cross_entropy(self.walk(**options), self.scored, self.classes)

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


def probes(lesson: Lesson) -> dict[Place, np.ndarray]:
    """`δL/δc_t`: how the loss answers to a push at each output."""
    gradients = {}
    for place, output in lesson.walk().gave.items():
        push = np.zeros_like(output)
        perturb = lambda at, c, place=place, push=push: c + push if at == place else c
        gradients[place] = numeric_gradient(lambda perturb=perturb: lesson.loss(perturb=perturb), push)
    return gradients


def through_beside(lesson: Lesson, synthetic: dict[Place, np.ndarray]) -> Numbers:
    """True and synthetic gradient, both flowing on: derivatives of `L + Σ SG · c`, `SG` held fixed."""

    def objective() -> float:
        seen = lesson.walk()
        pulled = sum(float(synthetic[place] @ c) for place, c in seen.gave.items())
        return cross_entropy(seen, lesson.scored, lesson.classes) + pulled

    return lesson.gradients(objective)


def through_instead(lesson: Lesson, synthetic: dict[Place, np.ndarray]) -> Numbers:
    """The synthetic gradient in place of all that comes back: every output is frozen for what follows it."""
    frozen = lesson.walk().gave

    def objective() -> float:
        pulled = 0.0

        def perturb(place: Place, output: np.ndarray) -> np.ndarray:
            nonlocal pulled
            pulled += float(synthetic[place] @ output)
            return frozen[place]

        return lesson.loss(perturb=perturb) + pulled

    return lesson.gradients(objective)
