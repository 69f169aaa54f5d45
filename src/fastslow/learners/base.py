"""What a learner is: parameters and how they change, slowly over episodes and fast within one."""

from abc import abstractmethod
from typing import Any, Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Float, Num, PyTree

from .._typing import Key, Scalar
from ..tasks.base import Examples

Episode = TypeVar("Episode")
Metrics = dict[str, Scalar]
"""Named numbers of one update; always holds `loss` and what the learner is judged by."""


class LearnerState(eqx.Module):
    """All that an update changes; every leaf is an array, so it can be stacked over seeds, donated and saved.

    Attributes:
        params: what gradients train.
        optimiser: state of the optimiser.
        running: what is tracked without a gradient (running statistics of normalisation).
    """

    params: PyTree
    optimiser: PyTree
    running: PyTree


class AbstractLearner(eqx.Module, Generic[Episode]):
    """Slow learning (`init`, `update`), fast learning (`adapt`, `predict`) and their measure (`evaluate`)."""

    @property
    def judged_by(self) -> str:
        """The figure, larger being better, by which the best parameters are chosen."""
        return "accuracy"

    @abstractmethod
    def init(self, *, key: Key) -> LearnerState:
        """Fresh parameters, optimiser states and carried memories."""

    @abstractmethod
    def update(self, state: LearnerState, episodes: Episode, *, key: Key) -> tuple[LearnerState, Metrics]:
        """One slow step on a batch of episodes (leading axis `batch` on every array)."""

    @abstractmethod
    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Any:
        """Learns one support set, by its protocol: binding it to memory, or fine-tuning on it."""

    @abstractmethod
    def predict(self, adapted: Any, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        """Log-probabilities of the classes of each query. Queries do not change `adapted`."""

    @abstractmethod
    def evaluate(self, state: LearnerState, episodes: Episode, *, key: Key) -> dict[str, Float[Array, "batch ..."]]:
        """Figures of each episode; always holds what the learner is judged by, mostly the share named rightly."""
