"""Learns from a stream, one example at a time, in the manner of river."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse

from .._checks import Described, bad, check_choice, check_integer
from ..configs.config import Config
from ..learners.base import Adaptable
from ..tasks.drawing import SIDE
from .engine import embedder_of, engine_of, find_model
from .inputs import as_pixels, pixel_range_of, to_ink
from .labels import as_labels
from .slot_reader import SlotReader, as_features, unit
from .stream_reader import first_state, reader_of

MOST_SLOTS = 1_000_000


class OnlineOneShot:
    """Names each image after what came before, and learns its class from one example, without any training.

        model = OnlineOneShot()
        for image, label in stream:
            guess = model.predict_one(image)
            model.learn_one(image, label)

    A network embeds the image, and a memory holds the features and labels of examples: a query takes the labels of
    those that it is most similar to. Classes may come at any time. Where no slot is left, the class that holds most
    slots loses its oldest example, so that rare classes stay; nothing decays.

    With `features=True` examples are feature vectors of any other network, and no model of ours is used.

    A model that was trained on streams, such as "omniglot-stream", reads the stream itself, and all it learns goes
    into its own memory. It has no more classes than it has labels, and holds what it was trained on: how many classes
    and examples that are is measured (docs/mann.md).

    Labels may be of any hashable kind, images of any size. Predicting changes nothing; learning cannot be undone, but
    a copy (`copy.deepcopy`, or pickle) keeps what was learned until then.

    Args:
        model: name of a released model, or path of a run folder or of a release's folder.
        features: whether examples are feature vectors in place of images; the model is then not used.
        slots: how many examples the memory holds; models trained on streams have their own.
        ink: whether strokes are the "dark" or the "light" side of the pixel values.
        pixel_range: the pixel values of no and full light, `(low, high)`; None for 0 … 255 in images of bytes and
            0 … 1 in images of floating-point numbers.

    Attributes:
        classes: the labels seen so far, in the order of their first example.
        examples: how many examples it has learned from.
    """

    def __init__(
        self,
        model: str | Path = "characters",
        *,
        features: bool = False,
        slots: int = 1000,
        ink: Literal["dark", "light"] = "dark",
        pixel_range: tuple[float, float] | None = None,
    ):
        check_choice("ink", ink, ("dark", "light"))
        check_integer("slots", slots, most=MOST_SLOTS, reason="each is compared with every query")
        self.ink = ink
        self.pixel_range = pixel_range_of(pixel_range)
        self.classes: list[Hashable] = []
        self.examples = 0
        self._slots = slots
        self._config: Config | None = None
        self._embedder: Any = None
        if features:
            self._state: Any = self._reader.start()
            return
        saved = find_model(model)
        if not isinstance(saved.learner, Adaptable):
            raise bad("model", got=str(model), expected="a model that learns classes from examples")
        self._config = saved.config
        if self._streams:
            if saved.config.task.spec.shape != (SIDE, SIDE):
                raise bad("model", got=str(model), expected="a model trained on characters")
            self._state = first_state(saved.config, saved.state())
            return
        self._embedder = embedder_of(saved)
        self._state = self._reader.start()

    @property
    def most_classes(self) -> int:
        """Classes that there is room for."""
        return self._reader.most_classes

    @property
    def _streams(self) -> bool:
        """Whether the model reads the stream itself."""
        return self._config is not None and self._config.task.spec.episode == "sequence"

    @property
    def _reader(self) -> Any:
        """What reads the stream. It is built at each call, so that a copy of the estimator holds arrays alone."""
        if self._config is not None and self._streams:
            return reader_of(self._config)
        return SlotReader(self._slots)

    def predict_one(self, x: Any) -> Hashable | None:
        """The likeliest of the classes seen so far, or None before the first example.

        Args:
            x: one image, `[height, width]`, or one feature vector.

        Raises:
            UserError: for what is no image, or no feature vector.
        """
        probabilities = self.predict_proba_one(x)
        return max(probabilities, key=lambda label: probabilities[label]) if probabilities else None

    def predict_proba_one(self, x: Any) -> dict[Hashable, float]:
        """Probability of each class seen so far, given that it is one of them; empty before the first example.

        Args:
            x: one image, `[height, width]`, or one feature vector.

        Raises:
            UserError: for what is no image, or no feature vector.
        """
        item = self._item(x)
        if not self.classes:
            return {}
        probabilities = self._reader.predict(self._state, item, len(self.classes))
        return dict(zip(self.classes, probabilities.tolist(), strict=True))

    def learn_one(self, x: Any, y: Hashable) -> None:
        """Learns one example.

        Args:
            x: one image, `[height, width]`, or one feature vector.
            y: its label.

        Raises:
            UserError: for what is no image, feature vector or label, or one class more than there is room for.
        """
        item = self._item(x)
        label = as_labels([y], 1)[0]
        known = label in self.classes
        if not known and len(self.classes) == self.most_classes:
            room = "there are no labels left" if self._streams else "each slot holds a class of its own"
            raise bad("y", got=y, expected=f"one of the {self.most_classes} classes known, as {room}")
        number = self.classes.index(label) if known else len(self.classes)
        self._state = self._reader.learn(self._state, item, number)
        if not known:
            self.classes.append(label)
        self.examples += 1

    def _item(self, x: Any) -> np.ndarray:
        """What the reader compares."""
        if self._config is None:
            return as_features(x)
        images = as_pixels(_as_batch(x))
        if self._streams:
            return self._reader.item(images, self.ink, self.pixel_range)
        ink = to_ink(images, self.ink, self.pixel_range, cut=False)
        return unit(engine_of(self._config).features(self._embedder, ink)[0])


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


__all__ = ["OnlineOneShot"]
