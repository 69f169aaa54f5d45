"""Paths of road users: the first frames are observed, the next ones are to be predicted (fast-slow section 5.2).

Training and validation have one kind of road user, tests another one. A path is the first window of a track that is
long enough. Windows whose first and last positions lie near each other are left out, as their road users stand.

Settled: MAML's tasks, and those of all that learn from few-shot episodes, are ten tracks of one motion class, because
the data at hand have no recordings; tests draw from all motion classes.
"""

from dataclasses import dataclass, field
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import Described, bad, check_choice, check_integer, check_positive, check_real, check_size
from .._typing import Key
from ..datasets.own_tracks import Columns
from ..datasets.sources import Source, load_tracks
from ..datasets.tracks import RATE, Tracks, Unit, apart, windows_of
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
from .paths import Path

Origin = Literal["scene", "position", "velocity"]
ORIGINS: tuple[Origin, ...] = ("scene", "position", "velocity")
LAST = 10
"""Observed frames over which a velocity is averaged."""
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
    """Tracks for training; the others of their kind are for validation."""
    groups: Literal["motion", "any"] = "motion"
    """Which tracks a training episode has. motion: of one motion class; any: of all."""
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
        windows, motions = self._windows(tracks, self.learned)
        order = np.random.default_rng(0).permutation(len(windows))
        cut = len(order) - (self.shots + self.queries)
        if self.training > cut:
            got = Described(f"{len(windows)} tracks of {self.learned} in {tracks.name}")
            expected = f"at least {self.training + self.shots + self.queries}: {self.training} for training and an "
            raise bad("training", got=got, expected=f"{expected}episode for validation", hint="use --task.training")
        train, validation = order[: self.training], order[self.training :]
        corner = windows[train].reshape(-1, 2)
        low, high = corner.min(0), corner.max(0)
        if self.origin == "scene" and (side := float((high - low).max())) > self.scale:
            expected = f"at least {side:.4g}, the side of the box around the tracks, where the origin is scene"
            raise bad("scale", got=self.scale, expected=expected)
        middle = (low + high) / 2
        names = motions_of(tracks)
        by_motion = motions[train] if self.groups == "motion" else np.zeros_like(motions[train])
        test, moved = self._windows(tracks, self.tested)
        if len(test) < self.shots + self.queries:
            got = Described(f"{len(test)} tracks of {self.tested} in {tracks.name}")
            raise bad("tested", got=got, expected=f"at least {self.shots + self.queries}, those of an episode")
        build = lambda windows, groups, motions: tracks_task(self, windows - middle, groups, motions, names)
        return TaskSplits(
            build(windows[train], by_motion, motions[train]),
            build(windows[validation], np.zeros_like(motions[validation]), motions[validation]),
            build(test, np.zeros_like(moved), moved),
            tracks.name,
            f"{self.learned}, {self.tested}",
            tracks.sha256,
            "tracks-sha256",
        )

    def _windows(self, tracks: Tracks, agent: str) -> tuple[Float[np.ndarray, "n frames 2"], Int[np.ndarray, " n"]]:
        """The windows of a kind of road user that moved, and the number of the motion class of each."""
        windows, kept = windows_of(tracks.of_agent(agent), self.observed + self.predicted, self.rate)
        moving = apart(windows) >= self.least
        names = motions_of(tracks)
        return windows[moving], np.array([names.index(track.motion or "any") for track in kept], np.int32)[moving]

    def _check(self) -> None:
        for name in ("shots", "queries", "training"):
            check_size(name, getattr(self, name))
        for name, least in (("observed", LAST + 1), ("predicted", 1)):
            check_integer(name, getattr(self, name), least=least, most=MOST_FRAMES)
        check_positive("rate", self.rate)
        check_positive("scale", self.scale)
        check_real("least", self.least)
        check_choice("groups", self.groups, ("motion", "any"))
        check_choice("origin", self.origin, ORIGINS)
        check_choice("episode", self.episode, ("few-shot", "sequence"))


def motions_of(tracks: Tracks) -> tuple[str, ...]:
    """The names of the motion classes of a data set, in the order of their numbers; `any` where it has none."""
    return tuple(name or "any" for name in sorted({track.motion for track in tracks.tracks}))


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
        inputs, labels = observed_and_next(self.windows[chosen], config)
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


def observed_and_next(
    windows: Float[Array, "tracks frames 2"], config: TracksConfig
) -> tuple[Float[Array, "tracks observed 2"], Float[Array, "tracks outputs"]]:
    """What is shown of each window, and what is to be predicted; see `TracksConfig`."""
    if config.turned:
        windows = ahead(windows, config.observed)
    past, future = windows[:, : config.observed], windows[:, config.observed :]
    if config.origin != "scene":
        last = past[:, -1:]
        past, future = past - last, future - last
    if config.origin == "velocity":
        steps = jnp.arange(1, config.predicted + 1, dtype=past.dtype)
        future = future - (past[:, -1] - past[:, -1 - LAST])[:, None] / LAST * steps[None, :, None]
    return past / config.scale, future.reshape(future.shape[0], -1) / config.scale


def positions(
    past: Float[Array, "tracks observed 2"], outputs: Float[Array, "tracks outputs"], config: TracksConfig
) -> tuple[Float[Array, "tracks observed 2"], Float[Array, "tracks predicted 2"]]:
    """What is shown of paths, and what is predicted of them, both in metres or pixels and from the same origin."""
    found = outputs.reshape(outputs.shape[0], config.predicted, 2)
    if config.origin == "velocity":
        steps = jnp.arange(1, config.predicted + 1, dtype=past.dtype)
        found = found + (past[:, -1] - past[:, -1 - LAST])[:, None] / LAST * steps[None, :, None]
    return config.scale * past, config.scale * found


def ahead(windows: Float[Array, "tracks frames 2"], observed: int) -> Float[Array, "tracks frames 2"]:
    """Windows turned about the origin, so that the mean velocity of the last ten observed frames points along x."""
    x, y = (windows[:, observed - 1] - windows[:, observed - 1 - LAST]).T
    angle = jnp.arctan2(y, x)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([cos, -sin], 1), jnp.stack([sin, cos], 1)], 1)
    return jnp.matmul(windows, turn, precision=jax.lax.Precision.HIGHEST)


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
        got = Described(f"at most {max(map(len, members))} tracks of one motion class")
        raise bad("groups", got=got, expected=f"at least {enough}, those of an episode", hint="use --task.groups any")
    longest = max(map(len, fitting))
    padded = np.stack([np.pad(each, (0, longest - len(each)), mode="edge") for each in fitting])
    counts = np.array([len(each) for each in fitting], np.int32)
    arrays = (jnp.asarray(windows, jnp.float32), jnp.asarray(motions), jnp.asarray(padded), jnp.asarray(counts))
    return TracksTask(*arrays, config, names)


__all__ = [
    "LAST",
    "Origin",
    "TracksConfig",
    "TracksTask",
    "ahead",
    "as_sequence",
    "motions_of",
    "observed_and_next",
    "positions",
]
