"""Paths of road users: the first frames are observed, the next ones are to be predicted (fast-slow section 5.2).

Training and validation have one kind of road user; tests have another one, or other tracks of the same kind. A path is
the first window of a track that is long enough. Windows whose first and last positions lie near each other are left
out, as their road users stand.

Settled: MAML's tasks, and those of all that learn from few-shot episodes, are ten tracks of one motion class, because
the data at hand have no recordings; tests draw from all motion classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import Described, bad, check_choice, check_integer, check_positive, check_real, check_size
from .._typing import Key
from ..datasets.generated_tracks import MOST, MOTIONS, generated_tracks
from ..datasets.own_tracks import Columns
from ..datasets.sources import Source, load_tracks
from ..datasets.tracks import RATE, Track, Tracks, Unit
from .base import (
    AbstractTask,
    AbstractTaskConfig,
    EpisodeKind,
    Examples,
    FewShotEpisode,
    Inputs,
    SequenceEpisode,
    TaskSpec,
    TaskSplits,
)
from .coordinates import LAST, ORIGINS, Coordinates, Origin
from .paths import Path
from .windows import Windows, motions_of, moving

MOST_FRAMES = 10_000


@dataclass(frozen=True)
class TracksConfig(AbstractTaskConfig):
    """Paths of road users, in few-shot episodes or in sequences."""

    source: Source = "vru"
    """The data set, or file: a table of your own."""
    data: str | None = None
    """Folder of the data set, or the file; without it FASTSLOW_DATA."""
    columns: Columns = field(default_factory=Columns)
    """Columns of a file of your own."""
    unit: Unit = "m"
    """Unit of positions; stanford-drone has m and px."""
    learned: str = "bicycle"
    """The kind of road user of training and validation."""
    tested: str = "pedestrian"
    """The kind of road user of the tests."""
    episode: EpisodeKind = "few-shot"
    """few-shot: tracks to learn from and others to predict; sequence: as many tracks one after the other."""
    shots: int = 10
    """Tracks to learn from."""
    queries: int = 20
    """Tracks to predict."""
    observed: int = 50
    """Frames that are shown."""
    predicted: int = 50
    """Frames that are predicted."""
    rate: float = RATE
    """Frames a second, to which all tracks are resampled."""
    least: float = 1.0
    """How far a window's first and last positions lie apart at least, in the unit of positions."""
    training: int = 150
    """Tracks for training; the others of their kind are for validation, and half of them for tests where the same kind
    is tested."""
    generated: int = 0
    """Generated paths for training, beside those of the data set; see `datasets/generated_tracks.py`."""
    groups: Literal["motion", "scene", "any"] = "motion"
    """Which tracks a training episode has. motion: of one motion class; scene: of one recording; any: of all."""
    origin: Origin = "velocity"
    """From where positions are counted. scene: the middle of the tracks for training; position: the last observed one;
    velocity: the last observed one, and for those to predict where constant velocity leads."""
    turned: bool = True
    """Whether each path is turned so that its road user heads along x at the last observed frames."""
    scale: float = 1.0
    """Metres, or pixels, that are one unit of the numbers a network sees."""
    kind: Literal["tracks"] = "tracks"
    """Paths of road users."""

    @property
    def target(self) -> Path:
        """What is predicted."""
        return Path(self.predicted, self.scale, self.unit)

    @property
    def coordinates(self) -> Coordinates:
        """How positions become what a network sees and predicts."""
        return Coordinates(self.observed, self.predicted, self.origin, self.turned, self.scale)

    @property
    def spec(self) -> TaskSpec:
        """What is known of the task before its data are loaded."""
        self._check()
        target = self.target
        shape = (self.observed, 2)
        return TaskSpec(self.kind, self.episode, shape, target, label=target.size, metrics=target.metrics)

    def build(self) -> TaskSplits:
        """Loads the tracks.

        Raises:
            UserError: the data cannot be found or read, or have too few tracks of a kind.
        """
        self._check()
        tracks = load_tracks(self.source, self.data, columns=self.columns, unit=self.unit)
        names = motions_of(tracks)
        parts = self._parts(tracks)
        middle = parts[0].middle(self.scale if self.origin == "scene" else float("inf"))
        train, validation, test = (part.counted_from(middle) for part in parts)
        split = f"{self.learned}, {self.tested}"
        if self.generated:
            split += f", {self.generated:,} generated"
            points = self.observed + self.predicted
            made = self._moving(generated_tracks(self.generated, self.learned, points=points, rate=self.rate).tracks)
            train = Windows(np.concatenate([train.positions, made.positions]), (*train.tracks, *made.tracks))
            names = tuple(dict.fromkeys((*names, *MOTIONS)))
        build = lambda part, groups: tracks_task(
            self, part.positions, groups, np.array([names.index(m) for m in part.motions], np.int32), names
        )
        grouped = {"motion": train.motions, "scene": train.scenes, "any": ["any"] * len(train.tracks)}[self.groups]
        any_of = lambda part: np.zeros(len(part.tracks), np.int32)
        return TaskSplits(
            build(train, np.unique(grouped, return_inverse=True)[1]),
            build(validation, any_of(validation)),
            build(test, any_of(test)),
            tracks.name,
            split,
            tracks.sha256,
            "tracks-sha256",
        )

    def _parts(self, tracks: Tracks) -> tuple[Windows, Windows, Windows]:
        """The windows of the data set for training, validation and test; those of one kind of road user share no track.

        Raises:
            UserError: there are too few.
        """
        learned, episode = self._moving(tracks.of_agent(self.learned)), self.shots + self.queries
        order = np.random.default_rng(0).permutation(len(learned.tracks))
        train, held = learned.of(order[: self.training]), order[self.training :]
        alone = self.learned == self.tested
        if len(held) < (2 if alone else 1) * episode:
            got = Described(f"{len(order)} tracks of {self.learned} in {tracks.name}")
            least = f"at least {self.training + episode * (2 if alone else 1)}: {self.training} for training and an "
            parts = "episode each for validation and test" if alone else "episode for validation"
            raise bad("training", got=got, expected=f"{least}{parts}", hint="use --task.training")
        if alone:
            return train, learned.of(held[: len(held) // 2]), learned.of(held[len(held) // 2 :])
        test = self._moving(tracks.of_agent(self.tested))
        if len(test.tracks) < episode:
            got = Described(f"{len(test.tracks)} tracks of {self.tested} in {tracks.name}")
            raise bad("tested", got=got, expected=f"at least {episode}, those of an episode")
        return train, learned.of(held), test

    def _moving(self, tracks: Sequence[Track]) -> Windows:
        """The windows of the road users that moved."""
        return moving(tracks, self.observed + self.predicted, self.rate, self.least)

    def _check(self) -> None:
        for name in ("shots", "queries", "training"):
            check_size(name, getattr(self, name))
        for name, least in (("observed", LAST + 1), ("predicted", 1)):
            check_integer(name, getattr(self, name), least=least, most=MOST_FRAMES)
        check_positive("rate", self.rate)
        check_positive("scale", self.scale)
        check_real("least", self.least)
        check_choice("groups", self.groups, ("motion", "scene", "any"))
        check_integer("generated", self.generated, least=0, most=MOST, reason="all are held in memory at once")
        if self.generated and (self.unit != "m" or self.origin == "scene"):
            expected = "0 where the unit is px or the origin is scene: generated paths lie in no scene, and in metres"
            raise bad("generated", got=self.generated, expected=expected)
        check_choice("origin", self.origin, ORIGINS)
        check_choice("episode", self.episode, ("few-shot", "sequence"))


class TracksTask(AbstractTask):
    """Draws tracks of one group, none twice.

    Attributes:
        windows: positions in metres or pixels, counted from the middle of the tracks for training.
        motions: the number of the motion class of each.
        members: which windows belong to each group; rows end in padding.
        counts: how many do.
        config: the task's settings.
        names: of the motion classes, by their numbers.
    """

    windows: Float[Array, "tracks frames 2"]
    motions: Int[Array, " tracks"]
    members: Int[Array, "groups longest"]
    counts: Int[Array, " groups"]
    config: TracksConfig = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def sample(self, key: Key, step: Int[Array, ""]) -> FewShotEpisode | SequenceEpisode:
        """Draws one episode."""
        del step
        key_group, key_tracks = jax.random.split(key)
        group = jax.random.categorical(key_group, jnp.log(self.counts.astype(jnp.float32)))
        longest = self.members.shape[1]
        drawn = jax.random.uniform(key_tracks, (longest,))
        there = jnp.arange(longest, dtype=self.counts.dtype) < self.counts[group]
        config = self.config
        _, places = jax.lax.top_k(jnp.where(there, drawn, -1.0), config.shots + config.queries)
        chosen = self.members[group, places]
        inputs, labels = config.coordinates.observed_and_next(self.windows[chosen])
        motions, cut = self.motions[chosen], config.shots
        if config.episode == "few-shot":
            support, query = (Examples(inputs[part], labels[part]) for part in (slice(cut), slice(cut, None)))
            return FewShotEpisode(support, query, None, motions[cut:])
        return as_sequence(Examples(inputs, labels), motions)


def as_sequence(examples: Examples, motions: Int[Array, " items"]) -> SequenceEpisode:
    """Examples one after the other; a network that is shown labels at its input is shown the one before."""
    labels = examples.labels
    previous = jnp.concatenate([jnp.zeros_like(labels[:1]), labels[:-1]])
    return SequenceEpisode(Inputs(examples.inputs, previous), labels, jnp.full(labels.shape[0], True), motions)


def tracks_task(
    config: TracksConfig,
    windows: Float[np.ndarray, "tracks frames 2"],
    groups: Int[np.ndarray, " tracks"],
    motions: Int[np.ndarray, " tracks"],
    names: tuple[str, ...],
) -> TracksTask:
    """The task of drawing from some windows.

    Raises:
        UserError: no group has enough tracks for an episode.
    """
    enough = config.shots + config.queries
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    fitting = [each for each in members if len(each) >= enough]
    if not fitting:
        got = Described(f"at most {max(map(len, members))} tracks in a group for training")
        raise bad("groups", got=got, expected=f"at least {enough}, those of an episode", hint="use --task.groups any")
    longest = max(map(len, fitting))
    padded = np.stack([np.pad(each, (0, longest - len(each)), mode="edge") for each in fitting])
    counts = np.array([len(each) for each in fitting], np.int32)
    arrays = (jnp.asarray(windows, jnp.float32), jnp.asarray(motions), jnp.asarray(padded), jnp.asarray(counts))
    return TracksTask(*arrays, config, names)


__all__ = ["TracksConfig", "TracksTask", "as_sequence", "tracks_task"]
