import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.models.specs import IMAGES, TOKENS
from tests.reference.rounding import rounding
from tests.sentences import refused

from fastslow.models.autoencoder import Autoencoder, AutoencoderConfig

pytestmark = pytest.mark.usefixtures("double")

SIDE = 3
ROUNDING = rounding(100, scale=10, precision=np.float64)
"""Six layers of up to nine products a unit; sums may be a tenth of what they are made of."""


def small() -> Autoencoder:
    """Weights large enough for signs of the hidden units to differ."""
    return jax.tree.map(lambda w: 2 * w, Autoencoder(SIDE * SIDE, 4, 2, key=jax.random.key(0)))


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(SIDE, SIDE))


def dense(layers, x: np.ndarray) -> np.ndarray:
    """Layer by layer and unit by unit; a hundredth of what is below zero passes, but for the last layer all of it."""
    for number, layer in enumerate(layers):
        weight, bias = np.asarray(layer.weight), np.asarray(layer.bias)
        y = np.zeros(len(bias))
        for unit in range(len(bias)):
            y[unit] = bias[unit] + sum(weight[unit, j] * x[j] for j in range(len(x)))
            if number < len(layers) - 1 and y[unit] < 0:
                y[unit] *= 0.01
        x = y
    return x


def test_features_and_reconstruction_are_the_twins() -> None:
    network = small()
    features = dense(network.encoder, image().reshape(-1))
    pixels = dense(network.decoder, features)
    np.testing.assert_allclose(network.encode(jnp.asarray(image())), features, rtol=ROUNDING)
    np.testing.assert_allclose(network.encode(jnp.asarray(image().reshape(-1))), features, rtol=ROUNDING)
    np.testing.assert_allclose(network.decode(jnp.asarray(features)), pixels, rtol=ROUNDING)
    errors = [(pixels[i] - image().reshape(-1)[i]) ** 2 for i in range(SIDE * SIDE)]
    np.testing.assert_allclose(network.loss(jnp.asarray(image())), sum(errors) / len(errors), rtol=ROUNDING)


def test_units_are_the_papers() -> None:
    network = Autoencoder(key=jax.random.key(0))
    assert [layer.out_features for layer in network.encoder] == [200, 200, 32]
    assert [layer.out_features for layer in network.decoder] == [200, 200, 400]
    assert [layer.in_features for layer in (network.encoder[0], network.decoder[0])] == [400, 32]
    assert network.encode(jnp.zeros((20, 20))).shape == (32,)


def test_nothing_is_squashed_at_the_bottleneck_and_at_the_pixels() -> None:
    network, x, features = small(), jnp.asarray(image()), jnp.asarray([0.3, -2.0])
    where = lambda n: (n.encoder[-1].bias, n.decoder[-1].bias)
    for shift in (-9.0, 9.0):
        moved = eqx.tree_at(where, network, tuple(bias + shift for bias in where(network)))
        np.testing.assert_allclose(moved.encode(x), network.encode(x) + shift, rtol=ROUNDING)
        np.testing.assert_allclose(moved.decode(features), network.decode(features) + shift, rtol=ROUNDING)


def test_gradients_are_finite_differences() -> None:
    loss = jax.jit(lambda network, x: network.loss(x))
    check_grads(loss, (small(), jnp.asarray(image())), order=1, modes=["rev"])


@pytest.mark.parametrize("size", ["pixels", "hidden", "features"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with refused(f"{size}: got 0"):
        Autoencoder(**{size: 0}, key=jax.random.key(0))


def test_its_settings_build_it() -> None:
    network = AutoencoderConfig(hidden=6, features=2).build(IMAGES, key=jax.random.key(0))
    assert [layer.weight.shape for layer in network.encoder] == [(6, 16), (6, 6), (2, 6)]
    assert [layer.weight.shape for layer in network.decoder] == [(6, 2), (6, 6), (16, 6)]


def test_tokens_are_refused() -> None:
    with refused("model: got 'autoencoder', expected another model, as inputs of task toy are tokens"):
        AutoencoderConfig().build(TOKENS, key=jax.random.key(0))
