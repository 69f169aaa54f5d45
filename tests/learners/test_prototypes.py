"""Prototypical networks: the read-out against a naive twin, and what every learner must keep to."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.tiny import SIZE, WAY, Marks
from tests.learners.tiny import episodes as draw_episodes

from fastslow.learners.prototypes import MOMENTUM, PrototypicalLearner, class_means, prototype_logits
from fastslow.models.embed import ConvEmbedding
from fastslow.optim.config import OptimiserConfig, build_optimiser
from fastslow.tasks.base import Examples, FewShotEpisode
from fastslow.training.config import TrainingConfig
from fastslow.training.loop import fit, train

KEY = jax.random.key(0)


def embedding(key: jax.Array) -> ConvEmbedding:
    return ConvEmbedding(features=8, channels=4, blocks=1, size=SIZE, key=key)


@pytest.fixture(scope="module")
def learner() -> PrototypicalLearner:
    return PrototypicalLearner(embedding, build_optimiser(OptimiserConfig(learning_rate=1e-2), 50), WAY)


@pytest.fixture(scope="module")
def episodes() -> FewShotEpisode:
    return draw_episodes(4, noise=0.4, shot=2)


@pytest.fixture(scope="module")
def trained(learner: PrototypicalLearner, episodes: FewShotEpisode) -> tuple[list, list]:
    """States and metrics of a few updates on one batch."""
    update = eqx.debug.assert_max_traces(lambda state, episodes: learner.update(state, episodes, key=KEY), max_traces=1)
    update = jax.jit(update)
    states, metrics = [learner.init(key=KEY)], []
    for _ in range(12):
        state, found = update(states[-1], episodes)
        states.append(state)
        metrics.append({name: float(value) for name, value in found.items()})
    return states, metrics


def naive_logits(features: np.ndarray, support: np.ndarray, labels: list[int]) -> np.ndarray:
    logits = np.full((len(features), WAY), -np.inf)
    for i, x in enumerate(features):
        for k in range(WAY):
            mine = [support[j] for j in range(len(labels)) if labels[j] == k]
            if mine:
                mean = sum(mine) / len(mine)
                logits[i, k] = -sum((x[d] - mean[d]) ** 2 for d in range(len(x)))
    return logits


@pytest.mark.parametrize("labels", [[0, 1, 2, 2, 0], [1, 1, 1, 2, 2]])
def test_logits_agree_with_a_naive_twin(labels: list[int]) -> None:
    rng = np.random.default_rng(0)
    support, features = rng.normal(size=(5, 6)).astype(np.float32), rng.normal(size=(4, 6)).astype(np.float32)
    means, counts = class_means(jnp.asarray(support), jnp.asarray(labels), WAY)
    np.testing.assert_array_equal(counts, np.bincount(labels, minlength=WAY))
    logits = prototype_logits(jnp.asarray(features), means, counts)
    np.testing.assert_allclose(logits, naive_logits(features, support, labels), rtol=1e-4, atol=1e-5)


def test_it_learns(trained: tuple[list, list]) -> None:
    _, metrics = trained
    assert {"loss", "accuracy"} <= set(metrics[0])
    assert metrics[-1]["loss"] < 0.5 * metrics[0]["loss"]
    assert metrics[-1]["accuracy"] == 1


def test_running_statistics_follow_the_batch(
    learner: PrototypicalLearner, episodes: FewShotEpisode, trained: tuple[list, list]
) -> None:
    states, _ = trained
    images = jnp.concatenate([episodes.support.inputs, episodes.query.inputs], axis=1).reshape(-1, SIZE, SIZE)
    used = states[0].params(images, None)[1]
    wanted = (1 - MOMENTUM) * np.asarray(used.means[0])  # the mean before the first update is 0
    np.testing.assert_allclose(states[1].running.means[0], wanted, rtol=1e-4, atol=1e-7)


def test_evaluating_is_adapting_and_predicting(
    learner: PrototypicalLearner, episodes: FewShotEpisode, trained: tuple[list, list]
) -> None:
    state = trained[0][-1]
    whole = learner.evaluate(state, episodes, key=KEY)
    one = jax.tree.map(lambda leaf: leaf[1], episodes)
    log_probabilities = learner.predict(learner.adapt(state, one.support, key=KEY), one.query.inputs)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=1), 1, rtol=1e-5)
    share = np.mean(np.argmax(log_probabilities, axis=1) == np.asarray(one.query.labels))
    assert float(whole["accuracy"][1]) == pytest.approx(share)


def test_neither_order_nor_company_of_queries_matters(
    learner: PrototypicalLearner, episodes: FewShotEpisode, trained: tuple[list, list]
) -> None:
    state = trained[0][-1]
    support = jax.tree.map(lambda leaf: leaf[0], episodes.support)
    queries = episodes.query.inputs[0]
    turned = Examples(support.inputs[::-1], support.labels[::-1])
    there, back = (learner.adapt(state, examples, key=KEY) for examples in (support, turned))
    whole = np.asarray(learner.predict(there, queries))
    np.testing.assert_allclose(learner.predict(back, queries), whole, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(learner.predict(there, queries[2:3]), whole[2:3], rtol=1e-4, atol=1e-4)


def test_state_keeps_its_structure_and_survives_pickling(trained: tuple[list, list]) -> None:
    states, _ = trained
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) for state in (states[0], states[-1])]
    assert shapes[0] == shapes[1]
    again = pickle.loads(pickle.dumps(states[-1]))  # noqa: S301 – our own bytes
    assert all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(states[-1])))


def test_the_loop_trains_it(learner: PrototypicalLearner) -> None:
    config = TrainingConfig(steps=2, batch=2, seeds=2, log_every=1, validate_every=2, validation_episodes=2)
    state = train(fit(learner, Marks(), config, validation=Marks()))
    assert int(state.step) == 2
    assert state.alive.all()
    assert (state.best.figure >= 0).all()
