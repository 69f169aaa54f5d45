"""Specs of tasks that are not there: models are built for them."""

from fastslow.tasks.base import TaskSpec
from fastslow.tasks.targets import AbstractTarget, Categorical

WAY = 3


def spec(
    shape: tuple[int, ...] = (4, 4), tokens: int | None = None, target: AbstractTarget | None = None, label: int = WAY
) -> TaskSpec:
    return TaskSpec("toy", "sequence", shape, target or Categorical(WAY), label=label, metrics=(), tokens=tokens)


IMAGES, VECTORS, TOKENS = spec(), spec((5,)), spec((), tokens=7)
