"""Nearest neighbour over a stream: what a learner without parameters makes of what came before (mann Table 2)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._typing import Key
from ..metrics import ACCURACY, Figure, Metric, measured
from ..tasks.base import SequenceEpisode
from .base import Baseline
from .pixel_neighbours import squared_distances

Features = Callable[[Float[Array, "..."]], Float[Array, " features"]]
"""What an input is compared by, such as `Autoencoder.encode`."""


class StreamNeighbours(Baseline[SequenceEpisode]):
    """Names each input after the nearest one before it in the stream (Euclidean distance, one neighbour).

    It stores all that comes. Of equally near inputs the earliest wins. With nothing stored it guesses one of the
    episode's classes, each equally likely, whatever their labels look like: those that the episode will show, which it
    is given. From then on it names only what it has seen, so of N classes the first instance is named rightly with a
    chance of 1/N² (mann section 9.1.2).

    Attributes:
        measures: the metrics of the streams.
        features: what inputs are compared by, a module or a function of one input; without it by their pixels.
    """

    measures: tuple[Metric, ...] = eqx.field(static=True)
    features: Features | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.measures

    def evaluate(self, episodes: SequenceEpisode, *, key: Key) -> dict[str, Figure]:
        """Accuracy along the stream, by instance where a metric asks for it."""
        keys = jax.random.split(key, episodes.mask.shape[0])
        correct = jax.vmap(self._correct)(episodes, keys).astype(episodes.inputs.x.dtype)
        expected = {metric.key: metric for metric in (ACCURACY, *self.measures)}
        return {k: measured(m, correct, episodes.mask, episodes.axis_index) for k, m in expected.items()}

    def _correct(self, episode: SequenceEpisode, key: Key) -> Bool[Array, " time"]:
        """Which steps of one episode are named rightly; padding never is."""
        answer = self._nearest(episode, _guess(episode, key))
        return jnp.all(episode.targets[answer] == episode.targets, axis=1) & episode.mask

    def _nearest(self, episode: SequenceEpisode, guess: Int[Array, ""]) -> Int[Array, " time"]:
        """For each step the earlier one whose label it is given; `guess` where there is none."""
        rows = self._rows(episode.inputs.x)
        steps = jnp.arange(rows.shape[0])
        stored = (steps[None] < steps[:, None]) & episode.mask[None]
        nearest = jnp.argmin(jnp.where(stored, squared_distances(rows, rows), jnp.inf), axis=1)
        return jnp.where(jnp.any(stored, axis=1), nearest, guess)

    def _rows(self, inputs: Float[Array, "items ..."]) -> Float[Array, "items features"]:
        rows = inputs if self.features is None else jax.vmap(self.features)(inputs)
        return rows.reshape(rows.shape[0], -1)


def _guess(episode: SequenceEpisode, key: Key) -> Int[Array, ""]:
    """A step whose label is that of a class drawn by chance: each class has one first instance."""
    return jax.random.categorical(key, jnp.where(episode.mask & (episode.axis_index == 1), 0.0, -jnp.inf))


__all__ = ["StreamNeighbours"]
