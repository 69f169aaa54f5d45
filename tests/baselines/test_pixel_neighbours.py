"""Nearest neighbour on pixels: against a naive twin, and measured on the episodes of every learner."""

import jax
import jax.numpy as jnp
import numpy as np
from tests.learners.tiny import WAY, Marks
from tests.reference.rounding import rounding

from fastslow.baselines.pixel_neighbours import PixelNeighbours, nearest_labels, squared_distances
from fastslow.tasks.base import Examples
from fastslow.training.evaluate import evaluate_all

KEY = jax.random.key(0)


def support(rows: list[list[float]], labels: list[int]) -> Examples:
    return Examples(jnp.asarray(rows, jnp.float32), jnp.asarray(labels, jnp.int32))


def named(examples: Examples, queries: np.ndarray) -> list[int]:
    return nearest_labels(examples, jnp.asarray(queries), WAY).tolist()


def test_it_agrees_with_a_naive_search() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((9, 28, 28), np.float32)
    labels = rng.permutation(np.repeat(np.arange(WAY), 3)).tolist()
    queries = rng.random((20, 28, 28), np.float32)
    naive = [labels[int(np.argmin([np.sqrt(((q - x) ** 2).sum()) for x in images]))] for q in queries]
    assert named(support(images.tolist(), labels), queries) == naive
    assert len(set(naive)) == WAY


def test_the_nearest_wins_not_the_nearest_on_average() -> None:
    # class 0 has the nearest example and the farthest one
    assert named(support([[0.0, 0.1], [9.0, 9.0], [0.0, 2.0]], [0, 0, 1]), np.zeros((1, 2), np.float32)) == [0]


def test_of_equals_the_smallest_label_and_never_a_class_that_is_absent() -> None:
    assert named(support([[1.0], [-1.0]], [2, 1]), np.zeros((1, 1), np.float32)) == [1]


def test_equal_vectors_are_at_distance_zero() -> None:
    x = jax.random.normal(KEY, (4, 784))
    squares = np.asarray(squared_distances(x, x))
    assert (squares >= 0).all()
    # ‖a‖² + ‖b‖² − 2 a·b: each of the three is a sum of 784 products, and together they are up to 4 ‖a‖² in size
    atol = rounding(784, scale=4 * float(jnp.max(jnp.sum(x**2, axis=1))))
    np.testing.assert_allclose(np.diag(squares), 0, atol=atol)
    wide = np.asarray(x, np.float64)
    np.testing.assert_allclose(squares, ((wide[:, None] - wide[None]) ** 2).sum(axis=2), rtol=0, atol=atol)


def test_distances_of_small_whole_numbers_are_exact() -> None:
    """No sum leaves the whole numbers that single precision has, so there is nothing to round on any processor."""
    x = np.random.default_rng(0).integers(-9, 10, (5, 784))
    squares = squared_distances(jnp.asarray(x, jnp.float32), jnp.asarray(x, jnp.float32))
    np.testing.assert_array_equal(squares, ((x[:, None] - x[None]) ** 2).sum(axis=2))


def test_it_is_measured_on_the_episodes_of_every_learner() -> None:
    drawn = lambda episodes, batch: evaluate_all(
        PixelNeighbours(way=WAY), None, Marks(noise=0.5), episodes=episodes, batch=batch, seed=3
    )["accuracy"]
    found = drawn(12, 4)
    assert found.total.shape == found.count.shape == (1, 12)
    assert (found.count == 2 * WAY).all()
    assert 1 / WAY < found.total.sum() / found.count.sum() < 1
    np.testing.assert_array_equal(drawn(12, 5).total, found.total)
