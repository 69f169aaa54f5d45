"""What learners of few-shot episodes share: the task's metrics, and an outer step along the query loss."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import optax
from jaxtyping import Array, Float, Num, PyTree

from .._typing import Key, Scalar
from ..metrics import Metric
from ..models.base import AbstractModelConfig
from ..tasks.base import FewShotEpisode, TaskSpec
from .base import Adaptable, Figures, LearnerState, Trainable, norm, outer_step, value
from .few_shot import over_batch, track


class TaskLearner(Trainable[FewShotEpisode], Adaptable):
    """A learner of few-shot episodes, measured by the metrics of its task.

    Attributes:
        model: builds the model.
        optimizer: of the outer loop.
        config: the learner's settings.
        spec: the task.
    """

    model: AbstractModelConfig = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)
    config: Any = eqx.field(static=True)
    spec: TaskSpec = eqx.field(static=True)

    @property
    def monitor(self) -> Metric:
        return self.spec.monitor

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.spec.metrics

    def labels(self, labels: Num[Array, "..."]) -> Float[Array, "... size"]:
        """What a network is shown for the labels of an episode."""
        return self.spec.target.shown(labels)


class QueryLossLearner(TaskLearner):
    """A learner whose outer loop follows the mean loss of the queries, and nothing else."""

    @abstractmethod
    def measured(self, params: Any, model_state: Any | None, episodes: FewShotEpisode) -> tuple[Figures, Any]:
        """Figures of each episode, and the statistics that normalised it; `model_state=None` is training."""

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        def loss_of(params: Any) -> tuple[Scalar, tuple[Figures, Any]]:
            figures, used = self.measured(params, None, episodes)
            figures = over_batch(figures)
            return value(figures["loss"]), (figures, used)

        return backpropagated(self.optimizer, state, loss_of)

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> Figures:
        return self.measured(state.params, state.model_state, episodes)[0]


def backpropagated(
    optimizer: optax.GradientTransformation,
    state: LearnerState,
    loss_of: Callable[[PyTree], tuple[Scalar, tuple[Figures, Any]]],
) -> tuple[LearnerState, Figures]:
    """One outer step along the gradient of a loss.

    Args:
        optimizer: makes the step.
        state: before it.
        loss_of: from parameters to the loss, its figures, and the statistics of the batch.

    Returns:
        The state after the step, and the figures with the gradient's norm.
    """
    gradients, (figures, used) = eqx.filter_grad(loss_of, has_aux=True)(state.params)
    after = outer_step(optimizer, state, gradients, track(state.model_state, used))
    return after, {**figures, "gradient_norm": norm(gradients)}


__all__ = ["QueryLossLearner", "TaskLearner", "backpropagated"]
