"""Learning rate schedules: constant, cosine and step decay, each after a linear warm-up."""

from dataclasses import dataclass
from typing import Literal

import optax

from .._checks import bad, check_integer, check_real


@dataclass(frozen=True)
class ConstantConfig:
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """The schedule of `steps` updates."""
        del steps
        return optax.constant_schedule(learning_rate)


@dataclass(frozen=True)
class CosineConfig:
    """The learning rate falls along half a cosine (Loshchilov and Hutter 2017, one period)."""

    kind: Literal["cosine"] = "cosine"
    final: float = 0.01
    """Learning rate after the last update, as a share of the first one, above 0 and at most 1."""

    def __post_init__(self) -> None:
        check_real("final", self.final, most=1.0)

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """The schedule of `steps` updates."""
        return optax.cosine_decay_schedule(learning_rate, steps, alpha=self.final)


@dataclass(frozen=True)
class StepDecayConfig:
    """The learning rate is multiplied by `factor` after each `every` updates."""

    kind: Literal["step"] = "step"
    factor: float = 0.1
    """Factor of one decay, above 0 and at most 1."""
    every: int = 1000
    """Updates between two decays."""

    def __post_init__(self) -> None:
        check_real("factor", self.factor, most=1.0)
        check_integer("every", self.every, reason="updates are counted in 32 bits")

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """The schedule of `steps` updates."""
        del steps
        return optax.exponential_decay(learning_rate, self.every, self.factor, staircase=True)


ScheduleConfig = ConstantConfig | CosineConfig | StepDecayConfig


def build_schedule(config: ScheduleConfig, learning_rate: float, warmup: int, steps: int) -> optax.Schedule:
    """Builds the learning rate of each update.

    Args:
        config: the schedule after the warm-up.
        learning_rate: learning rate at the end of the warm-up.
        warmup: updates of the warm-up; update i of them, counted from 1, has `i / (warmup + 1)` of the learning rate.
        steps: updates of the training, the warm-up included.

    Returns:
        A function from the number of an update, counted from 0, to its learning rate.

    Raises:
        UserError: the warm-up takes the whole training.
    """
    if warmup >= steps:
        raise bad("warmup", got=warmup, expected=f"fewer updates than the {steps} of the training")
    schedule = config.build(learning_rate, steps - warmup)
    if warmup == 0:
        return schedule
    rise = optax.linear_schedule(learning_rate / (warmup + 1), learning_rate, warmup)
    return optax.join_schedules([rise, schedule], [warmup])


__all__ = ["ConstantConfig", "CosineConfig", "ScheduleConfig", "StepDecayConfig", "build_schedule"]
