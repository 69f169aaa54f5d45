import jax
import jax.numpy as jnp
import numpy as np
from tests.reference.rounding import rounding

from fastslow.tasks.warp import SHIFT, warp

SIDE = 28


def blots(count: int) -> jax.Array:
    """A soft round spot of ink, off the middle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    spot = np.exp(-((rows - 15) ** 2 + (columns - 12) ** 2) / 8)
    return jnp.asarray(np.broadcast_to(spot, (count, SIDE, SIDE)), jnp.float32)


def centres(images: jax.Array) -> np.ndarray:
    """Where the ink is in the mean, row and column of each image."""
    ink = np.asarray(images, np.float64)
    total = ink.sum(axis=(1, 2))
    rows, columns = (ink.sum(axis=axis) @ np.arange(SIDE) / total for axis in (2, 1))
    return np.stack([rows, columns], axis=1)


def test_no_strength_changes_nothing() -> None:
    images = blots(3)
    np.testing.assert_array_equal(warp(images, jax.random.key(0), 0.0), images)  # places and weights are exact


def test_ink_moves_by_its_standard_deviation_and_in_the_mean_not_at_all() -> None:
    moved = centres(warp(blots(400), jax.random.key(1), 0.5)) - centres(blots(1))
    # the spot is 1.5 and 2 pixels off the middle, so turns and scales add little
    assert np.abs(moved.mean(axis=0)).max() < 0.15
    assert (np.abs(moved.std(axis=0) / (0.5 * SHIFT) - 1) < 0.15).all()


def test_values_stay_ink_and_each_image_has_its_own_map() -> None:
    images = warp(blots(5), jax.random.key(2), 1.0)
    assert images.min() >= 0
    assert images.max() <= 1 + rounding(8)
    assert len({image.tobytes() for image in np.asarray(images)}) == 5
    assert not np.array_equal(images, warp(blots(5), jax.random.key(3), 1.0))


def test_beyond_the_edge_is_paper() -> None:
    full = jnp.ones((50, SIDE, SIDE))
    warped = np.asarray(warp(full, jax.random.key(4), 1.0))
    np.testing.assert_allclose(warped[:, 14, 14], 1, atol=rounding(8))  # four weights that add up to 1
    assert (warped.min(axis=(1, 2)) == 0).mean() > 0.5
