"""One suite for every learner. A new learner is one row of `LEARNERS`."""

from collections.abc import Callable
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import FEATURES, SIZE, WAY, episodes, learner

from fastslow._checks import UserError
from fastslow.learners.base import AbstractLearner, LearnerState
from fastslow.learners.neighbours import PixelNeighbours
from fastslow.learners.prototypes import PrototypicalLearner
from fastslow.learners.regimes import AdaptConfig, FeedbackConfig
from fastslow.models.embed import ConvEmbedding
from fastslow.tasks.base import FewShotEpisode

BATCH, QUERIES = 3, 2
# Adam would make signs of rounding errors, and tests that compare would say nothing
SGD = optax.sgd(0.1, momentum=0.9)
BIND = AdaptConfig(protocol="bind", query_memory="post-support")
FAST = AdaptConfig(steps=2)
BOTH = FeedbackConfig(regime="both", predictor="lstm", hidden=6, regression=1.0)
META = FeedbackConfig(regime="meta", hidden=6)


def prototypes() -> PrototypicalLearner:
    build = lambda key: ConvEmbedding(FEATURES, 4, 1, size=SIZE, key=key)
    return PrototypicalLearner(build=build, optimiser=SGD, way=WAY)


# Each builds a learner for `WAY` classes of images of `SIZE` by `SIZE`.
LEARNERS: dict[str, Callable[[], AbstractLearner]] = {
    "recurrent-bind": lambda: learner(BIND, BOTH, "write", "key-value", SGD),
    "recurrent-fine-tune": lambda: learner(FAST, META, optimiser=SGD),
    "prototypes": prototypes,
    "pixel-neighbours": lambda: PixelNeighbours(way=WAY),
}
# Learners without parameters refuse to be trained.
UNTRAINED = {"pixel-neighbours"}
KEY = jax.random.key(0)

every_learner = pytest.mark.parametrize("name", LEARNERS)
every_trained = pytest.mark.parametrize("name", sorted(LEARNERS.keys() - UNTRAINED))
INIT = eqx.filter_jit(lambda one, key: one.init(key=key))
EVALUATE = eqx.filter_jit(lambda one, state, given: one.evaluate(state, given, key=KEY))


@cache
def built(name: str) -> tuple[AbstractLearner, LearnerState]:
    """A learner and its first state."""
    one = LEARNERS[name]()
    return one, INIT(one, KEY)


@cache
def update(name: str) -> Callable:
    """A learner's update, compiled; one trace has to serve every test of this file."""
    one = built(name)[0]
    return jax.jit(eqx.debug.assert_max_traces(lambda state, given: one.update(state, given, key=KEY), max_traces=1))


def given(seed: int = 0) -> FewShotEpisode:
    return episodes(BATCH, seed, queries=QUERIES)


def described(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


@every_learner
def test_the_first_state_is_arrays_and_follows_its_key(name: str) -> None:
    one, state = built(name)
    leaves = jax.tree.leaves(state)
    assert leaves
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert eqx.tree_equal(INIT(one, KEY), state)
    if name not in UNTRAINED:
        assert not eqx.tree_equal(INIT(one, jax.random.key(1)), state)


@every_trained
def test_an_update_is_deterministic_and_keeps_the_states_form(name: str) -> None:
    _, state = built(name)
    after, metrics = update(name)(state, given())
    assert described(after) == described(state)
    assert eqx.tree_equal(update(name)(state, given()), (after, metrics))
    assert not eqx.tree_equal(after.params, state.params)
    assert not eqx.tree_equal(after.running, state.running)
    assert {"loss", "accuracy"} <= metrics.keys()
    assert all(value.shape == () and np.isfinite(value) for value in metrics.values())
    assert 0 <= metrics["accuracy"] <= 1
    again, _ = update(name)(after, given(1))
    assert described(again) == described(state)


@every_learner
def test_jit_is_no_jit(name: str) -> None:
    """Fast steps and answers; an update without `jit` takes minutes."""
    one, state = built(name)
    with jax.disable_jit():
        slow = one.evaluate(state, given(), key=KEY)
    for figure, value in EVALUATE(one, state, given()).items():
        np.testing.assert_allclose(value, slow[figure], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted(UNTRAINED))
def test_nothing_to_train_is_said(name: str) -> None:
    one, state = built(name)
    with pytest.raises(UserError, match="no parameters to train"):
        one.update(state, given(), key=KEY)


@every_learner
def test_evaluation_gives_a_figure_for_each_episode(name: str) -> None:
    one, state = built(name)
    scored = EVALUATE(one, state, given())
    assert {figure.shape for figure in scored.values()} == {(BATCH,)}
    accuracies = np.asarray(scored["accuracy"])
    assert ((accuracies >= 0) & (accuracies <= 1)).all()
    # a share of the queries
    np.testing.assert_allclose(accuracies * WAY * QUERIES, np.round(accuracies * WAY * QUERIES), atol=1e-4)


@every_learner
def test_evaluation_is_adapting_and_predicting(name: str) -> None:
    one, state = built(name)
    scored = EVALUATE(one, state, given())["accuracy"]

    @eqx.filter_jit
    def answered(one, state, episode):
        adapted = one.adapt(state, episode.support, key=KEY)
        return one.predict(adapted, episode.query.inputs), one.predict(adapted, episode.query.inputs[1:2])

    for i in range(BATCH):
        episode = jax.tree.map(lambda x, i=i: x[i], given())
        told, alone = answered(one, state, episode)
        assert told.shape == (WAY * QUERIES, WAY)
        np.testing.assert_allclose(jnp.sum(jnp.exp(told), axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.mean(jnp.argmax(told, axis=1) == episode.query.labels), scored[i], rtol=1e-6)
        np.testing.assert_allclose(alone, told[1:2], rtol=1e-4, atol=1e-5)
