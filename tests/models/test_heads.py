import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.memory import softmax

from fastslow.models.heads import Categorical, accuracy, cross_entropy

LOGITS = np.random.default_rng(0).normal(size=(6, 4))
CLASSES = np.array([0, 1, 2, 3, 0, 1])


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def test_cross_entropy_is_the_mean_surprise_in_nats() -> None:
    expected = -sum(np.log(softmax(row)[c]) for row, c in zip(LOGITS, CLASSES, strict=True)) / len(CLASSES)
    got = cross_entropy(jnp.asarray(LOGITS), jnp.eye(4)[CLASSES])
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_cross_entropy_of_huge_logits_is_finite() -> None:
    loss, gradient = jax.value_and_grad(cross_entropy)(1e30 * jnp.eye(4), jnp.eye(4)[jnp.asarray([1, 1, 2, 3])])
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


def test_accuracy_is_a_share() -> None:
    logits = jnp.eye(4)[jnp.asarray([0, 1, 2, 2])]
    assert accuracy(logits, jnp.asarray([0, 1, 2, 3])) == 0.75


def test_equation_8_is_a_dense_layer() -> None:
    head, m = Categorical(3, 4, key=jax.random.key(0)), np.array([0.3, -1.0, 2.0])
    weight, bias = np.array(head.linear.weight), np.array(head.linear.bias)
    expected = [bias[c] + sum(weight[c, j] * m[j] for j in range(3)) for c in range(4)]
    np.testing.assert_allclose(head(jnp.asarray(m)), expected, rtol=1e-12)
