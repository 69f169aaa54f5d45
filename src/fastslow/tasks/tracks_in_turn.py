"""Two kinds of road users in turn: one in all updates but each 100th, which has the other (fast-slow Figures 8, 9)."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .._checks import Described, bad, check_integer
from .._typing import Key
from ..metrics import Axis
from .base import AbstractTask, EpisodeKind, SequenceEpisode, TaskSpec, TaskSplits
from .tracks import TracksConfig, TracksTask

MOST_EVERY = 10**6


@dataclass(frozen=True)
class TracksInTurnConfig(TracksConfig):
    """Paths of two kinds of road users, `learned` and, rarely, `tested`; an update has tracks of one of them.

    Tests have tracks of both that training never shows: of the first kind those beyond the first `training` tracks, and
    of the second likewise.
    """

    episode: EpisodeKind = "sequence"
    """Sequences, as networks learn them here."""
    shots: int = 5
    """Half of the tracks of an update."""
    queries: int = 5
    """The other half of them."""
    groups: Literal["motion", "scene", "any"] = "any"
    """Which tracks an update has. motion: of one motion class; scene: of one recording; any: of all."""
    every: int = 100
    """Updates from one of the rare kind to the next."""
    kind: Literal["tracks-in-turn"] = "tracks-in-turn"  # pyright: ignore[reportIncompatibleVariableOverride]
    """Paths of two kinds of road users, the second rarely."""

    @property
    def spec(self) -> TaskSpec:
        """What is known of the task before its data are loaded."""
        check_integer("every", self.every, most=MOST_EVERY, reason="a rarer update would not come in a training")
        if self.episode != "sequence":
            raise bad("episode", got=self.episode, expected=f"sequence, as task {self.kind} has no support sets")
        if self.learned == self.tested:
            raise bad("tested", got=self.tested, expected=f"another kind than learned, as task {self.kind} has two")
        agents = Axis("agent", (self.learned, self.tested))
        spec = super().spec
        return replace(spec, metrics=tuple(metric.along(agents) for metric in self.target.metrics))

    def build(self) -> TaskSplits:
        """Loads the tracks.

        Raises:
            UserError: as for `TracksConfig`, or too few tracks of the second kind.
        """
        _ = self.spec
        splits = super().build()
        second: Any = splits.test
        order, enough = np.random.default_rng(1).permutation(len(second.windows)), self.shots + self.queries
        if len(order) < self.training + enough:
            got = Described(f"{len(order)} tracks of {self.tested}")
            expected = f"at least {self.training + enough}: {self.training} for training, others for tests"
            raise bad("training", got=got, expected=expected, hint="use --task.training")
        taught, others = (_only(second, part) for part in (order[: self.training], order[self.training :]))
        train: Any = splits.train
        unseen: Any = splits.validation
        both = BothTask(unseen, others)
        return replace(splits, train=InTurnTask(train, taught, self.every), validation=both, test=both)


class InTurnTask(AbstractTask[SequenceEpisode]):
    """Draws tracks of one kind. Attributes: `usual`, and `rare`, one in `every` updates."""

    usual: TracksTask
    rare: TracksTask
    every: int = eqx.field(static=True)

    def sample(self, key: Key, step: Int[Array, ""]) -> SequenceEpisode:
        """Draws one update's tracks.

        Args:
            key: randomness.
            step: number of the update, counted from 0; the 100th is number 99.
        """
        is_rare = (step + 1) % self.every == 0
        each = [_of(task, key, step, agent) for agent, task in enumerate((self.usual, self.rare))]
        return jax.tree.map(lambda usual, rare: jnp.where(is_rare, rare, usual), *each)


class BothTask(AbstractTask[SequenceEpisode]):
    """Draws tracks of both kinds, those of the first one first. Attributes: `first`, `second`."""

    first: TracksTask
    second: TracksTask

    def sample(self, key: Key, step: Int[Array, ""]) -> SequenceEpisode:
        """Draws as many of each as an update has."""
        each = [_of(task, key, step, agent) for agent, task in enumerate((self.first, self.second))]
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *each)


def _of(task: TracksTask, key: Key, step: Int[Array, ""], agent: int) -> SequenceEpisode:
    """Tracks of one kind; the axis tells which."""
    episode: Any = task.sample(jax.random.fold_in(key, agent), step)
    return replace(episode, axis_index=jnp.full_like(episode.axis_index, agent))


def _only(task: TracksTask, places: Int[np.ndarray, " tracks"]) -> TracksTask:
    """The task of drawing from some of the windows."""
    kept = jnp.asarray(places)
    count = jnp.asarray([len(places)], task.counts.dtype)
    windows, motions = task.windows[kept], task.motions[kept]
    return TracksTask(windows, motions, jnp.arange(len(places))[None], count, task.config, task.names)


__all__ = ["BothTask", "InTurnTask", "TracksInTurnConfig"]
