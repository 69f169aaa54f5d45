"""Probe: finite data, of which an evaluation counts each item once."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from tests.probes.common import TRAINING, splits, trained_and_resumed

import fastslow as fs
from fastslow.tasks.base import AbstractTaskConfig

ITEMS, LENGTH = 7, 3


class ItemsTask(fs.AbstractTask[fs.SequenceEpisode]):
    """Seven short sequences of numbers; their targets are the numbers' signs."""

    rows: jax.Array

    def sample(self, key: Any, step: Any) -> fs.SequenceEpisode:
        return self.at(jax.random.randint(key, (), 0, ITEMS))

    def size(self) -> int:
        return ITEMS

    def at(self, index: Any) -> fs.SequenceEpisode:
        x = self.rows[index]
        inputs = fs.Inputs(x=x[:, None], label=jnp.zeros((LENGTH, 0)))
        return fs.SequenceEpisode(inputs, (x > 0).astype(jnp.int32), x == x, jnp.arange(LENGTH))


def items() -> ItemsTask:
    return ItemsTask(jnp.asarray(np.random.default_rng(0).normal(size=(ITEMS, LENGTH)), jnp.float32))


@dataclass(frozen=True)
class ItemsConfig(AbstractTaskConfig):
    kind: Literal["items"] = "items"

    @property
    def spec(self) -> fs.TaskSpec:
        return fs.TaskSpec(self.kind, "sequence", (1,), fs.Categorical(2), label=0, metrics=(fs.ACCURACY,))

    def build(self) -> fs.TaskSplits:
        return splits(items())


MODEL = fs.NetworkConfig(embed=fs.FlattenConfig(), cell=fs.LSTMConfig(hidden=4))
CONFIG = fs.Config(ItemsConfig(), MODEL, fs.SupervisedConfig(), training=TRAINING)


def test_each_item_counts_once(tmp_path: Path) -> None:
    trained = trained_and_resumed(CONFIG, tmp_path)
    (row,) = fs.evaluate(trained, episodes=1000)  # more than there are
    assert row.episodes == ITEMS
    all_at_once = jax.vmap(items().at)(jnp.arange(ITEMS))
    state = jax.tree.map(lambda leaf: leaf[0], trained.states)
    figure = trained.learner.evaluate(state, all_at_once, key=jax.random.key(0))["accuracy"]
    np.testing.assert_allclose(row.value, float(jnp.sum(figure.total)) / (ITEMS * LENGTH), rtol=1e-6)


def test_a_validation_counts_each_item_once(tmp_path: Path) -> None:
    training = replace(TRAINING, validation_episodes=1000)
    fs.train(replace(CONFIG, training=training), tmp_path / "run")
    shares = [line for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines() if "validation_" in line]
    value = json.loads(shares[-1])["validation_accuracy"][0]
    assert abs(value * ITEMS * LENGTH - round(value * ITEMS * LENGTH)) < 1e-4
