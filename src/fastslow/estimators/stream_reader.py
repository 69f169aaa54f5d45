"""A network that was trained on streams, at work on one: all it learns goes into its own memory."""

from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from ..configs.config import Config
from ..datasets.images import to_thirds
from ..learners.base import LearnerState
from ..learners.supervised import Streamed
from ..tasks.drawing import as_shown
from .inputs import to_ink


class StreamReader:
    """Compiled functions of one configuration, shared by all that use it."""

    def __init__(self, config: Config) -> None:
        learner: Any = config.build()
        labels = config.task.spec.target.labels()
        self.most_classes = labels.shape[0]
        self.start = jax.jit(lambda state: learner.start(state))
        self._predict = eqx.filter_jit(lambda streamed, images: learner.predict(streamed, as_shown(images))[0])
        self._learn = eqx.filter_jit(
            lambda streamed, images, number: learner.observe(streamed, as_shown(images), labels[number][None])
        )

    def item(self, images: np.ndarray, ink: str, limits: tuple[float, float] | None) -> UInt8[np.ndarray, "1 35 35"]:
        """An image as the network is given it."""
        return to_ink(images, ink, limits, cut=False, form=to_thirds)

    def predict(
        self, streamed: Streamed, image: UInt8[np.ndarray, "1 35 35"], classes: int
    ) -> Float[np.ndarray, " classes"]:
        """Probability of each of the first labels, given that it is one of them."""
        log_probabilities = np.asarray(self._predict(streamed, jnp.asarray(image)))[:classes]
        powers = np.exp(log_probabilities - log_probabilities.max())
        return powers / powers.sum()

    def learn(self, streamed: Streamed, image: UInt8[np.ndarray, "1 35 35"], number: int) -> Streamed:
        """One step of the stream."""
        return jax.tree.map(np.asarray, self._learn(streamed, jnp.asarray(image), jnp.asarray(number)))


@lru_cache(maxsize=8)
def reader_of(config: Config) -> StreamReader:
    """The reader of a configuration."""
    return StreamReader(config)


def first_state(config: Config, state: LearnerState) -> Streamed:
    """A network before the first step of a stream."""
    return reader_of(config).start(state)


__all__ = ["StreamReader", "first_state", "reader_of"]
