"""Drawings of any size to what the models see: 28×28, ink = 1, paper = 0.

The same shrinking builds the cached Omniglot array and prepares a user's own images, bit for bit. Lanczos keeps the
strokes sharpest of Pillow's anti-aliasing filters; its small overshoot is clipped to paper and ink.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from .._checks import Described, bad, check_choice

SIDE = 28
"""Rows and columns of an image as the models see it."""
THIRD = 35
"""Rows and columns of a drawing at a third of its size."""
LARGEST_SIDE = 10_000
"""Most rows or columns of a user's image: a line of this length on square paper takes 100 MB."""


def shrink(drawing: UInt8[np.ndarray, "height columns"], side: int = SIDE) -> UInt8[np.ndarray, "side side"]:
    """Brings one drawing to 28×28, or another size, with anti-aliasing.

    A drawing that is not square is first centred on square paper, so that its proportions stay.

    Args:
        drawing: ink = 255, paper = 0, any size from 1×1.
        side: rows and columns of the result.

    Returns:
        The drawing with ink = 255, paper = 0.
    """
    height, columns = drawing.shape
    longer = max(height, columns)
    above, left = (longer - height) // 2, (longer - columns) // 2
    if height != columns:
        drawing = np.pad(drawing, ((above, longer - height - above), (left, longer - columns - left)))
    return np.asarray(Image.fromarray(drawing).resize((side, side), Image.Resampling.LANCZOS))


def thirds(drawing: UInt8[np.ndarray, "105 105"]) -> UInt8[np.ndarray, "35 35"]:
    """Means of 3×3 pixels: small enough to keep on a device, fine enough to turn and shift before a last shrinking."""
    blocks = drawing.reshape(THIRD, 3, THIRD, 3).astype(np.uint16)
    return np.rint(blocks.sum(axis=(1, 3), dtype=np.uint16) / 9).astype(np.uint8)


def to_ink_28(images: np.ndarray, ink: str = "dark") -> Float[np.ndarray, "items 28 28"]:
    """Brings a user's images to the form that the models see.

    Args:
        images: `[items, height, columns]`, any height and columns; bool, uint8 in 0 … 255 or float in [0, 1].
        ink: whether the strokes are the "dark" or the "light" side of the values.

    Returns:
        float32 images in [0, 1] with ink = 1.

    Raises:
        UserError: for another number of axes, an empty or too large image, another dtype, NaN, or values outside the
            range.
    """
    return _each(shrink, _ink_bytes(images, ink), SIDE).astype(np.float32) / np.float32(255)


def to_thirds(images: np.ndarray, ink: str = "dark") -> UInt8[np.ndarray, "items 35 35"]:
    """As `to_ink_28`, but to a third of the size of Omniglot's drawings, 255 for ink: what streams are made from."""
    return _each(lambda drawing: thirds(shrink(drawing, 3 * THIRD)), _ink_bytes(images, ink), THIRD)


def _each(prepare: Callable[[np.ndarray], np.ndarray], drawings: np.ndarray, side: int) -> np.ndarray:
    """Prepares one drawing after the other, of which each takes some memory of its own."""
    small = np.empty((len(drawings), side, side), np.uint8)
    for row, drawing in zip(small, drawings, strict=True):
        row[:] = prepare(drawing)
    return small


def _ink_bytes(images: np.ndarray, ink: str) -> UInt8[np.ndarray, "items height columns"]:
    """255 for ink, 0 for paper."""
    check_choice("ink", ink, ("dark", "light"))
    images = np.asarray(images)
    if images.ndim != 3 or 0 in images.shape[1:]:
        raise bad("images", got=images.shape, expected="an array [items, height, columns] with no empty image")
    if max(images.shape[1:]) > LARGEST_SIDE:
        got = Described(f"images of {images.shape[1]}×{images.shape[2]} pixels")
        raise bad("images", got=got, expected=f"at most {LARGEST_SIDE:,} pixels a side", hint="shrink them first")
    values = _to_bytes(images)
    return 255 - values if ink == "dark" else values


def _to_bytes(images: np.ndarray) -> np.ndarray:
    """Grey levels 0 … 255 of bool, uint8 or float images."""
    if images.dtype == np.uint8:
        return images
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(images.dtype, np.floating):
        raise bad("images", got=str(images.dtype), expected="bool, uint8 in 0 … 255 or float in [0, 1]")
    if not np.isfinite(images).all():
        raise bad("images", got=Described("NaN or infinite pixels"), expected="finite values in [0, 1]")
    if images.size and (images.min() < 0 or images.max() > 1):
        got = Described(f"float values from {images.min():g} to {images.max():g}")
        raise bad("images", got=got, expected="float values in [0, 1]", hint="divide by 255, or pass uint8")
    return np.rint(images * 255).astype(np.uint8)
