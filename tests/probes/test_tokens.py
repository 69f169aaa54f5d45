"""Probe: integer tokens, class numbers as targets, a loss mask, and no previous target in the input."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.probes.common import TRAINING, splits, trained_and_resumed

import fastslow as fs
from fastslow.tasks.base import AbstractTaskConfig

TOKENS, LENGTH = 5, 6
ASK = TOKENS - 1


class RecallTask(fs.AbstractTask[fs.SequenceEpisode]):
    """Five tokens, the last of them a question: which token was first?"""

    def sample(self, key: Any, step: Any) -> fs.SequenceEpisode:
        tokens = jax.random.randint(key, (LENGTH,), 0, TOKENS - 1).at[-1].set(ASK)
        inputs = fs.Inputs(x=tokens, label=jnp.zeros((LENGTH, 0)))
        asked = tokens == ASK
        return fs.SequenceEpisode(inputs, jnp.full(LENGTH, tokens[0]), asked, jnp.zeros(LENGTH, jnp.int32))


@dataclass(frozen=True)
class RecallConfig(AbstractTaskConfig):
    kind: Literal["recall"] = "recall"

    @property
    def spec(self) -> fs.TaskSpec:
        target = fs.Categorical(TOKENS)
        return fs.TaskSpec(self.kind, "sequence", (), target, label=0, metrics=(fs.ACCURACY,), tokens=TOKENS)

    def build(self) -> fs.TaskSplits:
        return splits(RecallTask())


MODEL = fs.NetworkConfig(embed=fs.LookupConfig(features=4), cell=fs.LSTMConfig(hidden=8))
CONFIG = fs.Config(RecallConfig(), MODEL, fs.SupervisedConfig(), training=TRAINING)


def test_tokens_train_and_resume(tmp_path: Path) -> None:
    trained = trained_and_resumed(CONFIG, tmp_path)
    (row,) = fs.evaluate(trained, episodes=20)
    assert row.metric == "accuracy"
    assert row.episodes == 20


def test_only_asked_steps_are_learned_from() -> None:
    learner = CONFIG.build()
    state = learner.init(key=jax.random.key(0))
    episode = RecallTask().sample(jax.random.key(1), jnp.asarray(0))
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), episode)
    wrong = eqx.tree_at(lambda e: e.targets, batch, jnp.where(batch.mask, batch.targets, (batch.targets + 1) % TOKENS))
    update = jax.jit(lambda episodes: learner.update(state, episodes, key=jax.random.key(2)))
    (after, figures), (after_wrong, _) = update(batch), update(wrong)
    jax.tree.map(np.testing.assert_array_equal, after, after_wrong)
    assert figures["loss"].count == 2  # one asked step of each episode


def test_an_image_embedding_is_refused() -> None:
    config = fs.Config(RecallConfig(), fs.NetworkConfig(cell=fs.LSTMConfig(8)), fs.SupervisedConfig())
    with pytest.raises(ValueError, match="lookup"):
        config.build()
