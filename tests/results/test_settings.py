"""A network on other numbers of classes and examples than it was trained with."""

from dataclasses import replace

import jax
import pytest
from tests.results.rows import ROW

from fastslow._checks import UserError
from fastslow.configs.config import Config
from fastslow.configs.run import Trained
from fastslow.learners.prototypes import PrototypesConfig
from fastslow.models.embedder import EmbedderConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.results.measure import measure
from fastslow.results.settings import in_setting, placed, setting_of
from fastslow.tasks.gaussian_process import GaussianProcessConfig
from fastslow.tasks.glyphs import GlyphsConfig

CONFIG = Config(GlyphsConfig(way=3, train_way=4, queries=1), EmbedderConfig(FlattenConfig()), PrototypesConfig())


@pytest.fixture
def trained() -> Trained:
    learner = CONFIG.build()
    state = learner.init(key=jax.random.key(0))
    states = jax.tree.map(lambda leaf: leaf[None], state)
    return Trained(CONFIG, learner, CONFIG.task.build(), states, (0,), seconds=9.0)


def test_another_setting_is_measured_as_such(trained: Trained) -> None:
    other = in_setting(trained, way=6, shot=2)
    assert (other.config.task.way, other.config.task.shot, other.config.task.train_way) == (6, 2, 4)
    assert other.seconds == 0
    (row,) = measure(other, experiment="x", row="y", episodes=4)
    assert (row.chance, row.config["task"]["way"]) == (1 / 6, 6)
    assert row.facts["training classes"] == 4
    assert setting_of(other.config.task) == "6-way 2-shot"
    assert setting_of(in_setting(trained).config.task) == "3-way 1-shot"


def test_rows_keep_what_their_axis_had() -> None:
    (row,) = placed([replace(ROW, axis={"instance": 2})], "3-way 1-shot")
    assert row.axis == {"instance": 2, "setting": "3-way 1-shot"}


@pytest.mark.parametrize("change", [{"way": 0}, {"shot": 0}])
def test_no_classes_and_no_examples_are_refused(trained: Trained, change: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(change))}: got 0"):
        in_setting(trained, **change)


def test_a_network_on_other_episodes_is_refused(trained: Trained) -> None:
    config = replace(CONFIG, task=GaussianProcessConfig())
    with pytest.raises(UserError, match="episodes: got a network for task gaussian-process, expected one that was"):
        in_setting(replace(trained, config=config), way=3)
