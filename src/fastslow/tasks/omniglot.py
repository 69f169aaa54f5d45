"""N-way S-shot episodes of hand-drawn characters, drawn on the device from one array of images.

A class is a character at one of four rotations: 1,200 characters make 4,800 classes, all equally likely, and two
rotations of one character may meet in one episode as two classes, as with class lists that carry the rotation. (Code
that first draws distinct characters, then a rotation for each, never lets them meet, which is slightly easier.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8

from .._checks import Described, bad, check_integer, check_size
from .._typing import Key
from ..datasets.images import to_ink_28
from ..datasets.omniglot import load_omniglot
from ..datasets.splits import load_split
from .augment import augment
from .base import AbstractTask, AbstractTaskConfig, Examples, FewShotEpisode, TaskSpec, TaskSplits
from .glyphs import few_shot_spec, generated_characters
from .warp import warp

ROTATIONS = 4
MOST_WARP = 5.0
"""Above it a drawing is turned and moved out of its frame."""
MOST_GENERATED = 20_000


@dataclass(frozen=True)
class OmniglotConfig(AbstractTaskConfig):
    """What an episode of Omniglot holds, and where its classes come from."""

    way: int = 5
    """Classes of an episode (N)."""
    shot: int = 1
    """Labelled examples of each class (S)."""
    train_way: int | None = None
    """Classes of a training episode, for learners that serve any number of classes; None: as many as in a test."""
    queries: int = 5
    """Queries of each class; they are drawings that the support set does not hold."""
    split: str = "omniglot_1200_423"
    """Which classes train, validate and test; see `fastslow.datasets.splits`."""
    rotations: bool = True
    """Whether each rotation by 0, 90, 180 and 270 degrees is a class of its own."""
    warp: float = 0.0
    """Strength of a small random affine change of each training drawing, 0 for none; validation and test have none."""
    augment: float = 0.0
    """Strength of random changes of each training drawing's stroke, blur, contrast, resolution and shape, for models
    that are to serve other characters than Omniglot's; 0 for none, at most 1."""
    generated: int = 0
    """Generated characters that train beside Omniglot's, 20 drawings of each."""
    data: str | None = None
    """Folder with Omniglot's two zips; without it FASTSLOW_DATA, the cache and a download are tried."""
    kind: Literal["omniglot"] = "omniglot"
    """Omniglot's characters, few examples of each class."""

    @property
    def spec(self) -> TaskSpec:
        """What is known of the task before its data are loaded."""
        characters = len(load_split(self.split).train) + self.generated
        classes = characters * (ROTATIONS if self.rotations else 1)
        return replace(few_shot_spec(self.kind, self.way, self.train_way), train_classes=classes)

    def build(self) -> TaskSplits:
        """Loads Omniglot and builds the tasks of the split.

        Raises:
            UserError: the data cannot be found, the split is unknown, or a class or drawing too many is asked for.
        """
        if not 0 <= self.warp <= MOST_WARP:
            raise bad("warp", got=self.warp, expected=f"a number from 0 to {MOST_WARP:g}")
        if not 0 <= self.augment <= 1:
            raise bad("augment", got=self.augment, expected="a number from 0 to 1")
        check_integer("generated", self.generated, least=0, most=MOST_GENERATED, reason="all are held in memory")
        check_size("shot", self.shot)
        check_size("queries", self.queries)
        split = load_split(self.split)
        omniglot = load_omniglot(self.data)

        def task(names: Sequence[str], way: int) -> OmniglotTask:
            return OmniglotTask(jnp.asarray(omniglot.select(names)), way, self.shot, self.queries, self.rotations)

        train = task(split.train, self.train_way or self.way)
        images = train.images
        if self.generated:
            images = jnp.concatenate([images, generated_characters(self.generated, images.shape[1])])
        train = replace(train, images=images, warp=self.warp, augment=self.augment)
        parts = train, task(split.validation, self.way), task(split.test, self.way)
        return TaskSplits(*parts, "omniglot", split.name, omniglot.sha256, "arrays-sha256")


class OmniglotTask(AbstractTask[FewShotEpisode]):
    """Draws episodes from the drawings of some characters.

    Attributes:
        images: ink = 255, paper = 0; stays uint8 on the device.
        way: classes of an episode.
        shot: labelled examples of each class.
        queries: queries of each class.
        rotations: whether each rotation is a class of its own.
        warp: strength of the random change of each drawing, see `warp.warp`; 0 for none.
        augment: strength of the changes of `augment.augment`; 0 for none.
    """

    images: UInt8[Array, "classes drawings 28 28"]
    way: int = eqx.field(static=True)
    shot: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)
    rotations: bool = eqx.field(static=True)
    warp: float = eqx.field(static=True, default=0.0)
    augment: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if self.way < 2:
            raise bad("way", got=self.way, expected="at least 2")
        for name in ("shot", "queries"):
            check_size(name, getattr(self, name))
        drawings = self.images.shape[1]
        if self.way > self.classes:
            raise bad("way", got=self.way, expected=f"at most the {self.classes} classes there are")
        if self.shot + self.queries > drawings:
            got = self.shot + self.queries
            raise bad("shot + queries", got=got, expected=f"at most the {drawings} drawings that each class has")

    @property
    def classes(self) -> int:
        """Number of classes that an episode draws from, rotations included."""
        return self.images.shape[0] * (ROTATIONS if self.rotations else 1)

    def sample(self, key: Key, step: Int[Array, ""]) -> FewShotEpisode:
        """Draws distinct classes, distinct drawings of each, random labels and a random order; `step` has no effect.

        Args:
            key: randomness of this episode alone.
            step: number of the update.

        Returns:
            Support set (`way * shot`) and queries (`way * queries`), each in random order and balanced over classes;
            inputs are float32 `[items, 28, 28]` in [0, 1] with ink = 1.
        """
        del step
        class_key, label_key, drawing_key, support_key, query_key, warp_key = jax.random.split(key, 6)
        chosen = distinct(class_key, self.classes, self.way)
        labels = jax.random.permutation(label_key, self.way)
        order = jax.vmap(jax.random.permutation, in_axes=(0, None))(
            jax.random.split(drawing_key, self.way), self.images.shape[1]
        )
        shots, asked = order[:, : self.shot], order[:, self.shot : self.shot + self.queries]
        key_shots, key_asked = jax.random.split(warp_key)
        support = self._examples(support_key, key_shots, chosen, labels, shots)
        query = self._examples(query_key, key_asked, chosen, labels, asked)
        # the class of each label
        return FewShotEpisode(support, query, jnp.zeros_like(chosen).at[labels].set(chosen))

    def _examples(
        self,
        key: Key,
        warp_key: Key,
        chosen: Int[Array, " way"],
        labels: Int[Array, " way"],
        drawings: Int[Array, "way each"],
    ) -> Examples:
        """The drawings named, in random order."""
        way, each = drawings.shape
        shuffled = jax.random.permutation(key, way * each)
        rows, drawing = shuffled // each, drawings.reshape(-1)[shuffled]
        turns = chosen[rows] % ROTATIONS if self.rotations else jnp.zeros_like(rows)
        character = chosen[rows] // ROTATIONS if self.rotations else chosen[rows]
        inputs = jax.vmap(quarter_turns)(self.images[character, drawing], turns).astype(jnp.float32) / 255
        if self.warp > 0:
            inputs = warp(inputs, warp_key, self.warp)
        if self.augment > 0:
            # folded, so that drawings without it stay what they were
            inputs = augment(inputs, jax.random.fold_in(warp_key, 1), self.augment)
        return Examples(inputs, labels[rows])


def distinct(key: Key, classes: int, count: int) -> Int[Array, " count"]:
    """Draws `count` different numbers below `classes`, every set of them equally likely, in no useful order.

    Floyd's method (Bentley and Floyd 1987, "A sample of brilliance"): `count` draws and no sort of all the classes.
    """
    tops = jnp.arange(classes - count, classes)
    draws = jax.random.randint(key, (count,), 0, tops + 1)

    def add(taken: Int[Array, " count"], place_top_draw):
        place, top, draw = place_top_draw
        # `top` was out of reach of every earlier draw, so it is free where `draw` is not.
        return taken.at[place].set(jnp.where(jnp.any(taken == draw), top, draw)), None

    nothing = jnp.full((count,), -1)
    return jax.lax.scan(add, nothing, (jnp.arange(count), tops, draws))[0]


def quarter_turns(image: UInt8[Array, "28 28"], turns: Int[Array, ""]) -> UInt8[Array, "28 28"]:
    """Turns an image anticlockwise by `turns` times 90 degrees, as `numpy.rot90` does."""
    return jnp.stack([jnp.rot90(image, k) for k in range(ROTATIONS)])[turns]


def task_from_arrays(
    images_per_class: Sequence[np.ndarray],
    *,
    way: int,
    shot: int,
    queries: int,
    ink: str = "dark",
) -> OmniglotTask:
    """Makes a task of a user's own classes.

    Args:
        images_per_class: for each class `[drawings, height, columns]`, as many drawings in each; see `to_ink_28`.
        way: classes of an episode.
        shot: labelled examples of each class.
        queries: queries of each class.
        ink: whether strokes are "dark" or "light".

    Raises:
        UserError: if classes differ in their number of drawings, or a class or drawing too many is asked for.
    """
    counts = sorted({len(images) for images in images_per_class})
    if len(counts) != 1:
        raise bad(
            "images_per_class",
            got=Described(f"classes of {counts} drawings"),
            expected="as many drawings in each class",
        )
    ready = np.stack([to_ink_28(images, ink) for images in images_per_class])
    return OmniglotTask(jnp.asarray(np.rint(ready * 255).astype(np.uint8)), way, shot, queries, rotations=False)
