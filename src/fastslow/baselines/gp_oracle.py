"""What no learner of a Gaussian process can beat: the process itself, told how it was made (mann section 4.3)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import UserError
from .._typing import Key
from ..learners.base import LearnerState
from ..tasks.base import Examples, SequenceEpisode
from ..tasks.gaussian_process import GaussianProcessConfig, sequential_surprise
from .base import AbstractUntrained

REFUSAL = "TrueProcess: has nothing to learn; measure it with `evaluate`, or ask `tasks.gaussian_process.posterior`."


class TrueProcess(AbstractUntrained[SequenceEpisode]):
    """The process that streams are drawn from, with its true settings. It has no parameters.

    Attributes:
        config: the process.
    """

    config: GaussianProcessConfig = eqx.field(static=True)

    @property
    def judged_by(self) -> str:
        return "log_likelihood"

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Any:
        """Refuses.

        Raises:
            UserError: always, since real numbers have no classes.
        """
        raise UserError(REFUSAL)

    def predict(self, adapted: Any, inputs: Float[Array, "query ..."]) -> Float[Array, "query way"]:
        """Refuses.

        Raises:
            UserError: always, since real numbers have no classes.
        """
        raise UserError(REFUSAL)

    def evaluate(
        self, state: LearnerState, episodes: SequenceEpisode, *, key: Key
    ) -> dict[str, Float[Array, "batch ..."]]:
        """Figures of each episode, as `SequenceLearner.evaluate` has them of real numbers."""
        each = lambda episode: sequential_surprise(self.config, episode.inputs, episode.targets[:, 0])
        surprise = jax.vmap(each)(episodes)
        loss = jnp.mean(surprise, axis=1)
        return {"loss": loss, "log_likelihood": -loss, "surprise": surprise}


__all__ = ["TrueProcess"]
