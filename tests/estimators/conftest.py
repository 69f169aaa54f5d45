"""A tiny model for the estimators: untrained parameters of the smoke preset, written as a release is."""

from pathlib import Path
from typing import Any

import jax
import pytest
from tests.estimators.pictures import SLOTS, SUPPORT, Y

from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.configs.config import Config
from fastslow.configs.presets import find_preset
from fastslow.learners.fast_slow import FastSlowConfig
from fastslow.learners.supervised import SupervisedConfig
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.models.any_way import AnyWayConfig
from fastslow.models.conv import ConvConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import NetworkConfig
from fastslow.tasks.glyphs import GlyphsConfig
from fastslow.tasks.omniglot_stream import OmniglotStreamConfig
from fastslow.training.fingerprint import tree_digest
from fastslow.zoo.saved import Saved, write_release


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release whose head has five outputs."""
    return release_of(find_preset("smoke").config, tmp_path_factory)


@pytest.fixture(scope="session")
def any_way_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release for any number of classes, with a memory of eight slots."""
    model = AnyWayConfig(ConvConfig(features=8, channels=4), width=8, slots=SLOTS)
    config = Config(GlyphsConfig(train_way=7), model, FastSlowConfig(steps=1, hidden=8))
    return release_of(config, tmp_path_factory)


@pytest.fixture(scope="session", params=["one-hot", "strings"])
def tiny_stream_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release that reads streams of three classes."""
    task = OmniglotStreamConfig(classes=3, length=30, labels=request.param)
    cell = MANNConfig(LSTMConfig(hidden=8), LeastUsedConfig(slots=6, width=4, heads=2, strength="learned"))
    model = NetworkConfig(embed=FlattenConfig(), cell=cell)
    return release_of(Config(task, model, SupervisedConfig()), tmp_path_factory)


@pytest.fixture(params=["head", "prototypes"])
def readout(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def fitted(tiny_model: Path) -> dict[str, Any]:
    """One for each read-out; not to be changed."""
    from fastslow.estimators import FewShotClassifier

    return {name: FewShotClassifier(tiny_model, readout=name).fit(SUPPORT, Y) for name in ("head", "prototypes")}


def release_of(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    learner = config.build()
    state = jax.jit(lambda key: learner.init(key=key))(jax.random.key(0))
    states = jax.tree.map(lambda leaf: leaf[None], state)
    saved = Saved("tiny", config, learner, states, (0,), (tree_digest(state.params),), "last")
    folder = tmp_path_factory.mktemp("release")
    write_release(saved, folder, "# tiny\n")
    return folder
