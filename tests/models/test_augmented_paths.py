"""An LSTM with fast weights beside its own, against plain loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.specs import VECTORS
from tests.reference.lstm import Gate, LSTMWeights, lstm_step
from tests.sentences import refused

from fastslow.models.augmented import Weights
from fastslow.models.augmented_paths import AugmentedPaths, AugmentedPathsConfig
from fastslow.tasks.base import TaskSpec
from fastslow.tasks.paths import Path

pytestmark = pytest.mark.usefixtures("double")
TARGET, ITEMS, UNITS = Path(3, 1.0, "m"), 2, 3
SPEC = TaskSpec("paths", "few-shot", (5, 2), TARGET, label=TARGET.size, metrics=TARGET.metrics)
X = np.random.default_rng(0).normal(size=(ITEMS, 5, 2))


def built(seed: int = 0) -> AugmentedPaths:
    return AugmentedPathsConfig(UNITS, 4).build(SPEC, key=jax.random.key(seed))


def features(rows: np.ndarray, *layers: Weights) -> np.ndarray:
    """An LSTM whose matrices are the sum of those of the layers: it is linear in them."""
    of_input, of_hidden = (
        sum(np.asarray(getattr(layer.features[0], name)) for layer in layers) for name in ("of_input", "of_hidden")
    )
    parts = zip(np.split(of_input, 4), np.split(of_hidden, 4), (0, 1, 0, 0), strict=True)
    enter, forget, new, out = (Gate(w, u, np.full(UNITS, float(bias))) for w, u, bias in parts)
    hidden = cell = np.zeros(UNITS)
    for row in rows:
        hidden, cell = lstm_step(LSTMWeights(enter, forget, new, out), hidden, cell, row)
    return hidden


def relu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0)


def of_item(fast: Weights, item: int) -> Weights:
    return jax.tree.map(lambda leaf: leaf[item], fast)


def test_the_slow_weights_alone() -> None:
    network = built()
    found, _ = network.items(jnp.asarray(X), None)
    for row, rows in zip(found, X, strict=True):
        z = features(rows, network.slow)
        expected = np.asarray(network.slow.readout) @ relu(np.asarray(network.slow.hidden) @ z)
        np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_keys_have_the_same_fast_weights_for_all_items() -> None:
    network, fast = built(), built(1).slow
    for key, rows in zip(network.keys(jnp.asarray(X), fast), X, strict=True):
        z = features(rows, network.slow, fast)
        expected = np.asarray(network.slow.hidden) @ z + np.asarray(fast.hidden) @ z
        np.testing.assert_allclose(key, expected, rtol=1e-12)


def test_each_item_is_answered_by_fast_weights_of_its_own() -> None:
    network, slow = built(), built().slow
    fast = jax.tree.map(lambda *leaves: jnp.stack(leaves), built(1).slow, built(2).slow)
    found = network.augmented(jnp.asarray(X), fast)
    for item, (row, rows) in enumerate(zip(found, X, strict=True)):
        own = of_item(fast, item)
        z = features(rows, slow, own)
        z = relu(np.asarray(slow.hidden) @ z) + relu(np.asarray(own.hidden) @ z)
        np.testing.assert_allclose(row, np.asarray(slow.readout) @ z + np.asarray(own.readout) @ z, rtol=1e-12)


def test_no_fast_weights_are_zeros() -> None:
    network = built()
    nothing = jax.tree.map(jnp.zeros_like, eqx.filter(network.slow, eqx.is_array))
    z = network.features(jnp.asarray(X), None, own=False)
    np.testing.assert_array_equal(network.features(jnp.asarray(X), nothing.features, own=False), z)


def test_inputs_without_rows_are_refused() -> None:
    with refused("model: got 'augmented-paths', expected another one, as inputs of task toy have no rows"):
        AugmentedPathsConfig().build(VECTORS, key=jax.random.key(0))
