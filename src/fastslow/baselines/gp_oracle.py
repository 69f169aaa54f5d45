"""What no learner of a Gaussian process can beat: the process itself, with its true settings (mann section 4.3)."""

import equinox as eqx
import jax

from .._typing import Key
from ..metrics import Figure, Metric, measured
from ..tasks.base import SequenceEpisode
from ..tasks.gaussian_process import GaussianProcessConfig, sequential_nll
from .base import Baseline


class GPOracle(Baseline[SequenceEpisode]):
    """The process that streams are drawn from, which knows its own settings.

    Attributes:
        config: the process.
        measures: what its streams are measured by.
    """

    config: GaussianProcessConfig = eqx.field(static=True)
    measures: tuple[Metric, ...] = eqx.field(static=True)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.measures

    def evaluate(self, episodes: SequenceEpisode, *, key: Key) -> dict[str, Figure]:
        """Log likelihood of each value given those before it."""
        nll = jax.vmap(lambda e: sequential_nll(self.config, e.inputs.x, e.targets[:, 0]))(episodes)
        return {m.key: measured(m, -nll, episodes.mask, episodes.axis_index) for m in self.metrics}


__all__ = ["GPOracle"]
