"""What learners without parameters share: an empty state, and that there is nothing to train."""

from typing import Generic

import jax.numpy as jnp

from .._checks import UserError
from .._typing import Key
from ..learners.base import AbstractLearner, Episode, LearnerState, Metrics


class AbstractUntrained(AbstractLearner[Episode], Generic[Episode]):
    """A learner that is measured as it is, on the same episodes as a trained one."""

    def init(self, *, key: Key) -> LearnerState:
        """The empty state; `running` has no entries, and an axis by which repetitions can be counted once stacked."""
        del key
        return LearnerState(params=(), optimiser=(), running=jnp.zeros(0))

    def update(self, state: LearnerState, episodes: Episode, *, key: Key) -> tuple[LearnerState, Metrics]:
        """Refuses.

        Raises:
            UserError: always, since there is nothing to train.
        """
        raise UserError(f"{type(self).__name__}: has no parameters to train; measure it with `evaluate` as it is.")
