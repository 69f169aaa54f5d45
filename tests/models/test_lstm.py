"""The last output of an LSTM over the rows of an input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import lstm_twin
from tests.reference import lstm as twin
from tests.sentences import refused

from fastslow.models.lstm import LSTMEmbeddingConfig
from fastslow.tasks.base import TaskSpec
from fastslow.tasks.gaussian_process import GaussianProcessConfig
from fastslow.tasks.paths import Path

pytestmark = pytest.mark.usefixtures("double")
TARGET = Path(4, 1.0, "m")
SPEC = TaskSpec("paths", "few-shot", (5, 2), TARGET, label=TARGET.size, metrics=TARGET.metrics)


def test_it_is_the_last_output_over_the_rows() -> None:
    embed = LSTMEmbeddingConfig(hidden=3).build(SPEC, key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(2, 5, 2))
    found, tracked = embed(jnp.asarray(x), embed.neutral())
    assert embed.out_size == 3
    assert not jax.tree.leaves(tracked)
    for features, rows in zip(found, x, strict=True):
        hidden = cell = np.zeros(3)
        for row in rows:
            hidden, cell = twin.lstm_step(lstm_twin(embed.lstm), hidden, cell, row)
        np.testing.assert_allclose(features, hidden, rtol=1e-12)


def test_inputs_without_rows_are_refused() -> None:
    with refused("embed: got 'lstm-rows', expected another one, as inputs of task gaussian-process have no rows"):
        LSTMEmbeddingConfig().build(GaussianProcessConfig().spec, key=jax.random.key(0))
