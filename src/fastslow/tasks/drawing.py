"""Drawings as a stream shows them: turned, shifted and shrunk to 20×20 with bilinear interpolation."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

SIDE = 20
"""Rows and columns of an image as the network sees it."""
RAW = 105
TURN, SHIFT = math.pi / 16, 10.0
"""Largest random rotation in radians, and shift in pixels of the original drawing."""


def places(
    turn: Float[Array, ""], shift: Float[Array, "2"], quarter: Int[Array, ""], side: int
) -> tuple[Float[Array, "height columns"], Float[Array, "height columns"]]:
    """Where each pixel of a shown image lies in the drawing it is made from.

    Args:
        turn: rotation of the drawing, anticlockwise in radians.
        shift: of the turned drawing, down and to the right, in pixels of the original.
        quarter: quarter turns anticlockwise, last of all.
        side: rows of the drawing as it is kept.

    Returns:
        Rows and columns, `[20, 20]` each, in pixels of the kept drawing.
    """
    steps = (jnp.arange(SIDE, dtype=turn.dtype) - (SIDE - 1) / 2) * (RAW / SIDE)
    down, right = jnp.meshgrid(steps, steps, indexing="ij")
    # undone in reverse: quarter turns, shift, turn
    turned = ((down, right), (right, -down), (-down, -right), (-right, down))
    down = jnp.stack([pair[0] for pair in turned])[quarter] - shift[0]
    right = jnp.stack([pair[1] for pair in turned])[quarter] - shift[1]
    down, right = (
        jnp.cos(turn) * down + jnp.sin(turn) * right,
        jnp.cos(turn) * right - jnp.sin(turn) * down,
    )
    middle, scale = (side - 1) / 2, side / RAW
    return down * scale + middle, right * scale + middle


def bilinear(
    images: UInt8[Array, "characters drawings side side"],
    number: Int[Array, " time"],
    rows: Float[Array, "time height columns"],
    columns: Float[Array, "time height columns"],
) -> Float[Array, "time height columns"]:
    """Values between pixels, taken from the whole array at once so that no drawing is copied; paper beyond the edge.

    Args:
        images: all drawings.
        number: of the drawing for each step, counted over characters and drawings.
        rows: where to look, in pixels of the kept drawing.
        columns: likewise.
    """
    side = images.shape[-1]
    flat = images.reshape(-1)
    top, left = jnp.floor(rows), jnp.floor(columns)
    below, beside = rows - top, columns - left
    first = number[:, None, None] * (side * side)

    def at(row: Array, column: Array) -> Array:
        inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
        place = first + jnp.clip(row, 0, side - 1) * side + jnp.clip(column, 0, side - 1)
        return jnp.where(inside, flat[place].astype(rows.dtype), 0)

    top, left = top.astype(jnp.int32), left.astype(jnp.int32)
    above = at(top, left) * (1 - beside) + at(top, left + 1) * beside
    under = at(top + 1, left) * (1 - beside) + at(top + 1, left + 1) * beside
    return above * (1 - below) + under * below


def as_shown(images: UInt8[Array, "items side side"]) -> Float[Array, "items height columns"]:
    """Drawings as a stream shows them, 20×20 with ink = 1, neither turned nor shifted."""
    zero = jnp.zeros((), jnp.float32)
    rows, columns = places(zero, jnp.zeros(2, jnp.float32), jnp.zeros((), jnp.int32), images.shape[-1])
    number = jnp.arange(images.shape[0])
    everywhere = lambda place: jnp.broadcast_to(place, (images.shape[0], *place.shape))
    return bilinear(images[:, None], number, everywhere(rows), everywhere(columns)) / 255
