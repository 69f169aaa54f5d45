"""Few-shot episodes of generated characters: the data that is always there, without a download.

A class is a number. Numbers `0 … 2**30 - 1` are classes to train on, the next `2**30` validate, the next `2**30` test,
so a class of one split cannot be one of another. Its program is drawn from one fixed key with the number folded in;
threefry maps numbers to keys one to one, so different classes have different keys, always. Two keys could still draw
equal programs by chance: even two strokes hold four uniform numbers of 18 bits and more, so for any two classes the
odds are below 2**-70. Look-alikes, as `O` and `0` are in our own script, do occur, and are part of the task.
"""

from dataclasses import dataclass, replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8, UInt32

from .._checks import bad, check_choice, check_size
from .._typing import Key
from ..metrics import ACCURACY
from .base import AbstractTask, AbstractTaskConfig, Examples, FewShotEpisode, TaskSpec, TaskSplits
from .digest import QUICK, SCHEME, draws_digest, reference
from .strokes import MOST_JITTER, SHAKES, SIZE, class_program, draw, render
from .targets import Categorical

SPLITS = ("train", "validation", "test")
CLASSES_PER_SPLIT = 2**30
_REFERENCE = 16
"""First class and key of the reference draws, such that none is near to a place where rounding changes."""


@dataclass(frozen=True)
class GlyphsConfig(AbstractTaskConfig):
    """What an episode of glyphs is made of."""

    way: int = 5
    """Classes of an episode."""
    shot: int = 1
    """Labelled drawings of each class in the support set."""
    train_way: int | None = None
    """Classes of a training episode, for learners that serve any number of classes; None: as many as in a test."""
    queries: int = 5
    """Drawings of each class to be named."""
    jitter: float = 1.0
    """How much drawings of one class differ, from 0 (not at all) to 1.5."""
    kind: Literal["glyphs"] = "glyphs"
    """Generated characters, few examples of each class."""

    @property
    def spec(self) -> TaskSpec:
        """What is known of the task before it is built."""
        return few_shot_spec(self.kind, self.way, self.train_way)

    def build(self) -> TaskSplits:
        """Builds the tasks of the three splits.

        Raises:
            UserError: a size is not above 0, or the jitter is out of range.
        """
        of_training = replace(self, way=self.train_way or self.way)
        train, validation, test = (GlyphsTask(of_training if s == "train" else self, s) for s in SPLITS)
        digest = draws_digest(reference_draws(), (float(self.jitter),))
        return TaskSplits(train, validation, test, "glyphs", "2**30 each", digest, SCHEME)


def few_shot_spec(kind: str, way: int, train_way: int | None) -> TaskSpec:
    """What few-shot tasks of 28×28 drawings have in common."""
    check_size("way", way)
    if train_way is not None:
        check_size("train_way", train_way)
    target = Categorical(way)
    return TaskSpec(kind, "few-shot", (SIZE, SIZE), target, label=way, metrics=(ACCURACY,), train_way=train_way)


def class_key(number: UInt32[Array, ""] | int) -> Key:
    """The key of a class. Its generator is fixed, whatever `jax_default_prng_impl` says, so that classes stay apart."""
    world = jax.random.key(7, impl="threefry2x32")
    return jax.random.fold_in(world, number)


def class_numbers(split: str, first: UInt32[Array, ""], way: int) -> UInt32[Array, " way"]:
    """Numbers of `way` different classes of a split.

    Args:
        split: `train`, `validation` or `test`.
        first: any number below `CLASSES_PER_SPLIT`; classes are independent of each other, so neighbours will do.
        way: how many.

    Returns:
        Numbers from `first` on, wrapped around within the split.
    """
    within = (first + jnp.arange(way, dtype=jnp.uint32)) % jnp.uint32(CLASSES_PER_SPLIT)
    return within + jnp.uint32(SPLITS.index(split) * CLASSES_PER_SPLIT)


class GlyphsTask(AbstractTask[FewShotEpisode]):
    """N-way S-shot episodes of one split.

    Attributes:
        config: sizes of an episode, and how drawings differ.
        split: `train`, `validation` or `test`.
    """

    config: GlyphsConfig = eqx.field(static=True)
    split: str = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_choice("split", self.split, SPLITS)
        if self.config.way < 2:
            raise bad("way", got=self.config.way, expected="at least 2")
        for name in ("shot", "queries"):
            check_size(name, getattr(self.config, name))
        if not 0 <= self.config.jitter <= MOST_JITTER:
            raise bad("jitter", got=self.config.jitter, expected=f"a number from 0 to {MOST_JITTER}")

    def sample(self, key: Key, step: Int[Array, ""]) -> FewShotEpisode:
        """Draws an episode: fresh classes, fresh drawings, labels by chance, both sets in random order.

        Args:
            key: randomness of this episode alone.
            step: not used; glyphs know no curriculum.
        """
        del step
        first_key, shake_key, support_key, query_key = jax.random.split(key, 4)
        way, shot, queries = self.config.way, self.config.shot, self.config.queries
        # 30 random bits are a number below CLASSES_PER_SPLIT, each equally likely; so is each label of a class.
        first = jax.random.bits(first_key, dtype=jnp.uint32) % jnp.uint32(CLASSES_PER_SPLIT)
        programs = jax.vmap(lambda number: class_program(class_key(number)))(class_numbers(self.split, first, way))
        # One draw for all of them is quicker to compile and to run than a key for each drawing.
        shakes = jax.random.uniform(shake_key, (way, shot + queries, SHAKES), minval=-1.0, maxval=1.0)
        drawings = jax.vmap(jax.vmap(draw, in_axes=(None, 0)))(programs, self.config.jitter * shakes)
        return FewShotEpisode(
            support=_shuffled(drawings[:, :shot], support_key), query=_shuffled(drawings[:, shot:], query_key)
        )


def generated_characters(classes: int, drawings: int) -> UInt8[Array, "classes drawings 28 28"]:
    """Drawings of the first classes that train, as bytes; ink = 255."""

    def of_class(number: UInt32[Array, ""]) -> UInt8[Array, "drawings 28 28"]:
        key = class_key(number)
        # the class's program uses the key itself
        keys = jax.random.split(jax.random.fold_in(key, 1), drawings)
        images = jax.vmap(render, in_axes=(None, 0))(class_program(key), keys)
        return jnp.rint(255 * jnp.clip(images, 0, 1)).astype(jnp.uint8)

    return jax.jit(lambda numbers: jax.lax.map(of_class, numbers, batch_size=50))(jnp.arange(classes, dtype=jnp.uint32))


def _shuffled(drawings: Float[Array, "way each 28 28"], key: Key) -> Examples:
    """Labels drawings by their class's row, and puts them in random order."""
    way, each = drawings.shape[:2]
    order = jnp.argsort(jax.random.bits(key, (way * each,), dtype=jnp.uint32))
    return Examples(inputs=drawings.reshape(-1, SIZE, SIZE)[order], labels=order // each)


@reference
def reference_draws() -> Float[np.ndarray, "drawings 3"]:
    """Mean ink, and mean row and column of the ink, of one drawing of each of twelve classes, four of each split."""
    numbers = jnp.concatenate([class_numbers(split, jnp.uint32(_REFERENCE), 4) for split in SPLITS])
    keys = jax.random.split(jax.random.key(_REFERENCE), len(numbers))
    once = jax.jit(jax.vmap(lambda number, key: render(class_program(class_key(number)), key)), compiler_options=QUICK)
    images, places = np.asarray(once(numbers, keys), np.float64), np.arange(SIZE)
    ink, rows, columns = images.sum((1, 2)), images.sum(2), images.sum(1)
    return np.stack([ink / SIZE**2, rows @ places / ink, columns @ places / ink], axis=1)
