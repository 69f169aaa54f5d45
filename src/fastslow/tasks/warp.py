"""Small random changes of a drawing that leave its class alone: turned, sheared, scaled and moved a little."""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from .._typing import Key

TURN = 0.12
"""Standard deviation of the rotation in radians, and of the shear, at strength 1."""
SCALE = 0.10
"""Standard deviation of the logarithm of each axis' scale, at strength 1."""
SHIFT = 1.2
"""Standard deviation of the shift along each axis in pixels, at strength 1."""


def warp(
    images: Float[Array, "items height columns"], key: Key, strength: float
) -> Float[Array, "items height columns"]:
    """Changes each image by an affine map of its own, drawn at random, with bilinear interpolation.

    Args:
        images: ink = 1, paper = 0; what comes in from beyond the edge is paper.
        key: randomness.
        strength: factor on all standard deviations; 0 changes nothing.
    """
    maps = strength * jax.random.normal(key, (images.shape[0], 6))
    return jax.vmap(_affine)(images, maps)


def _affine(image: Float[Array, "height columns"], drawn: Float[Array, "6"]) -> Float[Array, "height columns"]:
    height, columns = image.shape
    rows, cols = jnp.meshgrid(
        jnp.arange(height, dtype=image.dtype), jnp.arange(columns, dtype=image.dtype), indexing="ij"
    )
    middle_row, middle_col = (height - 1) / 2, (columns - 1) / 2
    y, x = rows - middle_row, cols - middle_col
    turn, shear = TURN * drawn[0], TURN * drawn[1]
    x = x + shear * y
    x, y = jnp.cos(turn) * x - jnp.sin(turn) * y, jnp.sin(turn) * x + jnp.cos(turn) * y
    x = x * jnp.exp(SCALE * drawn[2]) + SHIFT * drawn[3] + middle_col
    y = y * jnp.exp(SCALE * drawn[4]) + SHIFT * drawn[5] + middle_row
    return map_coordinates(image, [y, x], order=1, mode="constant")
