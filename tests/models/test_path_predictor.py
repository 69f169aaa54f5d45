"""Encoder, decoder and attention against their twin."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import lstm_twin
from tests.models.specs import IMAGES
from tests.reference import path_predictor as twin
from tests.sentences import refused

from fastslow.models.network import Network
from fastslow.models.path_predictor import PathPredictorConfig
from fastslow.tasks.base import TaskSpec
from fastslow.tasks.paths import Path

pytestmark = pytest.mark.usefixtures("double")
OBSERVED, FRAMES = 5, 3
TARGET = Path(FRAMES, 1.0, "m")
SPEC = TaskSpec("paths", "sequence", (OBSERVED, 2), TARGET, label=TARGET.size, metrics=TARGET.metrics)
PATHS = np.random.default_rng(0).normal(size=(2, OBSERVED, 2))


def built() -> Network:
    return PathPredictorConfig(hidden=4).build(SPEC, key=jax.random.key(0))


def test_it_is_its_twin() -> None:
    network = built()
    head = network.head
    found, _ = network.items(jnp.asarray(PATHS), None)
    for row, path in zip(found, PATHS, strict=True):
        numbers = [np.asarray(leaf) for leaf in (head.of_state, head.of_frame, head.score)]
        step = np.asarray(head.step.weight), np.asarray(head.step.bias)
        expected = twin.predict(lstm_twin(network.embed.lstm), lstm_twin(head.lstm), *numbers, step, path, FRAMES)
        np.testing.assert_allclose(row.reshape(FRAMES, 2), expected, rtol=1e-10)


def test_a_decoder_that_makes_no_steps_stays_at_the_last_position() -> None:
    network = built()
    still = eqx.tree_at(lambda n: n.head.step, network, jax.tree.map(jnp.zeros_like, network.head.step))
    found, _ = still.items(jnp.asarray(PATHS), None)
    np.testing.assert_array_equal(found, np.tile(PATHS[:, -1], FRAMES))


def test_the_label_beside_a_path_is_not_read() -> None:
    network = built()
    features, _ = network.embed(jnp.asarray(PATHS), None)
    read = lambda label: jax.vmap(lambda row: network.cell(network.cell.init_state(), row)[1])(
        network.rows(features, jnp.full((2, TARGET.size), label))
    )
    np.testing.assert_array_equal(read(0.0), read(5.0))


def test_a_task_without_paths_is_refused() -> None:
    with refused("model: got 'path-predictor', expected another one, as task toy has no paths to predict"):
        PathPredictorConfig().build(IMAGES, key=jax.random.key(0))
