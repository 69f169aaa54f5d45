"""One suite for every learner. A new learner is one row of `LEARNERS`."""

from collections.abc import Callable
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fastslow.learners.prototypes import PrototypicalLearner
from fastslow.learners.regimes import AdaptConfig, FeedbackConfig
from fastslow.models.embed import ConvEmbedding
from fastslow.models.heads import Categorical
from tests.learners.streams import batch, counts
from tests.learners.tiny import FEATURES, SIZE, WAY, episodes, learner

from fastslow._checks import UserError
from fastslow.baselines.gp_oracle import TrueProcess
from fastslow.baselines.pixel_neighbours import PixelNeighbours
from fastslow.baselines.stream_neighbours import StreamNeighbours
from fastslow.cells.mann import MANN
from fastslow.learners.autoencoder import AutoencoderLearner
from fastslow.learners.base import AbstractLearner, LearnerState
from fastslow.learners.supervised import SequenceLearner, SequenceNetwork
from fastslow.memory.least_used import LeastUsed
from fastslow.models.autoencoder import Autoencoder
from fastslow.tasks.base import Examples, FewShotEpisode, SequenceEpisode
from fastslow.tasks.gaussian_process import GaussianProcessConfig

BATCH, QUERIES, STEPS = 3, 2, 7
# Adam would make signs of rounding errors, and tests that compare would say nothing
SGD = optax.sgd(0.1, momentum=0.9)
BIND = AdaptConfig(protocol="bind", query_memory="post-support")
FAST = AdaptConfig(steps=2)
BOTH = FeedbackConfig(regime="both", predictor="lstm", hidden=6, regression=1.0)
META = FeedbackConfig(regime="meta", hidden=6)


def prototypes() -> PrototypicalLearner:
    build = lambda key: ConvEmbedding(FEATURES, 4, 1, size=SIZE, key=key)
    return PrototypicalLearner(build=build, optimiser=SGD, way=WAY)


def sequence(lanes: int) -> SequenceLearner:
    def build(key: Any) -> SequenceNetwork:
        cell = MANN(SIZE * SIZE + WAY, FEATURES, LeastUsed(5, 3, 2), key=key)
        return SequenceNetwork(cell, Categorical(cell.out_size, WAY, key=key))

    return SequenceLearner(build, SGD, jnp.eye(WAY), lanes=lanes)


def autoencoder() -> AutoencoderLearner:
    return AutoencoderLearner(lambda key: Autoencoder(SIZE * SIZE, FEATURES, 2, key=key), SGD)


# Each builds a learner for `WAY` classes of images of `SIZE` by `SIZE`.
LEARNERS: dict[str, Callable[[], AbstractLearner]] = {
    "recurrent-bind": lambda: learner(BIND, BOTH, "write", "key-value", SGD),
    "recurrent-fine-tune": lambda: learner(FAST, META, optimiser=SGD),
    "prototypes": prototypes,
    "pixel-neighbours": lambda: PixelNeighbours(way=WAY),
    "sequence": lambda: sequence(lanes=0),
    "sequence-persistent": lambda: sequence(lanes=BATCH),
    "stream-neighbours": lambda: StreamNeighbours(way=WAY),
    "autoencoder": autoencoder,
    "true-process": lambda: TrueProcess(GaussianProcessConfig(dimensions=1, length=STEPS)),
}
# Learners without parameters refuse to be trained.
UNTRAINED = {"pixel-neighbours", "stream-neighbours", "true-process"}
# These learn from streams, the others from few-shot episodes.
STREAMED = {"sequence", "sequence-persistent", "stream-neighbours", "autoencoder", "true-process"}
# These name no classes, and are judged by something else than accuracy.
NAMELESS = {"autoencoder", "true-process"}
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


def given(name: str, seed: int = 0) -> FewShotEpisode | SequenceEpisode:
    if name not in STREAMED:
        return episodes(BATCH, seed, queries=QUERIES)
    rng = np.random.default_rng(seed)
    if name == "true-process":
        inputs, targets = rng.uniform(-5, 5, (BATCH, STEPS, 1)), rng.standard_normal((BATCH, STEPS, 1))
        return batch(inputs, targets, np.ones((BATCH, STEPS)))
    classes = rng.integers(0, WAY, (BATCH, STEPS))
    inputs = rng.uniform(size=(BATCH, STEPS, SIZE, SIZE))
    return batch(inputs, np.eye(WAY)[classes], np.stack([counts(row) for row in classes]))


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
    after, metrics = update(name)(state, given(name))
    assert described(after) == described(state)
    assert eqx.tree_equal(update(name)(state, given(name)), (after, metrics))
    assert not eqx.tree_equal(after.params, state.params)
    tracked = sum(leaf.size for leaf in jax.tree.leaves(state.running))
    assert not tracked or not eqx.tree_equal(after.running, state.running)
    assert {"loss", built(name)[0].judged_by} <= metrics.keys()
    assert all(value.shape == () and np.isfinite(value) for value in metrics.values())
    assert name in NAMELESS or 0 <= metrics["accuracy"] <= 1
    again, _ = update(name)(after, given(name, 1))
    assert described(again) == described(state)


@every_learner
def test_jit_is_no_jit(name: str) -> None:
    """Fast steps and answers; an update without `jit` takes minutes."""
    one, state = built(name)
    with jax.disable_jit():
        slow = one.evaluate(state, given(name), key=KEY)
    for figure, value in EVALUATE(one, state, given(name)).items():
        np.testing.assert_allclose(value, slow[figure], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted(UNTRAINED))
def test_nothing_to_train_is_said(name: str) -> None:
    one, state = built(name)
    with pytest.raises(UserError, match="no parameters to train"):
        one.update(state, given(name), key=KEY)


@every_learner
def test_evaluation_gives_a_figure_for_each_episode(name: str) -> None:
    one, state = built(name)
    scored = EVALUATE(one, state, given(name))
    assert {figure.shape[0] for figure in scored.values()} == {BATCH}
    figures = np.asarray(scored[one.judged_by])
    assert figures.shape == (BATCH,)
    assert np.isfinite(figures).all()
    if name in NAMELESS:
        return
    assert ((figures >= 0) & (figures <= 1)).all()
    # a share of the queries, or of the steps
    asked = STEPS if name in STREAMED else WAY * QUERIES
    np.testing.assert_allclose(figures * asked, np.round(figures * asked), atol=1e-4)


@eqx.filter_jit
def answered(one: AbstractLearner, state: LearnerState, support: Examples, queries: jax.Array) -> Any:
    """What is said of queries together, and of the second one alone."""
    adapted = one.adapt(state, support, key=KEY)
    return one.predict(adapted, queries), one.predict(adapted, queries[1:2])


@pytest.mark.parametrize("name", sorted(LEARNERS.keys() - STREAMED))
def test_evaluation_is_adapting_and_predicting(name: str) -> None:
    one, state = built(name)
    scored = EVALUATE(one, state, given(name))["accuracy"]
    for i in range(BATCH):
        episode = jax.tree.map(lambda x, i=i: x[i], given(name))
        told, alone = answered(one, state, episode.support, episode.query.inputs)
        assert told.shape == (WAY * QUERIES, WAY)
        np.testing.assert_allclose(jnp.sum(jnp.exp(told), axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.mean(jnp.argmax(told, axis=1) == episode.query.labels), scored[i], rtol=1e-6)
        np.testing.assert_allclose(alone, told[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(NAMELESS))
def test_who_names_no_classes_says_so(name: str) -> None:
    one, state = built(name)
    support = Examples(given(name).inputs[0], jnp.zeros(STEPS, jnp.int32))
    with pytest.raises(UserError, match=f"^{type(one).__name__}: .*; "):
        one.adapt(state, support, key=KEY)
    with pytest.raises(UserError, match=f"^{type(one).__name__}: .*; "):
        one.predict(state, support.inputs)


@pytest.mark.parametrize("name", sorted(STREAMED - NAMELESS))
def test_what_follows_a_stream_is_named_one_query_at_a_time(name: str) -> None:
    one, state = built(name)
    for i in range(BATCH):
        episode = jax.tree.map(lambda x, i=i: x[i], given(name))
        support = Examples(episode.inputs[:-3], jnp.argmax(episode.targets[:-3], axis=1))
        told, alone = answered(one, state, support, episode.inputs[-3:])
        assert told.shape == (3, WAY)
        np.testing.assert_allclose(jnp.sum(jnp.exp(told), axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(alone, told[1:2], rtol=1e-4, atol=1e-5)
        other, _ = answered(one, state, jax.tree.map(lambda leaf: leaf[::-1], support), episode.inputs[-3:])
        assert name in UNTRAINED or not np.allclose(other, told)
