from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.rounding import rounding

from fastslow.tasks.augment import augment, blurred, coarsened, elastic, thickened

SIDE = 12


def drawing() -> np.ndarray:
    """A stroke of one pixel's width, with ends."""
    image = np.zeros((SIDE, SIDE), np.float32)
    image[3:9, 5] = 1
    return image


def grown(image: np.ndarray, take: Callable, start: float = 0.0) -> np.ndarray:
    """The extreme of each pixel and its four neighbours."""
    wide, found = np.pad(image, 1, constant_values=start), np.empty_like(image)
    for i, j in np.ndindex(image.shape):
        found[i, j] = take(wide[i + a, j + b] for a, b in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2)))
    return found


@pytest.fixture(scope="module")
def images() -> jax.Array:
    return jnp.asarray(np.stack([drawing()] * 40))


def test_no_strength_changes_nothing(images: jax.Array) -> None:
    np.testing.assert_allclose(augment(images, jax.random.key(0), 0.0), images, atol=rounding(8))


def test_each_image_changes_in_its_own_way_and_stays_ink(images: jax.Array) -> None:
    found = np.asarray(augment(images, jax.random.key(0), 1.0))
    assert len({image.tobytes() for image in found}) == 40
    assert found.min() >= 0
    assert found.max() <= 1
    ink = found.sum((1, 2)) / drawing().sum()
    assert ink.min() < 0.9
    assert ink.max() > 2
    assert not np.array_equal(found, augment(images, jax.random.key(1), 1.0))


@pytest.mark.parametrize(("growth", "share"), [(1.0, 1.0), (0.25, 0.25), (2.0, 1.0)])
def test_strokes_grow_on_each_side(growth: float, share: float) -> None:
    image = drawing()
    stage = grown(image, max)
    expected = (1 - share) * image + share * (grown(stage, max) if growth == 2 else stage)
    np.testing.assert_allclose(thickened(jnp.asarray(image), jnp.asarray(growth)), expected, atol=rounding(4))


def test_strokes_shrink_too() -> None:
    image = grown(drawing(), max)
    found = thickened(jnp.asarray(image), jnp.asarray(-1.0))
    np.testing.assert_allclose(found, grown(image, min), atol=rounding(4))


def test_blur_keeps_the_ink_and_lowers_the_peak() -> None:
    found = np.asarray(blurred(jnp.asarray(drawing()), jnp.asarray(0.25)))
    assert found.sum() == pytest.approx(drawing().sum(), rel=rounding(SIDE**2))
    # away from the stroke's ends: the middle of [1 2 1]/4 with itself
    np.testing.assert_allclose(found[6, 3:8], np.array([1, 4, 6, 4, 1]) / 16, atol=rounding(8))


def test_half_the_resolution_is_the_mean_of_four_pixels() -> None:
    image = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    small = image.reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3))
    found = np.asarray(coarsened(jnp.asarray(image), 2))
    # a pixel lies a quarter of a coarse pixel from the middle of its own
    expected = (3 * (3 * small[2, 2] + small[2, 1]) + (3 * small[1, 2] + small[1, 1])) / 16
    assert found[4, 4] == pytest.approx(expected, abs=rounding(8))


def test_a_field_that_is_the_same_everywhere_shifts() -> None:
    knots = jnp.stack([jnp.full((3, 3), 2.0), jnp.full((3, 3), -1.0)])
    found = np.asarray(elastic(jnp.asarray(drawing()), knots))
    np.testing.assert_allclose(found, np.roll(drawing(), (-2, 1), (0, 1)), atol=rounding(8))
