"""Streams of hand-drawn characters with their labels one step late (mann section 4.2 and supplement 7).

In an episode `N` characters come in random order, each under a label of that episode alone. Every drawing is turned by
up to π/16 and shifted by up to 10 of its 105 pixels, shrunk to 20×20, and turned by the quarter turns of its class in
this episode.

Deviations: labels that are strings never coincide within an episode; a drawing comes again only when all twenty of its
class have been shown; drawings are turned and shifted at a third of their size, with bilinear interpolation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from .._checks import bad, check_choice, check_positive
from .._typing import Key
from ..datasets.omniglot import LARGE, load_omniglot
from ..datasets.splits import load_split
from .base import AbstractTask, SequenceEpisode
from .omniglot import ROTATIONS, distinct
from .splits import TaskSplits

Labels = Literal["one-hot", "strings"]
SIDE = 20
"""Rows and columns of an image as the network sees it."""
RAW = 105
TURN, SHIFT = math.pi / 16, 10.0
"""Largest random rotation in radians, and shift in pixels of the original drawing."""
LETTERS = PLACES = 5
"""Of a label that is a string: letters of the alphabet, and letters in a string."""
LABELS = LETTERS**PLACES
"""Labels that are strings."""


@dataclass(frozen=True)
class OmniglotStreamConfig:
    """What a stream of Omniglot holds."""

    classes: int = 5
    """Classes of an episode (N)."""
    length: int = 50
    """Steps of an episode; the paper has ten times the number of classes."""
    labels: Labels = "one-hot"
    """one-hot: one of N; strings: five letters of five, 3,125 labels."""
    balanced: bool = False
    """Whether each class comes equally often; without it every step draws its class anew, as in the paper."""
    start: int = 0
    """Classes of the first training episodes, each with its share of the length, the rest being padding; one more
    comes after every `grow_every` updates until there are all. 0: all of them from the start."""
    grow_every: int = 625
    """Updates after which one more class may come, if not all did from the start; 625 updates of 16 are the paper's
    10,000 episodes."""
    split: str = "omniglot_1200_423"
    """Which classes train, validate and test; see `fastslow.datasets.splits`."""
    data: str | None = None
    """Folder with Omniglot's two zips; without it FASTSLOW_DATA, the cache and a download are tried."""
    kind: Literal["omniglot-stream"] = "omniglot-stream"
    """Tells this data set's settings from another's."""

    @property
    def features(self) -> int:
        """Size of an input."""
        return SIDE * SIDE

    @property
    def target(self) -> int:
        """Size of a label as the network sees it."""
        return self.classes if self.labels == "one-hot" else LETTERS * PLACES


class OmniglotStreamTask(AbstractTask[SequenceEpisode]):
    """Draws streams from the drawings of some characters.

    Attributes:
        images: a third of the original size, ink = 255, paper = 0; stays uint8 on the device.
        classes: of an episode.
        length: steps of an episode.
        labels: one-hot or strings.
        balanced: whether each class comes equally often.
        start, grow_every: the curriculum, if `start` is above 0.
    """

    images: UInt8[Array, "characters drawings side side"]
    classes: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)
    balanced: bool = eqx.field(static=True)
    start: int = eqx.field(static=True, default=0)
    grow_every: int = eqx.field(static=True, default=625)

    def __check_init__(self):
        if self.classes < 2:
            raise bad("classes", came=self.classes, wanted="at least 2")
        check_choice("labels", self.labels, ("one-hot", "strings"))
        characters = self.images.shape[0]
        if self.classes > characters:
            raise bad("classes", came=self.classes, wanted=f"at most the {characters} characters there are")
        if self.labels == "strings" and self.classes > LABELS:
            raise bad("classes", came=self.classes, wanted=f"at most the {LABELS} labels there are")
        if self.length < self.classes:
            raise bad(
                "length",
                came=self.length,
                wanted=f"at least one step for each of the {self.classes} classes",
                remedy=f"use {10 * self.classes}",
            )
        if self.balanced and self.length % self.classes:
            raise bad("length", came=self.length, wanted=f"a multiple of the {self.classes} classes where balanced")
        if self.start:
            self._check_curriculum()

    def _check_curriculum(self) -> None:
        check_positive("grow_every", self.grow_every)
        if not 0 < self.start <= self.classes:
            raise bad("start", came=self.start, wanted=f"between 1 and the {self.classes} classes there are in the end")
        if self.balanced:
            raise bad("balanced", came=True, wanted="False where the number of classes grows")
        if self.length % self.classes:
            raise bad(
                "length", came=self.length, wanted=f"a multiple of the {self.classes} classes where their number grows"
            )

    def sample(self, key: Key, step: Int[Array, ""]) -> SequenceEpisode:
        """Draws one stream; `step` has no effect unless the number of classes grows.

        Returns:
            Inputs float32 `[length, 20, 20]` in [0, 1] with ink = 1; targets `[length, classes]` or `[length, 25]`.
            Padding, where there is any, stands last and is zero throughout.
        """
        now = jnp.asarray(self.classes)
        if self.start:
            now = jnp.minimum(self.start + step // self.grow_every, self.classes)
        names = ("character", "quarter", "label", "order", "drawing", "warp")
        keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        characters = distinct(keys["character"], self.images.shape[0], self.classes)
        quarters = jax.random.randint(keys["quarter"], (self.classes,), 0, ROTATIONS)
        order = self._order(keys["order"], now)
        came = jnp.cumsum(jax.nn.one_hot(order, self.classes, dtype=jnp.int32), axis=0)
        instance = jnp.take_along_axis(came, order[:, None], axis=1)[:, 0]
        drawings = self.images.shape[1]
        hands = jax.vmap(jax.random.permutation, in_axes=(0, None))(
            jax.random.split(keys["drawing"], self.classes), drawings
        )
        hand = hands[order, (instance - 1) % drawings]
        inputs = self._shown(keys["warp"], characters[order], hand, quarters[order])
        episode = SequenceEpisode(inputs, self._labels(keys["label"])[order], instance)
        if not self.start:
            return episode
        counts = jnp.arange(self.length) < now * (self.length // self.classes)
        blank = lambda leaf: jnp.where(counts.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 0)
        return jax.tree.map(blank, episode)

    def _order(self, key: Key, now: Int[Array, ""]) -> Int[Array, " time"]:
        """The class of each step."""
        if self.balanced:
            return jax.random.permutation(key, jnp.arange(self.length) % self.classes)
        return jax.random.randint(key, (self.length,), 0, now)

    def _labels(self, key: Key) -> Float[Array, "classes target"]:
        """A label for each class, all different."""
        if self.labels == "one-hot":
            return jax.nn.one_hot(jax.random.permutation(key, self.classes), self.classes)
        return spelled(distinct(key, LABELS, self.classes))

    def _shown(
        self, key: Key, character: Int[Array, " time"], hand: Int[Array, " time"], quarter: Int[Array, " time"]
    ) -> Float[Array, "time height columns"]:
        key_turn, key_shift = jax.random.split(key)
        turn = jax.random.uniform(key_turn, (self.length,), minval=-TURN, maxval=TURN)
        shift = jax.random.uniform(key_shift, (self.length, 2), minval=-SHIFT, maxval=SHIFT)
        side = self.images.shape[-1]
        rows, columns = jax.vmap(lambda t, s, q: places(t, s, q, side))(turn, shift, quarter)
        number = character * self.images.shape[1] + hand
        return bilinear(self.images, number, rows, columns) / 255


def spelled(numbers: Int[Array, " labels"]) -> Float[Array, "labels target"]:
    """Labels that are strings, by their numbers below `LABELS`: the one-hot rows of their letters."""
    letters = jnp.stack([numbers // LETTERS**place % LETTERS for place in range(PLACES)], axis=1)
    return jax.nn.one_hot(letters, LETTERS).reshape(numbers.shape[0], -1)


def places(
    turn: Float[Array, ""], shift: Float[Array, "2"], quarter: Int[Array, ""], side: int
) -> tuple[Float[Array, "height columns"], Float[Array, "height columns"]]:
    """Where each pixel of a shown image lies in the drawing it is made from.

    Args:
        turn: rotation of the drawing, anticlockwise in radians.
        shift: of the turned drawing, down and to the right, in pixels of the original.
        quarter: quarter turns anticlockwise, last of all.
        side: rows of the drawing as it is kept.

    Returns:
        Rows and columns, `[20, 20]` each, in pixels of the kept drawing.
    """
    steps = (jnp.arange(SIDE, dtype=turn.dtype) - (SIDE - 1) / 2) * (RAW / SIDE)
    down, right = jnp.meshgrid(steps, steps, indexing="ij")
    # undone in reverse: quarter turns, shift, turn
    turned = ((down, right), (right, -down), (-down, -right), (-right, down))
    down = jnp.stack([pair[0] for pair in turned])[quarter] - shift[0]
    right = jnp.stack([pair[1] for pair in turned])[quarter] - shift[1]
    down, right = (
        jnp.cos(turn) * down + jnp.sin(turn) * right,
        jnp.cos(turn) * right - jnp.sin(turn) * down,
    )
    middle, scale = (side - 1) / 2, side / RAW
    return down * scale + middle, right * scale + middle


def bilinear(
    images: UInt8[Array, "characters drawings side side"],
    number: Int[Array, " time"],
    rows: Float[Array, "time height columns"],
    columns: Float[Array, "time height columns"],
) -> Float[Array, "time height columns"]:
    """Values between pixels, taken from the whole array at once so that no drawing is copied; paper beyond the edge.

    Args:
        images: all drawings.
        number: of the drawing for each step, counted over characters and drawings.
        rows: where to look, in pixels of the kept drawing.
        columns: likewise.
    """
    side = images.shape[-1]
    flat = images.reshape(-1)
    top, left = jnp.floor(rows), jnp.floor(columns)
    below, beside = rows - top, columns - left
    first = number[:, None, None] * (side * side)

    def at(row: Array, column: Array) -> Array:
        inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
        place = first + jnp.clip(row, 0, side - 1) * side + jnp.clip(column, 0, side - 1)
        return jnp.where(inside, flat[place].astype(rows.dtype), 0)

    top, left = top.astype(jnp.int32), left.astype(jnp.int32)
    above = at(top, left) * (1 - beside) + at(top, left + 1) * beside
    under = at(top + 1, left) * (1 - beside) + at(top + 1, left + 1) * beside
    return above * (1 - below) + under * below


def as_shown(images: UInt8[Array, "items side side"]) -> Float[Array, "items height columns"]:
    """Drawings as a stream shows them, 20×20 with ink = 1, neither turned nor shifted."""
    zero = jnp.zeros((), jnp.float32)
    rows, columns = places(zero, jnp.zeros(2, jnp.float32), jnp.zeros((), jnp.int32), images.shape[-1])
    number = jnp.arange(images.shape[0])
    everywhere = lambda place: jnp.broadcast_to(place, (images.shape[0], *place.shape))
    return bilinear(images[:, None], number, everywhere(rows), everywhere(columns)) / 255


def omniglot_stream_tasks(config: OmniglotStreamConfig) -> TaskSplits:
    """Loads Omniglot and makes the streams of a split; validation and test drawings are turned and shifted as well.

    Only training has a curriculum; validation and test episodes hold all classes.

    Raises:
        UserError: if the data cannot be found, the split is unknown, or the settings do not fit each other.
    """
    split = load_split(config.split)
    there = {"train": split.train, "validation": split.validation, "test": split.test}
    fewest = min(there, key=lambda part: len(there[part]))
    if config.classes > len(there[fewest]):
        wanted = f"at most the {len(there[fewest])} characters there are for {fewest}"
        raise bad("classes", came=config.classes, wanted=wanted)
    omniglot = load_omniglot(config.data, LARGE)

    def task(names: Sequence[str], start: int = 0) -> OmniglotStreamTask:
        images = jnp.asarray(omniglot.select(names))
        given = (config.classes, config.length, config.labels, config.balanced)
        return OmniglotStreamTask(images, *given, start=start, grow_every=config.grow_every)

    return TaskSplits(
        train=task(split.train, config.start),
        validation=task(split.validation),
        test=task(split.test),
        name="omniglot",
        split=split.name,
        sha256=omniglot.sha256,
    )
