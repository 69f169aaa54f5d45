"""Streams of hand-drawn characters with their labels one step late (mann section 4.2 and supplement 7).

In an episode `N` characters come in random order, each under a label of that episode alone. Every drawing is turned by
up to π/16 and shifted by up to 10 of its 105 pixels, shrunk to 20×20, and turned by the quarter turns of its class in
this episode.

Deviations: labels that are strings never coincide within an episode; a drawing comes again only when all twenty of its
class have been shown; drawings are turned and shifted at a third of their size, with bilinear interpolation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from .._checks import bad, check_choice, check_integer, check_positive, check_size
from .._typing import Key
from ..datasets.omniglot import LARGE, load_omniglot
from ..datasets.splits import load_split
from ..metrics import ACCURACY, Axis
from .base import AbstractTask, AbstractTaskConfig, Inputs, SequenceEpisode, TaskSpec, TaskSplits
from .drawing import SHIFT, SIDE, TURN, bilinear, places
from .omniglot import ROTATIONS, distinct
from .targets import Categorical, MultiCategorical

Labels = Literal["one-hot", "strings"]
STRINGS = MultiCategorical()
"""Labels that are strings: five letters of five."""
TABLED, LATE = (1, 2, 3, 4, 5, 10), (20, 50, 100)
"""Instances of a class whose accuracy is measured: those of mann's tables, and those of longer streams."""
PER_CLASS = 10
"""Steps of a stream for each of its classes, where nothing else is asked for."""


@dataclass(frozen=True)
class OmniglotStreamConfig(AbstractTaskConfig):
    """What a stream of Omniglot holds."""

    classes: int = 5
    """Classes of an episode (N)."""
    length: int = 50
    """Steps of an episode; the paper has ten times the number of classes."""
    labels: Labels = "one-hot"
    """one-hot: one of N; strings: five letters of five, 3,125 labels."""
    balanced: bool = False
    """Whether each class comes equally often; without it every step draws its class independently, as in the paper."""
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
    """Streams of Omniglot's characters, each label shown one step late."""

    @property
    def spec(self) -> TaskSpec:
        """What is known of the task before its data are loaded."""
        check_size("classes", self.classes)
        target = Categorical(self.classes) if self.labels == "one-hot" else STRINGS
        metrics = (ACCURACY.along(Axis("instance", (*TABLED, *LATE), optional=LATE)),)
        return TaskSpec(
            self.kind, "sequence", (SIDE, SIDE), target, label=target.size, metrics=metrics, padded=self.start > 0
        )

    def build(self) -> TaskSplits:
        """Loads Omniglot and builds the streams of the split; validation and test drawings are turned and shifted, too.

        Only training has a curriculum; validation and test episodes hold all classes.

        Raises:
            UserError: the data cannot be found, the split is unknown, or the settings do not fit each other.
        """
        check_size("length", self.length)
        check_integer("grow_every", self.grow_every, least=0, reason="updates are counted in 32 bits")
        split = load_split(self.split)
        characters = {"train": split.train, "validation": split.validation, "test": split.test}
        fewest = min(characters, key=lambda part: len(characters[part]))
        if self.classes > len(characters[fewest]):
            expected = f"at most the {len(characters[fewest])} characters there are for {fewest}"
            raise bad("classes", got=self.classes, expected=expected)
        omniglot = load_omniglot(self.data, LARGE)

        def task(names: Sequence[str], start: int = 0) -> OmniglotStreamTask:
            images = jnp.asarray(omniglot.select(names))
            return replace(self, start=start).of_images(images)

        parts = task(split.train, self.start), task(split.validation), task(split.test)
        return TaskSplits(*parts, "omniglot", split.name, omniglot.sha256, "arrays-sha256")

    def of_images(self, images: UInt8[Array, "characters drawings side side"]) -> "OmniglotStreamTask":
        """The streams of some characters."""
        given = (self.classes, self.length, self.labels, self.balanced)
        return OmniglotStreamTask(images, *given, start=self.start, grow_every=self.grow_every)

    def with_streams(self, classes: int | None = None, examples: int | None = None) -> "OmniglotStreamConfig":
        """Other streams, to measure a trained network on.

        Args:
            classes: of a stream; None for as many as now.
            examples: of a stream, each of a class drawn independently, so that classes have about as many; None for
                ten of each class in random order.

        Raises:
            UserError: the labels are as many as the classes now; fewer examples than classes.
        """
        if classes is None:
            classes = self.classes
        elif self.labels != "strings":
            expected = "no number, as the network was not trained on labels that are strings"
            raise bad("classes", got=classes, expected=expected)
        check_size("classes", classes)
        if examples is not None:
            check_size("examples", examples)
        length = PER_CLASS * classes if examples is None else examples
        if length < classes:
            raise bad("examples", got=examples, expected=f"at least one for each of the {classes} classes")
        return replace(self, classes=classes, length=length, balanced=examples is None, start=0)


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

    sequential: ClassVar[bool] = True

    images: UInt8[Array, "characters drawings side side"]
    classes: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)
    balanced: bool = eqx.field(static=True)
    start: int = eqx.field(static=True, default=0)
    grow_every: int = eqx.field(static=True, default=625)

    def __check_init__(self):
        if self.classes < 2:
            raise bad("classes", got=self.classes, expected="at least 2")
        check_choice("labels", self.labels, ("one-hot", "strings"))
        characters = self.images.shape[0]
        if self.classes > characters:
            raise bad("classes", got=self.classes, expected=f"at most the {characters} characters there are")
        if self.labels == "strings" and self.classes > STRINGS.strings:
            raise bad("classes", got=self.classes, expected=f"at most the {STRINGS.strings} labels there are")
        if self.length < self.classes:
            raise bad(
                "length",
                got=self.length,
                expected=f"at least one step for each of the {self.classes} classes",
                hint=f"use {10 * self.classes}",
            )
        if self.balanced and self.length % self.classes:
            raise bad("length", got=self.length, expected=f"a multiple of the {self.classes} classes where balanced")
        if self.start:
            self._check_curriculum()

    def _check_curriculum(self) -> None:
        check_positive("grow_every", self.grow_every)
        if not 0 < self.start <= self.classes:
            raise bad("start", got=self.start, expected=f"1 to {self.classes}, the classes there are in the end")
        if self.balanced:
            raise bad("balanced", got=True, expected="False where the number of classes grows")
        if self.length % self.classes:
            raise bad(
                "length", got=self.length, expected=f"a multiple of the {self.classes} classes where their number grows"
            )

    def sample(self, key: Key, step: Int[Array, ""]) -> SequenceEpisode:
        """Draws one stream; `step` has no effect unless the number of classes grows.

        Returns:
            Inputs float32 `[length, 20, 20]` in [0, 1] with ink = 1, and the label before each; targets
            `[length, classes]` or `[length, 25]`. Padding, where there is any, stands last and is zero throughout.
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
        x = self._shown(keys["warp"], characters[order], hand, quarters[order])
        targets = self._labels(keys["label"])[order]
        # the input is [x_t; y_{t-1}]; before the first label comes a vector of zeros
        previous = jnp.concatenate([jnp.zeros_like(targets[:1]), targets[:-1]])
        mask = jnp.arange(self.length) < now * (self.length // self.classes) if self.start else instance > 0
        episode = SequenceEpisode(Inputs(x, previous), targets, mask, instance)
        if not self.start:
            return episode
        return jax.tree.map(
            lambda leaf: jnp.where(mask.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf)), episode
        )

    def _order(self, key: Key, now: Int[Array, ""]) -> Int[Array, " time"]:
        """The class of each step."""
        if self.balanced:
            return jax.random.permutation(key, jnp.arange(self.length) % self.classes)
        return jax.random.randint(key, (self.length,), 0, now)

    def _labels(self, key: Key) -> Float[Array, "classes target"]:
        """A label for each class, all different."""
        if self.labels == "one-hot":
            return jax.nn.one_hot(jax.random.permutation(key, self.classes), self.classes)
        return STRINGS.spell(distinct(key, STRINGS.strings, self.classes))

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
