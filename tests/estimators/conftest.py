"""A tiny model for the estimators: untrained parameters of the smoke preset, written as a release is."""

from pathlib import Path

import jax
import pytest

from fastslow.experiments.config import build_learner
from fastslow.experiments.presets import find_preset
from fastslow.experiments.saved import Saved, write_release
from fastslow.training.fingerprint import params_sha256


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release whose head has five outputs."""
    config = find_preset("smoke").config
    learner = build_learner(config)
    state = jax.jit(lambda key: learner.init(key=key))(jax.random.key(0))
    states = jax.tree.map(lambda leaf: leaf[None], state)
    saved = Saved("tiny", config, learner, states, (0,), (params_sha256(state.params),), "last")
    folder = tmp_path_factory.mktemp("release")
    write_release(saved, folder, "# tiny\n")
    return folder
