"""Nearest neighbour over a stream: what a learner without parameters makes of what came before (mann Table 2)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._typing import Key
from ..learners.base import LearnerState
from ..learners.instances import named_rightly
from ..tasks.base import Examples, SequenceEpisode
from .base import AbstractUntrained
from .pixel_neighbours import PixelNeighbours, squared_distances

Features = Callable[[Float[Array, "..."]], Float[Array, " features"]]
"""What an input is compared by, such as `Autoencoder.encode`."""


class StreamNeighbours(AbstractUntrained[SequenceEpisode]):
    """Names each input after the nearest one before it in the stream (Euclidean distance, one neighbour).

    It stores all that comes, and has no parameters. Of equally near inputs the earliest wins. With nothing stored it
    guesses one of the episode's classes, each equally likely, whatever their labels look like: those that the episode
    will show, which it is told. From then on it names only what it has seen, so of N classes the first instance is
    named rightly with a chance of 1/N² (mann section 9.1.2).

    Attributes:
        features: what inputs are compared by, a module or a function of one input; without it by their pixels.
        way: classes that `predict` answers about.
        instances: how many instances of a class are scored apart.
    """

    features: Features | None = None
    way: int = eqx.field(static=True, default=5)
    instances: int = eqx.field(static=True, default=10)

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Examples:
        """Remembers the support set by its features."""
        return Examples(self._rows(support.inputs), support.labels)

    def predict(self, adapted: Examples, inputs: Float[Array, "query ..."]) -> Float[Array, "query way"]:
        """As `PixelNeighbours.predict`, of the features."""
        return PixelNeighbours(self.way).predict(adapted, self._rows(inputs))

    def evaluate(
        self, state: LearnerState, episodes: SequenceEpisode, *, key: Key
    ) -> dict[str, Float[Array, "batch ..."]]:
        """`accuracy`, `hits` and `seen` of each episode, see `named_rightly`."""
        keys = jax.random.split(key, episodes.instance.shape[0])
        hits = jax.vmap(self._hits)(episodes, keys).astype(episodes.targets.dtype)
        return named_rightly(hits, episodes, self.instances)

    def _hits(self, episode: SequenceEpisode, key: Key) -> Bool[Array, " time"]:
        """Which steps of one episode are named rightly; padding never is."""
        counted = episode.instance > 0
        answer = self._nearest(episode, _guess(episode, key))
        return jnp.all(episode.targets[answer] == episode.targets, axis=1) & counted

    def _nearest(self, episode: SequenceEpisode, guess: Int[Array, ""]) -> Int[Array, " time"]:
        """For each step the earlier one whose label it is given; `guess` where there is none."""
        rows = self._rows(episode.inputs)
        steps = jnp.arange(rows.shape[0])
        stored = (steps[None] < steps[:, None]) & (episode.instance > 0)[None]
        nearest = jnp.argmin(jnp.where(stored, squared_distances(rows, rows), jnp.inf), axis=1)
        return jnp.where(jnp.any(stored, axis=1), nearest, guess)

    def _rows(self, inputs: Float[Array, "items ..."]) -> Float[Array, "items features"]:
        rows = inputs if self.features is None else jax.vmap(self.features)(inputs)
        return rows.reshape(rows.shape[0], -1)


def _guess(episode: SequenceEpisode, key: Key) -> Int[Array, ""]:
    """A step whose label is that of a class drawn by chance: each class has one first instance."""
    return jax.random.categorical(key, jnp.where(episode.instance == 1, 0.0, -jnp.inf))


__all__ = ["StreamNeighbours"]
