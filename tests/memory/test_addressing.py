import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.reference import memory as twin

from fastslow.memory.addressing import EPSILON, cosine, dot_scores, least_used

pytestmark = pytest.mark.usefixtures("double")

RNG = np.random.default_rng(0)
MEMORY, KEY = RNG.normal(size=(5, 4)), RNG.normal(size=4)


def test_dot_scores_are_equation_3() -> None:
    expected = twin.softmax(np.array([twin.dot(row, KEY) for row in MEMORY]))
    np.testing.assert_allclose(dot_scores(jnp.asarray(MEMORY), jnp.asarray(KEY)), expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e-2], ids="scale {}".format)
def test_cosine_is_mann_equation_2_at_any_length_above_the_floor(scale: float) -> None:
    expected = [twin.cosine(row, KEY) for row in MEMORY]
    got = cosine(jnp.asarray(scale * MEMORY), jnp.asarray(KEY / scale))
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_cosine_below_the_floor_divides_by_the_floor() -> None:
    expected = [twin.cosine(1e-5 * row, KEY, np.sqrt(EPSILON)) for row in MEMORY]
    np.testing.assert_allclose(cosine(jnp.asarray(1e-5 * MEMORY), jnp.asarray(KEY)), expected, rtol=1e-9)


def test_gradients_are_finite_differences() -> None:
    arguments = jnp.asarray(MEMORY), jnp.asarray(KEY)
    check_grads(jax.jit(dot_scores), arguments, order=2)
    check_grads(jax.jit(cosine), arguments, order=2)


@pytest.mark.parametrize(
    ("memory", "key"),
    [
        (np.zeros((5, 4)), KEY),
        (MEMORY, np.zeros(4)),
        (np.zeros((5, 4)), np.zeros(4)),
        (np.full((5, 4), 1e-6), KEY),
        (np.full((5, 4), np.sqrt(EPSILON / 4)), np.full(4, np.sqrt(EPSILON / 4))),
    ],
    ids=["empty memory", "zero key", "both zero", "constant memory", "exactly at the floor"],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scores_and_gradients_are_finite_at_nasty_points(memory: np.ndarray, key: np.ndarray, dtype: type) -> None:
    arguments = jnp.asarray(memory, dtype), jnp.asarray(key, dtype)
    for address in (dot_scores, cosine):
        gradients = jax.jit(jax.jacobian(address, (0, 1)))(*arguments)
        assert np.isfinite(address(*arguments)).all()
        assert all(np.isfinite(g).all() for g in gradients)


def test_empty_slots_and_zero_keys_are_like_nothing() -> None:
    assert (cosine(jnp.zeros((5, 4)), jnp.asarray(KEY)) == 0).all()
    assert (cosine(jnp.asarray(MEMORY), jnp.zeros(4)) == 0).all()


def test_dot_scores_become_one_hot_without_overflow() -> None:
    memory, query = jnp.eye(4), 1e6 * jnp.eye(4)[2]
    assert (dot_scores(memory, query) == jnp.eye(4)[2]).all()


@pytest.mark.parametrize(
    ("usage", "slot"),
    [
        ([0, 0, 0], 0),
        ([1, 0, 0], 1),
        ([2, 1, 0.5], 2),
        ([0.5, 0.5, 0.5], 0),
        ([3, 0.1, 0.1], 1),
        ([3, 0.1 + 1e-6, 0.1], 1),
        ([3, 0.1 + 1e-3, 0.1], 2),
    ],
)
def test_least_used_is_the_first_of_the_smallest(usage: list[float], slot: int) -> None:
    assert (least_used(jnp.asarray(usage, float)) == jnp.eye(3)[slot]).all()
