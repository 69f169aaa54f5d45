"""What users bring, images and labels of any kind, to what a learner takes: 28×28 ink in [0, 1], labels from 0 up."""

import hashlib
import math
import os
from collections.abc import Callable, Hashable, Sequence
from numbers import Number, Real
from typing import Any

import numpy as np
from jaxtyping import Int
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._checks import UserError, bad
from ..datasets.images import to_ink_28


def as_pixels(x: Any) -> np.ndarray:
    """Pixels as numbers, `[items, height, width]` or flattened rows `[items, pixels]`.

    Raises:
        ValueError: scikit-learn's own, for what is no array of real numbers with two axes or more.
        UserError: for no image at all, NaN, too many axes, images of different sizes, or files in place of images.
    """
    first = x[0] if isinstance(x, list | tuple) and x else x
    if first is None or isinstance(first, str | bytes | os.PathLike | dict):
        raise bad("X", came=first, wanted="arrays of pixels", remedy="open files first, as with Pillow")
    if isinstance(first, np.ndarray) and first is not x and len(shapes := {np.shape(image) for image in x}) > 1:
        sizes = " and ".join(str(shape) for shape in sorted(shapes)[:2])
        raise bad("X", came=f"images of sizes {sizes}", wanted="one size in a call", remedy="bring them to one size")
    pixels = check_array(x, dtype="numeric", allow_nd=True, ensure_all_finite=False, ensure_min_samples=0)
    if pixels.ndim > 3:
        raise bad("X", came=pixels.shape, wanted="grey images [items, height, width] or flattened rows [items, pixels]")
    if len(pixels) == 0:
        raise bad("X", came="no image", wanted="at least one")
    if np.issubdtype(pixels.dtype, np.floating) and not np.isfinite(pixels).all():
        rows = np.nonzero(~np.isfinite(pixels).reshape(len(pixels), -1).all(axis=1))[0]
        raise bad("X", came=f"NaN or infinite pixels in image {rows[0]}", wanted="finite pixels")
    return pixels


def as_images(pixels: np.ndarray, layout: tuple[int, int] | str) -> np.ndarray:
    """Lays flattened rows out as images; images stay as they are.

    Args:
        pixels: `[items, height, width]` or `[items, pixels]`.
        layout: `(height, width)` of a flattened row, "square", or "row" for an image of one line.

    Raises:
        UserError: for a number of pixels that the layout does not have.
    """
    if pixels.ndim == 3:
        return pixels
    count = pixels.shape[1]
    if layout == "row":
        shape = (1, count)
    elif layout == "square":
        shape = (math.isqrt(count),) * 2
    elif isinstance(layout, tuple) and len(layout) == 2 and all(isinstance(n, int) and n > 0 for n in layout):
        shape = layout
    else:
        raise bad("layout", came=layout, wanted="'square', 'row' or a pair (height, width)")
    if math.prod(shape) != count:
        wanted = "a square number of pixels" if layout == "square" else f"{math.prod(shape)} pixels"
        raise bad("X", came=f"rows of {count} pixels", wanted=wanted, remedy="pass images, or layout=(height, width)")
    return pixels.reshape(-1, *shape)


def pixel_range_of(pixel_range: Any, pixels: np.ndarray | None = None) -> tuple[float, float] | None:
    """The range that a setting of `pixel_range` means.

    Args:
        pixel_range: the setting.
        pixels: the labelled examples, for "fit"; None where there are none yet to fit it to.

    Returns:
        The lowest and highest value, or None for 0 … 255 in bytes and 0 … 1 in floating-point numbers.

    Raises:
        UserError: for what is no range.
    """
    if pixel_range is None:
        return None
    if pixels is not None and isinstance(pixel_range, str) and pixel_range == "fit":
        return float(pixels.min()), float(pixels.max())
    if isinstance(pixel_range, tuple) and len(pixel_range) == 2 and all(isinstance(x, Real) for x in pixel_range):
        low, high = (float(x) for x in pixel_range)
        if low < high and math.isfinite(high - low):
            return low, high
    fit = "" if pixels is None else ", 'fit'"
    raise bad("pixel_range", came=pixel_range, wanted=f"None{fit} or a pair (low, high), finite, with low < high")


def to_ink(
    images: np.ndarray,
    ink: str,
    limits: tuple[float, float] | None,
    *,
    cut: bool,
    form: Callable[[np.ndarray, str], np.ndarray] = to_ink_28,
) -> np.ndarray:
    """Brings images to the form that a model sees.

    Args:
        images: `[items, height, width]`.
        ink: "dark" or "light".
        limits: values of no and full light; None for those of the images' type.
        cut: whether values beyond the limits are cut to them, rather than refused.
        form: what brings images to size, 28×28 with ink = 1 if not told otherwise.

    Raises:
        UserError: for a pixel beyond the limits, a type without limits of its own, or bytes that look like a mask.
    """
    if limits is None:
        if images.dtype == np.uint8 and images.max() == 1:  # nearly no light at all, unless 1 stands for all of it
            raise bad("X", came="bytes that are 0 and 1", wanted="bytes up to 255", remedy="pass pixel_range=(0, 1)")
        return form(images, ink)
    low, high = limits
    if not cut and (images.min() < low or images.max() > high):
        came = f"pixels from {images.min():g} to {images.max():g}"
        raise bad("X", came=came, wanted=f"pixels in the pixel_range of {low:g} to {high:g}")
    light = (images.astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return form(np.clip(light, 0, 1), ink)


def as_labels(y: Any, items: int) -> list[Hashable]:
    """Labels as a list, one for each image.

    Raises:
        UserError: for labels that are missing, too few or too many, or that cannot be told apart by `==` and `hash`.
    """
    if y is None:
        raise UserError(
            "This FewShotClassifier estimator requires y to be passed, but the target y is None; "
            "give one label for each image."
        )
    if isinstance(y, str):
        raise bad("y", came=y, wanted="one label for each image", remedy="pass a list")
    if isinstance(y, np.ndarray) or not isinstance(y, Sequence):
        y = np.asarray(y)
        y = column_or_1d(y, warn=True) if y.ndim != 1 else y
    labels = list(y)
    if len(labels) != items:
        raise bad("y", came=f"{len(labels)} labels for {items} images", wanted="one label for each image")
    for place, label in enumerate(labels):
        _check_key("y", label)
        if label is None or label != label:  # NaN alone differs from itself
            raise bad("y", came=f"no label ({label}) for image {place}", wanted="a label for each image")
    return labels


def _check_key(argument: str, label: Any) -> None:
    """Refuses what no dictionary finds again: the hash of a tuple is missing where that of a member is."""
    try:
        hash(label)
        bool(label == label)
    except (TypeError, ValueError) as error:
        wanted = "labels that can be the key of a dictionary"
        raise bad(argument, came=label, wanted=wanted, remedy="use tuples or texts") from error


def encode(labels: list[Any]) -> tuple[np.ndarray, Int[np.ndarray, " items"]]:
    """The classes, in order, and for each label the place of its class.

    Numbers and texts are ordered as NumPy does; other labels by `<`, or by type and text where they have no order.

    Raises:
        UserError: for a single class.
        ValueError: scikit-learn's own, for numbers that are no classes, such as 0.5.
    """
    if all(isinstance(label, str) for label in labels) or all(isinstance(label, Number) for label in labels):
        plain = np.asarray(labels)
        if plain.dtype.kind == "f" and not np.isfinite(plain).all():
            raise bad("y", came="an infinite label", wanted="finite labels")
        check_classification_targets(plain)
        classes, codes = np.unique(plain, return_inverse=True)
    else:
        found = set(labels)
        try:
            ordered = sorted(found)
        except TypeError:
            ordered = sorted(found, key=lambda label: (type(label).__name__, repr(label)))
        classes = np.empty(len(ordered), object)
        classes[:] = ordered
        places = {label: place for place, label in enumerate(ordered)}
        codes = np.array([places[label] for label in labels])
    if len(classes) < 2:
        raise bad("y", came=f"one class, {classes[0]}", wanted="labels of at least two classes")
    return classes, codes.astype(np.int32)


def canonical_order(images: np.ndarray, codes: np.ndarray) -> Int[np.ndarray, " items"]:
    """An order of labelled examples that follows from themselves, whatever order they came in.

    By checksum of the image, so that classes alternate as by chance: a memory that is shown one class after the other
    would see something it was not trained on.
    """
    keys = [(hashlib.sha256(image.tobytes()).digest(), code) for image, code in zip(images, codes, strict=True)]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


__all__ = ["as_images", "as_labels", "as_pixels", "canonical_order", "encode", "pixel_range_of", "to_ink"]
