"""Prototypical networks: the read-out against a naive twin, and training through a configuration."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.tiny import CONV, MarksConfig

import fastslow as fs
from fastslow.learners.prototypes import PrototypesConfig, class_means, prototype_logits

KEY = jax.random.key(0)
WAY = 3
MODEL = fs.EmbedderConfig(embed=fs.ConvConfig(features=8, channels=4, blocks=3))
TASK = fs.GlyphsConfig(way=WAY, shot=2, queries=2)


@pytest.fixture(scope="module")
def learner() -> fs.Trainable:
    return PrototypesConfig().build(MODEL, TASK.spec, fs.AdamConfig(learning_rate=1e-2).build(50), batch=2)


@pytest.fixture(scope="module")
def episodes() -> fs.FewShotEpisode:
    task = TASK.build()
    return jax.jit(jax.vmap(lambda key: task.train.sample(key, jnp.asarray(0))))(jax.random.split(KEY, 2))


def naive_logits(features: np.ndarray, support: np.ndarray, labels: list[int]) -> np.ndarray:
    logits = np.full((len(features), WAY), -1e9)
    for i, x in enumerate(features):
        for k in range(WAY):
            mine = [support[j] for j in range(len(labels)) if labels[j] == k]
            if mine:
                mean = sum(mine) / len(mine)
                logits[i, k] = -sum((x[d] - mean[d]) ** 2 for d in range(len(x)))
    return logits


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("labels", [[0, 1, 2, 2, 0], [1, 1, 1, 2, 2]])
def test_logits_agree_with_a_naive_twin(labels: list[int]) -> None:
    rng = np.random.default_rng(0)
    support, features = rng.normal(size=(5, 6)), rng.normal(size=(4, 6))
    means, counts = class_means(jnp.asarray(support), jnp.asarray(labels), WAY)
    np.testing.assert_array_equal(counts, np.bincount(labels, minlength=WAY))
    logits = prototype_logits(jnp.asarray(features), means, counts)
    # ‖a‖² + ‖b‖² − 2ab of numbers near 1: some dozens of roundings
    np.testing.assert_allclose(logits, naive_logits(features, support, labels), rtol=0, atol=1e-12)


def test_it_learns_in_one_trace(learner: fs.Trainable, episodes: fs.FewShotEpisode) -> None:
    update = jax.jit(lambda state: learner.update(state, episodes, key=KEY))
    state, losses = learner.init(key=KEY), []
    for _ in range(15):
        state, figures = update(state)
        losses.append(float(figures["loss"].value))
    assert losses[-1] < 0.5 * losses[0]
    assert update._cache_size() == 1


def test_evaluating_is_adapting_and_predicting(learner: fs.Trainable, episodes: fs.FewShotEpisode) -> None:
    state = learner.init(key=KEY)
    whole = jax.jit(lambda state: learner.evaluate(state, episodes, key=KEY))(state)
    one = jax.tree.map(lambda leaf: leaf[1], episodes)
    answer = jax.jit(lambda state: learner.predict(learner.adapt(state, one.support, key=KEY), one.query.inputs))
    log_probabilities = np.asarray(answer(state))
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=1), 1, rtol=1e-5)
    right = np.mean(np.argmax(log_probabilities, axis=1) == np.asarray(one.query.labels))
    total, count = float(whole["accuracy"].total[1]), float(whole["accuracy"].count[1])
    assert total / count == pytest.approx(right, abs=1e-6)


def test_a_configuration_trains_it(tmp_path: Path) -> None:
    training = fs.TrainingConfig(steps=2, batch=2, log_every=1, validate_every=2, validation_episodes=2)
    config = fs.Config(MarksConfig(), fs.EmbedderConfig(CONV), PrototypesConfig(), training=training)
    trained = fs.train(config, tmp_path / "run")
    (row,) = fs.evaluate(trained, episodes=4)
    assert row.facts["protocol"] == "prototypes"
    assert row.facts["transductive"] is False


def test_a_model_with_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="embedder"):
        PrototypesConfig().build(fs.NetworkConfig(), TASK.spec, fs.AdamConfig().build(1), batch=1)


def test_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="sequence"):
        PrototypesConfig().build(MODEL, fs.GaussianProcessConfig().spec, fs.AdamConfig().build(1), batch=1)
