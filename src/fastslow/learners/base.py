"""What a learner is: parameters and how they change, slowly over episodes and fast within one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num, PyTree

from .._typing import Key, Scalar
from ..metrics import Figure, Metric
from ..models.base import AbstractModelConfig
from ..tasks.base import Examples, TaskSpec

Episode = TypeVar("Episode")
Figures = dict[str, Figure]
"""Figures by the keys of their metrics."""


class LearnerState(eqx.Module):
    """All that an update changes; every leaf is an array, so it can be stacked over seeds, donated and saved.

    Attributes:
        params: what gradients train.
        opt_state: state of the optimizer.
        model_state: what is tracked without a gradient, such as running statistics of normalisation.
    """

    params: PyTree
    opt_state: PyTree
    model_state: PyTree


class Trainable(eqx.Module, Generic[Episode]):
    """What is trained: a state, one update of it, and how it is measured."""

    @property
    @abstractmethod
    def monitor(self) -> Metric:
        """The metric by which the best parameters are chosen; `update` and `evaluate` give it."""

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """What results give of an evaluation, in the order of a table."""

    @abstractmethod
    def init(self, *, key: Key) -> LearnerState:
        """Fresh parameters, optimizer state and model state."""

    @abstractmethod
    def update(self, state: LearnerState, episodes: Episode, *, key: Key) -> tuple[LearnerState, Figures]:
        """One outer step on a batch of episodes (leading axis `batch` on every array).

        Returns:
            The state after it, and figures with scalar totals and counts; always `loss` and the monitor.
        """

    @abstractmethod
    def evaluate(self, state: LearnerState, episodes: Episode, *, key: Key) -> Figures:
        """Figures of each episode, `[batch]` or `[batch, labels]`; always those of `metrics` and the monitor.

        `training.update.compile_score` calls it for all evaluations.
        """


class Adaptable(eqx.Module):
    """What meets a new task: in addition to `Trainable`, where that makes sense."""

    @abstractmethod
    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Any:
        """Learns one support set, by its protocol: in context, or by inner steps."""

    @abstractmethod
    def predict(self, adapted: Any, inputs: Num[Array, "query ..."]) -> Float[Array, "query answer"]:
        """Log-probabilities of the classes of each query, or the numbers predicted; queries do not change `adapted`."""


class Stepwise(Adaptable):
    """What adapts step by step; there may be fewer steps than in training, or more."""

    @abstractmethod
    def after_each(self, state: LearnerState, support: Examples, steps: int) -> Any:
        """What `adapt` would give without a step and after each of several, arrays stacked.

        Args:
            state: of the training.
            support: what is learned from.
            steps: how many; beyond those of training the rates of the last one stay.
        """


@dataclass(frozen=True)
class AbstractLearnerConfig(ABC):
    """The settings of a learner: a frozen dataclass with a field `kind`, its name."""

    any_way: ClassVar[bool] = False
    """Whether what it trains serves any number of classes."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The settings of a member; `kind` is its name."""

    @property
    @abstractmethod
    def facts(self) -> Mapping[str, str | int | float | bool]:
        """What result rows state of the learner, such as its protocol."""

    @abstractmethod
    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> Trainable:
        """Builds the learner.

        Args:
            model: what it trains.
            spec: the task it trains on.
            optimizer: of the outer steps.
            batch: episodes of an update.

        Raises:
            UserError: choices, a model or a task that do not fit the learner.
        """


def one(value: Float[Array, ""]) -> Figure:
    """A single number as a figure."""
    return Figure(value, jnp.ones_like(value))


def initial_state(optimizer: optax.GradientTransformation, params: PyTree, model_state: PyTree) -> LearnerState:
    """The state before the first update."""
    return LearnerState(params, optimizer.init(eqx.filter(params, eqx.is_inexact_array)), model_state)


def outer_step(
    optimizer: optax.GradientTransformation, state: LearnerState, gradients: PyTree, model_state: PyTree
) -> LearnerState:
    """The state after the optimizer's step along gradients shaped as the trained parameters."""
    trained = eqx.filter(state.params, eqx.is_inexact_array)
    updates, opt_state = optimizer.update(gradients, state.opt_state, trained)
    return LearnerState(eqx.apply_updates(state.params, updates), opt_state, model_state)


def value(figure: Figure) -> Scalar:
    """Total over count, where something is counted."""
    return jnp.asarray(figure.total) / jnp.asarray(figure.count)


def norm(gradients: PyTree) -> Figure:
    """The norm of gradients, a figure of every update."""
    return one(optax.tree.norm(gradients))
