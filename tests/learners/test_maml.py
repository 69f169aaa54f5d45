"""MAML: inner steps against hand-written ones, the outer gradient against finite differences, and a configuration."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.tiny import MarksConfig

import fastslow as fs
from fastslow.learners.maml import MAMLConfig

KEY = jax.random.key(0)
WAY, RATE = 3, 0.1
MODEL = fs.ClassifierConfig(embed=fs.FlattenConfig())
TASK = fs.GlyphsConfig(way=WAY, shot=1, queries=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def build(**choices: Any) -> fs.Trainable:
    config = MAMLConfig(rate=RATE, **choices)
    return config.build(MODEL, TASK.spec, fs.AdamConfig().build(10), batch=2)


@pytest.fixture(scope="module")
def episodes() -> fs.FewShotEpisode:
    task = TASK.build()
    return jax.jit(jax.vmap(lambda key: task.train.sample(key, jnp.asarray(0))))(jax.random.split(KEY, 2))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("steps", [1, 3])
def test_inner_steps_agree_with_a_twin(steps: int, episodes: fs.FewShotEpisode) -> None:
    learner = build(steps=steps, statistics="support")
    state = learner.init(key=KEY)
    to_double = lambda leaf: leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
    state, one = jax.tree.map(to_double, (state, jax.tree.map(lambda leaf: leaf[0], episodes)))
    adapted = learner.adapt(state, one.support, key=KEY)
    x = np.asarray(one.support.inputs).reshape(WAY, -1)
    y = np.eye(WAY)[np.asarray(one.support.labels)]
    weight, bias = (np.asarray(leaf) for leaf in (state.params.head.linear.weight, state.params.head.linear.bias))
    for _ in range(steps):
        to_logits = (softmax(x @ weight.T + bias) - y) / len(x)
        weight, bias = weight - RATE * to_logits.T @ x, bias - RATE * to_logits.sum(axis=0)
    # a few hundred additions of numbers below 1 in each step
    np.testing.assert_allclose(adapted.model.head.linear.weight, weight, rtol=0, atol=1e-12)
    np.testing.assert_allclose(adapted.model.head.linear.bias, bias, rtol=0, atol=1e-12)


def query_loss(learner: fs.Trainable, params: Any, episodes: fs.FewShotEpisode) -> jax.Array:
    state = fs.LearnerState(params, (), ())
    figure = learner.evaluate(state, episodes, key=KEY)["loss"]
    return jnp.sum(figure.total) / jnp.sum(figure.count)


@pytest.mark.usefixtures("double")
def test_the_second_order_gradient_is_that_of_the_query_loss(episodes: fs.FewShotEpisode) -> None:
    second, first = build(steps=2), build(steps=2, order="first")
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), second.init(key=KEY).params)
    episodes = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf, episodes)
    gradient = jax.jit(jax.grad(lambda p: query_loss(second, p, episodes)))(params)
    loss = jax.jit(lambda p: query_loss(second, p, episodes))
    direction = jax.tree.map(lambda leaf: jax.random.normal(KEY, leaf.shape, leaf.dtype), params)
    step = 1e-5
    ahead, behind = (jax.tree.map(lambda p, d, s=s: p + s * d, params, direction) for s in (step, -step))
    slope = (loss(ahead) - loss(behind)) / (2 * step)
    along = sum(jax.tree.leaves(jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, direction)))
    np.testing.assert_allclose(along, slope, rtol=1e-6)  # the error of a central difference is of the order step²
    of_first = jax.jit(jax.grad(lambda p: query_loss(first, p, episodes)))(params)
    assert not np.allclose(of_first.head.linear.weight, gradient.head.linear.weight, rtol=1e-3)


def test_a_configuration_trains_it(tmp_path: Path) -> None:
    training = fs.TrainingConfig(steps=2, batch=2, log_every=1, validate_every=2, validation_episodes=2)
    config = fs.Config(MarksConfig(), MODEL, MAMLConfig(steps=1), training=training)
    (row,) = fs.evaluate(fs.train(config, tmp_path / "run"), episodes=4)
    assert row.facts["transductive"] is True
    assert row.facts["order"] == "second"
    assert MAMLConfig(order="first").facts["order"] == "first"


def test_convolutions_are_normalised_by_the_batch_at_hand(episodes: fs.FewShotEpisode) -> None:
    model = fs.ClassifierConfig(embed=fs.ConvConfig(features=4, channels=2))
    optimizer = fs.AdamConfig().build(10)
    found = {}
    for statistics in ("query", "support"):
        learner = MAMLConfig(steps=1, statistics=statistics).build(model, TASK.spec, optimizer, batch=2)
        state = learner.init(key=KEY)
        found[statistics] = jax.jit(lambda s, learner=learner: learner.evaluate(s, episodes, key=KEY))(state)
    assert not np.allclose(found["query"]["loss"].total, found["support"]["loss"].total)


def test_adapting_alone_needs_statistics_of_the_support_set(episodes: fs.FewShotEpisode) -> None:
    learner = build(steps=1)
    with pytest.raises(ValueError, match="support"):
        learner.adapt(learner.init(key=KEY), jax.tree.map(lambda leaf: leaf[0], episodes.support), key=KEY)


def test_an_embedding_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="items"):
        MAMLConfig().build(fs.EmbedderConfig(), TASK.spec, fs.AdamConfig().build(1), batch=1)


def test_scale_and_shift_of_normalisation_are_not_adapted(episodes: fs.FewShotEpisode) -> None:
    model = fs.ClassifierConfig(embed=fs.ConvConfig(features=4, channels=2))
    learner = MAMLConfig(steps=2, statistics="support").build(model, TASK.spec, fs.AdamConfig().build(10), batch=2)
    state = learner.init(key=KEY)
    support = jax.tree.map(lambda leaf: leaf[0], episodes.support)
    adapted = jax.jit(lambda s: learner.adapt(s, support, key=KEY).model)(state)
    for before, after in zip(state.params.embed.blocks, adapted.embed.blocks, strict=True):
        np.testing.assert_array_equal(after.scale, before.scale)
        np.testing.assert_array_equal(after.shift, before.shift)
        assert not np.array_equal(after.kernel, before.kernel)
