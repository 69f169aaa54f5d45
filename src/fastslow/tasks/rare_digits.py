"""A stream of MNIST's digits of which some classes are rare (fast-slow section 5.1, Figures 6 and 7).

Each update has a batch of the frequent digits; every 500th has a smaller one of the rare digits instead. Digits that
are measured are never in the stream.

Settled: a frequent batch has 16 digits, which the paper does not say; a batch is one sequence; 2,000 of MNIST's
training digits are held out for validation.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from .._checks import bad, check_integer, check_size
from .._typing import Key
from ..datasets.mnist import SIDE, Digits, load_mnist
from ..metrics import ACCURACY, Axis
from .base import AbstractTask, AbstractTaskConfig, Inputs, SequenceEpisode, TaskSpec, TaskSplits
from .targets import Categorical

CLASSES = 10
HELD_OUT = 2_000
MOST_EVERY = 10**6
BLOCK = 50
"""Digits that are measured side by side."""
GROUPS = Axis("digits", ("rare", "frequent"))


@dataclass(frozen=True)
class RareDigitsConfig(AbstractTaskConfig):
    """MNIST as a stream in which some digits are rare."""

    rare: tuple[int, ...] = (5, 6, 7, 8, 9)
    """The rare digits; all others are frequent."""
    every: int = 500
    """Updates from one rare batch to the next."""
    frequent_batch: int = 16
    """Digits of a frequent batch."""
    rare_batch: int = 10
    """Digits of a rare batch."""
    data: str | None = None
    """Folder with MNIST's four files; without it FASTSLOW_DATA, the cache and a download are tried."""
    kind: Literal["rare-digits"] = "rare-digits"
    """MNIST as a stream in which some digits are rare."""

    @property
    def spec(self) -> TaskSpec:
        """What is known of the task before its data are loaded."""
        return TaskSpec(
            self.kind,
            "sequence",
            (SIDE, SIDE),
            Categorical(CLASSES),
            label=CLASSES,
            metrics=(ACCURACY.along(GROUPS),),
            padded=self.rare_batch < self.frequent_batch,
        )

    def build(self) -> TaskSplits:
        """Loads MNIST.

        Raises:
            UserError: the data cannot be found, or the settings do not fit each other.
        """
        self._check()
        mnist = load_mnist(self.data)
        cut = len(mnist.train.labels) - HELD_OUT
        stream = Digits(mnist.train.images[:cut], mnist.train.labels[:cut])
        held_out = Digits(mnist.train.images[cut:], mnist.train.labels[cut:])
        rare = np.isin(stream.labels, self.rare)
        train = RareDigitsTask(
            jnp.asarray(stream.images),
            jnp.asarray(stream.labels),
            jnp.asarray(np.flatnonzero(rare)),
            jnp.asarray(np.flatnonzero(~rare)),
            self.every,
            self.frequent_batch,
            self.rare_batch,
        )
        split = "rare " + " ".join(map(str, self.rare))
        validation, test = self._measured(held_out), self._measured(mnist.test)
        return TaskSplits(train, validation, test, "mnist", split, mnist.sha256, "files-sha256")

    def _measured(self, digits: Digits) -> "DigitsTask":
        return DigitsTask(jnp.asarray(digits.images), jnp.asarray(digits.labels), self.rare)

    def _check(self) -> None:
        if not 0 < len(set(self.rare)) < CLASSES or len(set(self.rare)) < len(self.rare):
            raise bad("rare", got=self.rare, expected="some of the ten digits, each once, not all")
        if not set(self.rare) <= set(range(CLASSES)):
            raise bad("rare", got=self.rare, expected="digits from 0 to 9")
        check_integer("every", self.every, most=MOST_EVERY, reason="a rarer batch would not come in a training")
        check_size("frequent_batch", self.frequent_batch)
        check_size("rare_batch", self.rare_batch)
        if self.rare_batch > self.frequent_batch:
            expected = f"at most {self.frequent_batch}, the digits of a frequent one"
            raise bad("rare_batch", got=self.rare_batch, expected=expected)


class RareDigitsTask(AbstractTask[SequenceEpisode]):
    """Draws the batches of a stream.

    Attributes:
        images, labels: all digits of the stream, ink = 255.
        rare, frequent: which of them are of rare classes, and which are not.
        every: updates from one rare batch to the next.
        frequent_batch, rare_batch: digits of a batch.
    """

    sequential: ClassVar[bool] = False

    images: UInt8[Array, "digits 28 28"]
    labels: UInt8[Array, " digits"]
    rare: Int[Array, " rare"]
    frequent: Int[Array, " frequent"]
    every: int = eqx.field(static=True)
    frequent_batch: int = eqx.field(static=True)
    rare_batch: int = eqx.field(static=True)

    def sample(self, key: Key, step: Int[Array, ""]) -> SequenceEpisode:
        """Draws one batch, with replacement; a rare one ends in padding, which repeats its digits.

        Args:
            key: randomness.
            step: number of the update, counted from 0; the 500th is number 499.
        """
        is_rare = (step + 1) % self.every == 0
        key_rare, key_frequent = jax.random.split(key)
        size = (self.frequent_batch,)
        # padding repeats the batch's digits: normalisation takes the statistics of all that is shown
        rare = jax.random.choice(key_rare, self.rare, (self.rare_batch,))[jnp.arange(*size) % self.rare_batch]
        chosen = jnp.where(is_rare, rare, jax.random.choice(key_frequent, self.frequent, size))
        mask = jnp.arange(self.frequent_batch) < jnp.where(is_rare, self.rare_batch, self.frequent_batch)
        groups = jnp.where(is_rare, 0, 1) + jnp.zeros(size, jnp.int32)
        return _sequence(self.images[chosen], self.labels[chosen], mask, groups)


class DigitsTask(AbstractTask[SequenceEpisode]):
    """Digits to measure, in blocks. Attributes: `images`, `labels`; `rare`, the rare classes."""

    images: UInt8[Array, "digits 28 28"]
    labels: UInt8[Array, " digits"]
    rare: tuple[int, ...] = eqx.field(static=True)

    def size(self) -> int:
        """Blocks; the last may end in padding."""
        return -(-self.labels.shape[0] // BLOCK)

    def at(self, index: Int[Array, ""]) -> SequenceEpisode:
        """A block of digits."""
        number = index * BLOCK + jnp.arange(BLOCK, dtype=index.dtype)
        count = self.labels.shape[0]
        place = jnp.minimum(number, count - 1)
        labels = self.labels[place]
        rare = jnp.any(labels[:, None] == jnp.asarray(self.rare, labels.dtype)[None], axis=1)
        return _sequence(self.images[place], labels, number < count, jnp.where(rare, 0, 1))

    def sample(self, key: Key, step: Int[Array, ""]) -> SequenceEpisode:
        """Draws one block."""
        return self.at(jax.random.randint(key, (), 0, self.size()))


def _sequence(
    images: UInt8[Array, "time 28 28"], labels: UInt8[Array, " time"], mask: Array, groups: Int[Array, " time"]
) -> SequenceEpisode:
    targets: Float[Array, "time classes"] = jax.nn.one_hot(labels, CLASSES)
    # a network that is shown labels at its input is shown the one before
    previous = jnp.concatenate([jnp.zeros_like(targets[:1]), targets[:-1]])
    return SequenceEpisode(Inputs(images.astype(jnp.float32) / 255, previous), targets, mask, groups)


__all__ = ["DigitsTask", "RareDigitsConfig", "RareDigitsTask"]
