"""What a baseline is: measured as it is, on the same episodes as a trained learner; it has nothing to train."""

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx

from .._typing import Key
from ..metrics import Figure, Metric

Episode = TypeVar("Episode")


class Baseline(eqx.Module, Generic[Episode]):
    """Answers without parameters of its own."""

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """What results give of an evaluation, in the order of a table."""

    @abstractmethod
    def evaluate(self, episodes: Episode, *, key: Key) -> dict[str, Figure]:
        """Figures of each episode by the keys of their metrics, `[batch]` or `[batch, labels]`."""
