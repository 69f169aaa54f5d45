"""Optimizers of the outer steps: Adam, RMSProp, Nadam and Muon, each with clipping, a schedule and a warm-up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import jax
import optax

from .._checks import bad, check_integer, check_real
from .muon import muon
from .schedules import CosineConfig, ScheduleConfig, build_schedule

Method = Callable[[optax.Schedule], optax.GradientTransformation]


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = 1e-3
    """Learning rate at the start, after the warm-up."""
    b1: float = 0.9
    """Decay of the mean of gradients, below 1."""
    b2: float = 0.999
    """Decay of the mean of squared gradients, below 1."""
    eps: float = 1e-8
    """Added to the root of the mean of squared gradients."""
    clip: float | None = 10.0
    """Largest norm of the gradient over all parameters; a longer gradient is scaled down to it. None for no limit."""
    schedule: ScheduleConfig = field(default_factory=CosineConfig)
    """How the learning rate changes."""
    warmup: int = 0
    """Updates over which the learning rate first rises, linearly."""

    def __post_init__(self) -> None:
        _check(self)

    def build(self, steps: int) -> optax.GradientTransformation:
        """Builds the optimizer for a training of `steps` updates."""
        return _build(self, steps, partial(optax.adam, b1=self.b1, b2=self.b2, eps=self.eps))


@dataclass(frozen=True)
class NadamConfig:
    """Adam with Nesterov's momentum (Dozat 2016)."""

    kind: Literal["nadam"] = "nadam"
    learning_rate: float = 1e-3
    """Learning rate at the start, after the warm-up."""
    b1: float = 0.9
    """Decay of the mean of gradients, below 1."""
    b2: float = 0.999
    """Decay of the mean of squared gradients, below 1."""
    eps: float = 1e-8
    """Added to the root of the mean of squared gradients."""
    clip: float | None = 10.0
    """Largest norm of the gradient over all parameters; a longer gradient is scaled down to it. None for no limit."""
    schedule: ScheduleConfig = field(default_factory=CosineConfig)
    """How the learning rate changes."""
    warmup: int = 0
    """Updates over which the learning rate first rises, linearly."""

    def __post_init__(self) -> None:
        _check(self)

    def build(self, steps: int) -> optax.GradientTransformation:
        """Builds the optimizer for a training of `steps` updates."""
        return _build(self, steps, partial(optax.nadam, b1=self.b1, b2=self.b2, eps=self.eps))


@dataclass(frozen=True)
class RMSPropConfig:
    """RMSProp with momentum; the defaults of decay and momentum are those of mann (section 9.1.1)."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: float = 1e-3
    """Learning rate at the start, after the warm-up; mann has 1e-4."""
    decay: float = 0.95
    """Decay of the mean of squared gradients, below 1."""
    momentum: float = 0.9
    """Share of the step before that is added to a step, below 1."""
    eps: float = 1e-8
    """Added to the mean of squared gradients, below the root."""
    clip: float | None = 10.0
    """Largest norm of the gradient over all parameters; a longer gradient is scaled down to it. None for no limit."""
    schedule: ScheduleConfig = field(default_factory=CosineConfig)
    """How the learning rate changes."""
    warmup: int = 0
    """Updates over which the learning rate first rises, linearly."""

    def __post_init__(self) -> None:
        _check(self)

    def build(self, steps: int) -> optax.GradientTransformation:
        """Builds the optimizer for a training of `steps` updates."""
        return _build(self, steps, partial(optax.rmsprop, decay=self.decay, momentum=self.momentum, eps=self.eps))


@dataclass(frozen=True)
class MuonConfig:
    """Muon (Jordan 2024): fewer updates where large matrices learn to see, and more time for each update."""

    kind: Literal["muon"] = "muon"
    learning_rate: float = 1e-3
    """Learning rate at the start, after the warm-up."""
    clip: float | None = 10.0
    """Largest norm of the gradient over all parameters; a longer gradient is scaled down to it. None for no limit."""
    schedule: ScheduleConfig = field(default_factory=CosineConfig)
    """How the learning rate changes."""
    warmup: int = 0
    """Updates over which the learning rate first rises, linearly."""

    def __post_init__(self) -> None:
        _check(self)

    def build(self, steps: int) -> optax.GradientTransformation:
        """Builds the optimizer for a training of `steps` updates."""
        return _build(self, steps, muon)


OptimizerConfig = AdamConfig | NadamConfig | RMSPropConfig | MuonConfig
"""How the outer steps change the parameters."""


def _check(config: OptimizerConfig) -> None:
    """Checks every number of a configuration; decays and momentum lie in [0, 1), all else is above 0."""
    for name in ("learning_rate", "eps"):
        if hasattr(config, name):
            check_real(name, getattr(config, name))
    for name in ("b1", "b2", "decay", "momentum"):
        value = getattr(config, name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise bad(name, got=value, expected="a number from 0 to below 1")
    if config.clip is not None:
        check_real("clip", config.clip)
    check_integer("warmup", config.warmup, least=0, reason="updates are counted in 32 bits")


def _build(config: OptimizerConfig, steps: int, method: Method) -> optax.GradientTransformation:
    """Clips the gradient, then gives it to `method` with the learning rate of each update."""
    check_integer("steps", steps, reason="updates are counted in 32 bits")
    rule = method(build_schedule(config.schedule, config.learning_rate, config.warmup, steps))
    chain = rule if config.clip is None else optax.chain(optax.clip_by_global_norm(config.clip), rule)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        # Adam raises a number to the power of a count, and Muon scales a stack of matrices by one number each, which
        # strict promotion refuses
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return chain.update(updates, state, params, **extra)

    return optax.GradientTransformation(chain.init, update)


__all__ = ["AdamConfig", "MuonConfig", "NadamConfig", "OptimizerConfig", "RMSPropConfig"]
