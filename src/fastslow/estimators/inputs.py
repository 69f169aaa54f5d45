"""What users bring as images, of any kind, to what a model sees: 28×28 ink in [0, 1]."""

import hashlib
import math
import os
from collections.abc import Callable
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Int
from scipy.sparse import issparse
from sklearn.utils import check_array

from .._checks import Described, UserError, bad
from ..datasets.images import LARGEST_SIDE, to_ink_28


def as_pixels(x: Any) -> np.ndarray:
    """Pixels as numbers, `[items, height, width]` or flattened rows `[items, pixels]`.

    Raises:
        ValueError: scikit-learn's own, for rows without pixels.
        TypeError: scikit-learn's own, for what is in an array and is no number.
        UserError: for what is no array of real numbers with two or three axes, no image at all, NaN, masked pixels,
            images of different sizes, or files in place of images.
    """
    _check_kind(x)
    try:
        pixels = check_array(
            x, dtype="numeric", ensure_2d=False, allow_nd=True, ensure_all_finite=False, ensure_min_samples=0
        )
    except OverflowError as error:
        raise bad("X", got=Described("numbers too large for an array"), expected="grey levels") from error
    expected = "grey images [items, height, width] or flattened rows [items, pixels]"
    if pixels.ndim and len(pixels) == 0:
        raise bad("X", got=Described("no image"), expected="at least one")
    if pixels.ndim < 2:
        hint = "Reshape your data, to X[None] if it is one image"  # the words that scikit-learn's checks want
        raise bad("X", got=Described(f"an array of shape {pixels.shape}"), expected=expected, hint=hint)
    if pixels.ndim > 3:
        raise bad("X", got=pixels.shape, expected=expected)
    if pixels.dtype.kind not in "biuf":
        raise bad(
            "X", got=Described(f"values of type {pixels.dtype}"), expected="bool, whole or floating-point numbers"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        rows = np.nonzero(~np.isfinite(pixels).reshape(len(pixels), -1).all(axis=1))[0]
        raise bad("X", got=Described(f"NaN or infinite pixels in image {rows[0]}"), expected="finite pixels")
    return pixels


def _check_kind(x: Any) -> None:
    """Refuses what scikit-learn refuses in several lines, or takes for numbers where it is none."""
    first = x[0] if isinstance(x, list | tuple) and x else x
    if first is None or isinstance(first, str | bytes | os.PathLike | dict | np.str_ | np.bytes_):
        raise bad("X", got=first, expected="arrays of pixels", hint="open files first, as with Pillow")
    if issparse(x):
        raise bad("X", got=Described("a sparse matrix"), expected="a dense array", hint="pass X.toarray()")
    if np.ma.is_masked(x):
        raise bad("X", got=Described("masked pixels"), expected="an array without a mask", hint="pass X.filled()")
    if isinstance(first, np.ndarray) and first is not x and len(shapes := {np.shape(image) for image in x}) > 1:
        sizes = " and ".join(str(shape) for shape in sorted(shapes)[:2])
        raise bad(
            "X", got=Described(f"images of sizes {sizes}"), expected="one size in a call", hint="bring them to one size"
        )
    try:
        dtype = np.asarray(x).dtype
    except ValueError as error:
        raise bad("X", got=Described("rows of different lengths"), expected="one size in a call") from error
    if dtype.kind == "c":
        raise UserError("X: Complex data not supported; pass real numbers, such as their absolute values.")
    if dtype.kind in "SU":
        raise bad("X", got=Described("texts"), expected="arrays of pixels", hint="turn them into numbers first")


def as_images(pixels: np.ndarray, layout: Any) -> np.ndarray:
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
    named = {"row": (1, count), "square": (math.isqrt(count),) * 2}
    if isinstance(layout, str) and layout in named:
        shape = named[layout]
    elif isinstance(layout, tuple) and len(layout) == 2 and all(_is_side(n) for n in layout):
        shape = tuple(int(n) for n in layout)
    else:
        expected = f"'square', 'row' or a pair (height, width) of numbers from 1 to {LARGEST_SIDE:,}"
        raise bad("layout", got=layout, expected=expected)
    if math.prod(shape) != count:
        expected = "a square number of pixels" if layout == "square" else f"{math.prod(shape)} pixels"
        raise bad(
            "X",
            got=Described(f"rows of {count} pixels"),
            expected=expected,
            hint="pass images, or layout=(height, width)",
        )
    return pixels.reshape(-1, *shape)


def _is_side(n: Any) -> bool:
    return isinstance(n, int | np.integer) and 0 < int(n) <= LARGEST_SIDE


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
        low, high = float(pixels.min()), float(pixels.max())
        if not math.isfinite(high - low):
            raise bad(
                "X", got=Described(f"pixels from {low:g} to {high:g}"), expected="pixels whose range is a finite number"
            )
        return low, high
    if isinstance(pixel_range, tuple) and len(pixel_range) == 2 and all(isinstance(x, Real) for x in pixel_range):
        with suppress(OverflowError, ValueError):  # a whole number may be too large, and a signalling NaN is none
            low, high = (float(x) for x in pixel_range)
            if low < high and math.isfinite(high - low):
                return low, high
    fit = "" if pixels is None else ", 'fit'"
    raise bad("pixel_range", got=pixel_range, expected=f"None{fit} or a pair (low, high), finite, with low < high")


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
        form: what brings images to size, 28×28 with ink = 1 by default.

    Raises:
        UserError: for a pixel beyond the limits, a type without limits of its own, or bytes that look like a mask.
    """
    if limits is None:
        if images.dtype == np.uint8 and images.max() == 1:  # nearly no light at all, unless 1 stands for all of it
            raise bad(
                "X", got=Described("bytes that are 0 and 1"), expected="bytes up to 255", hint="pass pixel_range=(0, 1)"
            )
        return form(images, ink)
    low, high = limits
    if not cut and (images.min() < low or images.max() > high):
        got = Described(f"pixels from {images.min():g} to {images.max():g}")
        raise bad("X", got=got, expected=f"pixels in the pixel_range of {low:g} to {high:g}")
    light = (images.astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return form(np.clip(light, 0, 1), ink)


def canonical_order(images: np.ndarray, codes: np.ndarray) -> Int[np.ndarray, " items"]:
    """An order of labelled examples that follows from themselves, whatever order they come in.

    By checksum of the image, so that classes alternate as by chance: a memory that is shown one class after the other
    would see something it was not trained on.
    """
    keys = [(hashlib.sha256(image.tobytes()).digest(), code) for image, code in zip(images, codes, strict=True)]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


__all__ = ["as_images", "as_pixels", "canonical_order", "pixel_range_of", "to_ink"]
