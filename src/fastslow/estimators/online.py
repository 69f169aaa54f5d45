"""A network that learns from a stream, one example at a time, in the manner of river."""

from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from scipy.sparse import issparse

from .._checks import Described, bad, check_choice
from ..configs.config import Config
from ..datasets.images import to_thirds
from ..learners.base import Adaptable
from ..learners.supervised import Streamed
from ..tasks.drawing import SIDE, as_shown
from .engine import find_model
from .inputs import as_pixels, pixel_range_of, to_ink
from .labels import as_labels


class OnlineOneShot:
    """Names each image after what came before, and learns its class from one example, without any training.

    A trained network reads the stream; all it learns goes into its memory:

        model = OnlineOneShot()
        for image, label in stream:
            guess = model.predict_one(image)
            model.learn_one(image, label)

    What a network was trained on, `trained_classes` classes and `trained_examples` examples in random order, is what it
    holds. More of either are taken, and named the worse the more they are. Of the released network's streams with ten
    examples of each class, the tenth are named rightly in 98 % of cases with 5 classes, 91 % with 15, 59 % with 30.
    With up to 15 classes more examples help, or do no harm, up to about 100 in all; near 200 it names a few points
    fewer, near 300 and after far fewer (results/mann/release): start a new one before. There can be no more classes
    than the network has labels (`most_classes`).

    Labels may be of any hashable kind, images of any size. Predicting changes nothing; learning cannot be undone, but
    a copy (`copy.deepcopy`, or pickle) keeps what was learned until then.

    Args:
        model: name of a released model, or path of a run folder or of a release's folder, trained on streams.
        ink: whether strokes are the "dark" or the "light" side of the pixel values.
        pixel_range: the pixel values of no and full light, `(low, high)`; None for 0 … 255 in images of bytes and
            0 … 1 in images of floating-point numbers.

    Attributes:
        classes: the labels seen so far, in the order of their first example.
        examples: how many examples it has learned from.
    """

    def __init__(
        self,
        model: str | Path = "omniglot-stream",
        *,
        ink: Literal["dark", "light"] = "dark",
        pixel_range: tuple[float, float] | None = None,
    ):
        check_choice("ink", ink, ("dark", "light"))
        saved = find_model(model)
        spec = saved.config.task.spec
        if spec.episode != "sequence" or spec.shape != (SIDE, SIDE) or not isinstance(saved.learner, Adaptable):
            raise bad("model", got=str(model), expected="a model trained on streams of characters")
        self.ink = ink
        self.pixel_range = pixel_range_of(pixel_range)
        self.classes: list[Hashable] = []
        self.examples = 0
        self._config: Config = saved.config
        self.trained_classes = saved.config.task.classes
        self.trained_examples = saved.config.task.length
        self._streamed: Streamed = _reader(self._config).start(saved.state())

    @property
    def most_classes(self) -> int:
        """Labels that the network has."""
        return _reader(self._config).most_classes

    def predict_one(self, x: Any) -> Hashable | None:
        """The likeliest of the classes seen so far, or None before the first example.

        Args:
            x: one image, `[height, width]`.

        Raises:
            UserError: for what is no image.
        """
        probabilities = self.predict_proba_one(x)
        return max(probabilities, key=lambda label: probabilities[label]) if probabilities else None

    def predict_proba_one(self, x: Any) -> dict[Hashable, float]:
        """Probability of each class seen so far, given that it is one of them; empty before the first example.

        Args:
            x: one image, `[height, width]`.

        Raises:
            UserError: for what is no image.
        """
        image = self._image(x)
        if not self.classes:
            return {}
        log_probabilities = _reader(self._config).predict(self._streamed, image)[: len(self.classes)]
        powers = np.exp(log_probabilities - log_probabilities.max())
        return dict(zip(self.classes, (powers / powers.sum()).tolist(), strict=True))

    def learn_one(self, x: Any, y: Hashable) -> None:
        """Learns one example.

        Args:
            x: one image, `[height, width]`.
            y: its label.

        Raises:
            UserError: for what is no image or no label, or one class more than the network has labels.
        """
        image = self._image(x)
        label = as_labels([y], 1)[0]
        known = label in self.classes
        if not known and len(self.classes) == self.most_classes:
            raise bad("y", got=y, expected=f"one of the {self.most_classes} classes known, as there are no labels left")
        number = self.classes.index(label) if known else len(self.classes)
        self._streamed = _reader(self._config).learn(self._streamed, image, number)
        if not known:
            self.classes.append(label)
        self.examples += 1

    def _image(self, x: Any) -> UInt8[np.ndarray, "1 35 35"]:
        images = as_pixels(_as_batch(x))
        return to_ink(images, self.ink, self.pixel_range, cut=False, form=to_thirds)


def _as_batch(x: Any) -> Any:
    """One image as a batch of one; `as_pixels` refuses what is none."""
    expected = "one grey image [height, width], an array of pixels"
    try:
        shape = np.shape(x)
    except ValueError as error:
        raise bad("x", got=Described("rows of different lengths"), expected=expected) from error
    if issparse(x) or len(shape) != 2:
        raise bad("x", got=shape or x, expected=expected)
    return x[None] if isinstance(x, np.ndarray) else np.asarray(x)[None]


class Reader:
    """Compiled functions of one configuration, shared by all that use it."""

    def __init__(self, config: Config) -> None:
        learner: Any = config.build()
        labels = config.task.spec.target.labels()
        self.most_classes = labels.shape[0]
        self.start = jax.jit(lambda state: learner.start(state))
        self._predict = eqx.filter_jit(lambda streamed, images: learner.predict(streamed, as_shown(images))[0])
        self._learn = eqx.filter_jit(
            lambda streamed, images, number: learner.observe(streamed, as_shown(images), labels[number][None])
        )

    def predict(self, streamed: Streamed, image: UInt8[np.ndarray, "1 35 35"]) -> Float[np.ndarray, " way"]:
        """Log-probability of each label."""
        return np.asarray(self._predict(streamed, jnp.asarray(image)))

    def learn(self, streamed: Streamed, image: UInt8[np.ndarray, "1 35 35"], number: int) -> Streamed:
        """One step of the stream."""
        return jax.tree.map(np.asarray, self._learn(streamed, jnp.asarray(image), jnp.asarray(number)))


@lru_cache(maxsize=8)
def _reader(config: Config) -> Reader:
    return Reader(config)


__all__ = ["OnlineOneShot"]
