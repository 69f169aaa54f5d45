"""A trained memory network as a scikit-learn classifier: name images after a few labelled examples."""

import copy
from pathlib import Path
from typing import Any, Literal, no_type_check

import numpy as np
from jaxtyping import Float

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import Tags
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("fastslow.estimators needs scikit-learn: type `pip install 'fastslow[estimators]'`.") from error

from .._checks import Described, bad, check_choice
from ..learners.base import Adaptable
from ..zoo.saved import Saved
from .engine import find_model
from .inputs import as_images, as_pixels, canonical_order, pixel_range_of, to_ink
from .labels import as_labels, check_known, encode
from .readouts import fit_head, fit_prototypes, head_classes

Readout = Literal["auto", "head", "prototypes"]
MOST_EXAMPLES = 2000
"""Examples that a head adapts to: it embeds them all at once."""


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """Learns classes from a few labelled images each, with a model that was trained to do so.

    Images may have any size, and another one in `predict` than in `fit`: each is brought to 28×28. Flattened images
    are rows of `X`, as scikit-learn's own tools want them; all rows then have the same number of pixels. Labels may be
    of any hashable kind. Neither the order of the labelled examples nor that of the queries matters, and no answer
    depends on the other queries.

    Two read-outs turn the model into an answer:

    * `head`: the model adapts to the examples by its own protocol, as it was trained to, and its own decoder answers.
      A network for any number of classes holds as many as its memory has slots; where there are more examples than
      slots, it keeps as many of each class. Other models have as many outputs as the `way` of their configuration; with
      fewer classes, the outputs left over are masked.
    * `prototypes`: each class is the mean of its examples in the model's embedding, and the nearest one answers
      (Euclidean distance). Any number of classes, and quicker.

    `auto` takes the head where it has room for all classes and there are at most 2,000 examples, and prototypes
    otherwise.

    Any number of threads may predict while one fits: each answer follows from what was learned before or after, never
    from a part of each. Of two threads that fit or add examples at a time, the later one's result stays alone.

    The first call compiles, for seconds; so does, with the head, each number of classes or examples not met before in
    the process.

    Args:
        model: name of a released model, or path of a run folder or of a release's folder.
        ink: whether strokes are the "dark" or the "light" side of the pixel values.
        readout: "auto", "head" or "prototypes".
        pixel_range: the pixel values of no and full light, `(low, high)`; None for 0 … 255 in images of bytes and
            0 … 1 in images of floating-point numbers; "fit" for the smallest and largest value among the examples given
            to `fit`, to which later values are cut.
        layout: how a row of a two-dimensional `X` is an image: "square", `(height, width)`, or "row", an image of one
            line.

    Attributes:
        classes_: the labels, in order.
        n_features_in_: pixels of an image given to `fit`.
        readout_: the read-out in use, fitted.
        model_digest_: digest of the model's parameters.
        pixel_range_: the pixel values of no and full light in use; None for those of the images' type.
        support_images_: the examples as the model sees them.
        support_labels_: their labels.
    """

    # scikit-learn's constructors take anything and leave it to `fit` to refuse it
    @no_type_check
    def __init__(
        self,
        model: str | Path = "characters",
        *,
        ink: Literal["dark", "light"] = "dark",
        readout: Readout = "auto",
        pixel_range: tuple[float, float] | Literal["fit"] | None = None,
        layout: tuple[int, int] | Literal["square", "row"] = "square",
    ):
        self.model = model
        self.ink = ink
        self.readout = readout
        self.pixel_range = pixel_range
        self.layout = layout

    def fit(self, X: Any, y: Any) -> "FewShotClassifier":
        """Learns the classes of labelled images, forgetting any learned before.

        Args:
            X: `[items, height, width]` or flattened `[items, pixels]`; see the class.
            y: one label for each.

        Returns:
            The classifier itself; after an error it knows what it knew before.

        Raises:
            UserError: for images, labels or settings that will not do; one sentence says which and what to do.
            ValueError: scikit-learn's own, for what is no array of real numbers or no classes.
        """
        fresh = copy.copy(self)
        pixels = as_pixels(X)
        limits = pixel_range_of(fresh.pixel_range, pixels)
        labels = as_labels(y, len(pixels))
        fresh._check_width(X, pixels, reset=True)
        fresh._learn(fresh._images(pixels, limits), labels, limits)
        return self._become(fresh)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> "FewShotClassifier":
        """Adds labelled images, of old classes or of new ones, to those learned before.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            classes: all labels that may ever come. Other classifiers need to know them; here a label that is not among
                them is refused, and `None` lets any come.

        Returns:
            The classifier itself; after an error it knows what it knew before.

        Raises:
            UserError: as in `fit`.
            ValueError: as in `fit`.
        """
        pixels = as_pixels(X)
        labels = as_labels(y, len(pixels))
        check_known(labels, classes)
        if not hasattr(self, "readout_"):
            return self.fit(X, y)
        fresh = copy.copy(self)
        fresh._check_width(X, pixels, reset=False)
        images = np.concatenate([fresh.support_images_, fresh._images(pixels, fresh.pixel_range_)])
        fresh._learn(images, [*fresh.support_labels_, *labels], fresh.pixel_range_)
        return self._become(fresh)

    def predict(self, X: Any) -> np.ndarray:
        """The label of each image.

        Args:
            X: as in `fit`.

        Returns:
            `[items]`, labels out of `classes_`.
        """
        known = copy.copy(self)  # stays as it is while another thread fits
        probabilities = known.predict_proba(X)
        return known.classes_[np.argmax(probabilities, axis=1)]

    def predict_proba(self, X: Any) -> Float[np.ndarray, "items classes"]:
        """The probability of each class for each image.

        Args:
            X: as in `fit`.

        Returns:
            Rows that add up to 1, in the order of `classes_`. They rank the classes; they were not calibrated.
        """
        known = copy.copy(self)
        check_is_fitted(known)
        pixels = as_pixels(X)
        known._check_width(X, pixels, reset=False)
        return known.readout_.probabilities(known._images(pixels, known.pixel_range_))

    def _become(self, fresh: "FewShotClassifier") -> "FewShotClassifier":
        """Takes over what a copy has learned, all at once and only after it learned without an error."""
        self.__dict__ = fresh.__dict__
        return self

    def _learn(self, images: np.ndarray, labels: list[Any], limits: tuple[float, float] | None) -> None:
        """Learns images and labels."""
        classes, codes = encode(labels)
        saved = find_model(self.model)
        spec = saved.config.task.spec
        if spec.chance is None:
            raise bad("model", got=str(self.model), expected="a model that names classes")
        if spec.episode != "few-shot" or not isinstance(saved.learner, Adaptable):
            expected = "a model trained on few-shot episodes, not on streams"
            raise bad("model", got=str(self.model), expected=expected, hint="use OnlineOneShot")
        order = canonical_order(images, codes)
        fit = fit_head if self._takes_head(saved, len(classes), len(codes)) else fit_prototypes
        self.readout_ = fit(saved, images[order], codes[order])
        self.classes_ = classes
        self.model_digest_ = saved.digests[0]
        self.pixel_range_ = limits
        self.support_images_, self.support_labels_ = images, labels

    def _takes_head(self, saved: Saved, classes: int, examples: int) -> bool:
        check_choice("readout", self.readout, ("auto", "head", "prototypes"))
        if self.readout == "prototypes":
            return False
        most, hint = head_classes(saved.config), "use readout='prototypes' or 'auto'"
        room = most is None or classes <= most
        if self.readout == "head" and not room:
            expected = f"at most {most}, which the head of model {saved.name!r} has room for"
            raise bad("y", got=Described(f"{classes} classes"), expected=expected, hint=hint)
        if self.readout == "head" and examples > MOST_EXAMPLES:
            got, expected = Described(f"{examples} images"), f"at most {MOST_EXAMPLES:,} for readout 'head'"
            raise bad("X", got=got, expected=expected, hint=hint)
        return room and examples <= MOST_EXAMPLES

    def _images(self, pixels: np.ndarray, limits: tuple[float, float] | None) -> Float[np.ndarray, "items 28 28"]:
        return to_ink(as_images(pixels, self.layout), self.ink, limits, cut=self.pixel_range == "fit")

    def _check_width(self, X: Any, pixels: np.ndarray, *, reset: bool) -> None:
        """Has scikit-learn note or compare the number of pixels, and their names where a data frame has them."""
        table: Any = X if hasattr(X, "columns") else pixels.reshape(len(pixels), -1)
        if pixels.ndim == 2 or reset:  # images, unlike rows, may have another size later
            validate_data(self, table, reset=reset, skip_check_array=True)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # scikit-learn's way of adding to its tags
        tags.input_tags.three_d_array = True
        tags.classifier_tags.poor_score = True  # on points in the plane, which are no images
        return tags


__all__ = ["FewShotClassifier"]
