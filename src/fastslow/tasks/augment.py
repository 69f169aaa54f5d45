"""Random changes that one data set of characters has beside another: stroke, blur, contrast, resolution, shape."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from .._typing import Key

Image = Float[Array, "height columns"]

THIN, THICK = -0.4, 1.6
"""Least and largest growth of strokes in pixels on each side, at strength 1."""
BLUR = 0.3
"""Largest weight of the two neighbours in a blur along an axis, at strength 1; it is done twice."""
GAMMA, GAIN = 0.4, 0.3
"""Standard deviations of the logarithms of exponent and factor on the ink, at strength 1."""
BEND, KNOTS = 1.2, 4
"""Standard deviation in pixels of the knots of an elastic change, at strength 1, and knots along each axis."""
COARSE = 0.25
"""Share of images that lose resolution, at strength 1."""


def augment(
    images: Float[Array, "items height columns"], key: Key, strength: float
) -> Float[Array, "items height columns"]:
    """Changes each image by random numbers of its own.

    Args:
        images: ink = 1, paper = 0; height and columns divide by 4.
        key: randomness.
        strength: factor on all changes; 0 changes nothing.
    """
    return jax.vmap(lambda image, key: _changed(image, key, strength))(images, jax.random.split(key, images.shape[0]))


def _changed(image: Image, key: Key, strength: float) -> Image:
    bend, thickness, blur, level, coarse, look = jax.random.split(key, 6)
    image = elastic(image, strength * BEND * jax.random.normal(bend, (2, KNOTS, KNOTS)))
    image = thickened(image, strength * jax.random.uniform(thickness, (), minval=THIN, maxval=THICK))
    image = blurred(image, strength * jax.random.uniform(blur, (), maxval=BLUR))
    gamma, gain = jnp.exp(strength * jnp.asarray([GAMMA, GAIN]) * jax.random.normal(level, (2,)))
    # a power of 0 has an infinite slope
    image = jnp.clip(jnp.where(image > 0, gain * jnp.maximum(image, 1e-6) ** gamma, 0), 0, 1)
    factors = jax.random.bernoulli(look, shape=())
    lost = jnp.where(factors, coarsened(image, 2), coarsened(image, 4))
    return jnp.where(jax.random.uniform(coarse) < strength * COARSE, lost, image)


def elastic(image: Image, knots: Float[Array, "2 knots knots"]) -> Image:
    """Moves each pixel by a smooth field that goes through the knots, in pixels down and to the right."""
    height, columns = image.shape
    moves = jax.image.resize(knots, (2, height, columns), "linear")
    rows, cols = jnp.meshgrid(
        jnp.arange(height, dtype=image.dtype), jnp.arange(columns, dtype=image.dtype), indexing="ij"
    )
    return map_coordinates(image, [rows + moves[0], cols + moves[1]], order=1, mode="constant")


def thickened(image: Image, growth: Float[Array, ""]) -> Image:
    """Strokes that are wider on each side by some pixels, from −1 to 2; between whole ones the mean of both."""
    once = _extreme(image, jnp.maximum)
    stages = jnp.stack([_extreme(image, jnp.minimum), image, once, _extreme(once, jnp.maximum)])
    weights = jnp.maximum(1 - jnp.abs(jnp.arange(-1, 3, dtype=image.dtype) - growth), 0)
    return jnp.tensordot(weights, stages, axes=1)


def blurred(image: Image, weight: Float[Array, ""]) -> Image:
    """Each pixel shares with its neighbours along both axes, twice."""
    for axis in (0, 1, 0, 1):
        before, after = _shifted(image, axis)
        image = (1 - 2 * weight) * image + weight * (before + after)
    return image


def coarsened(image: Image, factor: int) -> Image:
    """The image at a fraction of its resolution, and back by bilinear interpolation."""
    height, columns = image.shape
    small = image.reshape(height // factor, factor, columns // factor, factor).mean((1, 3))
    return jax.image.resize(small, image.shape, "linear")


def _extreme(image: Image, take: Callable[[Image, Image], Image]) -> Image:
    """The largest or smallest value of each pixel and its four neighbours."""
    found = image
    for axis in (0, 1):
        for neighbour in _shifted(image, axis):
            found = take(found, neighbour)
    return found


def _shifted(image: Image, axis: int) -> tuple[Image, Image]:
    """The neighbours before and after each pixel; paper beyond the edge."""
    wide = jnp.pad(image, [(1, 1) if a == axis else (0, 0) for a in (0, 1)])
    size = image.shape[axis]
    cut = lambda first: jax.lax.slice_in_dim(wide, first, first + size, axis=axis)
    return cut(0), cut(2)


__all__ = ["augment", "blurred", "coarsened", "elastic", "thickened"]
