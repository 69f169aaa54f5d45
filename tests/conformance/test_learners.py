"""One suite for every learner. A new learner is one row of `LEARNERS`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.streams import batch, counts
from tests.learners.tiny import (
    CONV,
    FEATURES,
    FEED_FORWARD,
    LSTM,
    MANN,
    NUMBERED,
    SIZE,
    SPEC,
    WAY,
    episodes,
    nmn,
    numbered,
)
from tests.reference.rounding import rounding

from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.learners.autoencoder import ReconstructionConfig
from fastslow.learners.base import AbstractLearnerConfig, Adaptable, LearnerState, Trainable
from fastslow.learners.fast_slow import FastSlowConfig
from fastslow.learners.fine_tune import FineTuneConfig
from fastslow.learners.in_context import InContextConfig
from fastslow.learners.maml import MAMLConfig
from fastslow.learners.maml_plus_plus import MAMLPlusPlusConfig
from fastslow.learners.matching import MatchingConfig
from fastslow.learners.metanet import MetaNetConfig
from fastslow.learners.online import OnlineConfig
from fastslow.learners.pair import PairConfig
from fastslow.learners.pretrained import PretrainedConfig
from fastslow.learners.prototypes import PrototypesConfig
from fastslow.learners.supervised import SupervisedConfig
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.metrics import ACCURACY, Axis
from fastslow.models.any_way import AnyWayConfig
from fastslow.models.augmented import AugmentedConfig
from fastslow.models.autoencoder import AutoencoderConfig
from fastslow.models.base import AbstractModelConfig
from fastslow.models.classifier import ClassifierConfig
from fastslow.models.embedder import EmbedderConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.models.lstm import LSTMEmbeddingConfig
from fastslow.models.network import NetworkConfig
from fastslow.models.path_predictor import PathPredictorConfig
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import Examples, TaskSpec
from fastslow.tasks.gaussian_process import GaussianProcessConfig, GaussianProcessTask
from fastslow.tasks.targets import Categorical
from fastslow.tasks.tracks import TracksConfig, as_sequence, tracks_task
from fastslow.tasks.tracks_in_turn import TracksInTurnConfig

pytestmark = pytest.mark.usefixtures("double")

BATCH, STEPS = 3, 7
KEY = jax.random.key(0)
# Adam would make signs of rounding errors, and tests that compare would say nothing
SGD = optax.sgd(0.03)
FIGURE = rounding(300, scale=5 * STEPS, precision=np.float64)
"""Some 300 operations one after the other; a figure is a sum of up to seven numbers below 5."""


def streams(seed: int) -> Any:
    """Random images, each class under one label in all streams."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, WAY, (BATCH, STEPS))
    characters = np.random.default_rng(99).uniform(size=(WAY, SIZE, SIZE))
    x = characters[classes] + 0.1 * rng.normal(size=(BATCH, STEPS, SIZE, SIZE))
    return batch(x, np.eye(WAY)[classes], np.stack([counts(row) for row in classes]))


def functions(seed: int) -> Any:
    keys = jax.random.split(jax.random.key(seed), BATCH)
    return jax.vmap(lambda key: GaussianProcessTask(PROCESS, "train").sample(key, jnp.int32(0)))(keys)


@dataclass(frozen=True)
class Row:
    """A learner: its configuration, what it trains, its task, and batches of that by their seed."""

    config: AbstractLearnerConfig
    model: AbstractModelConfig
    spec: TaskSpec
    draw: Callable[[int], Any]


def paths(seed: int) -> Any:
    """Random walks of one length after another."""
    windows = np.cumsum(np.random.default_rng(seed).normal(size=(6, 16, 2)), axis=1)
    zeros = np.zeros(6, np.int32)
    task = tracks_task(TRACKS, windows, zeros, zeros, ("any",))
    drawn = jax.vmap(lambda key: task.sample(key, jnp.int32(0)))(jax.random.split(jax.random.key(seed), BATCH))
    return jax.tree.map(lambda leaf: leaf.astype(float) if jnp.isdtype(leaf.dtype, "real floating") else leaf, drawn)


def sequences_of_paths(seed: int) -> Any:
    """The support sets of `paths`, one track after the other."""
    found = paths(seed).support
    return jax.vmap(lambda one: as_sequence(one, jnp.zeros(3, jnp.int32)))(found)


def in_turn(seed: int) -> Any:
    """Tracks of the first kind, then of the second."""
    found = sequences_of_paths(seed)
    return eqx.tree_at(lambda e: e.axis_index, found, jnp.full_like(found.axis_index, seed % 2))


IN_TURN = TracksInTurnConfig(observed=12, predicted=4, shots=2, queries=1)
TRACKS = TracksConfig(observed=12, predicted=4, shots=3, queries=2)
PROCESS = GaussianProcessConfig(length=STEPS)
BY_INSTANCE = ACCURACY.along(Axis("instance", (1, 2, 5)))
STREAMS = TaskSpec("streams", "sequence", (SIZE, SIZE), Categorical(WAY), label=WAY, metrics=(ACCURACY, BY_INSTANCE))
PIXELS = NetworkConfig(FlattenConfig(), MANNConfig(LSTMConfig(FEATURES), LeastUsedConfig(slots=5, width=3, heads=2)))
BOTH = FeedbackConfig(regime="both", predictor="lstm", hidden=6, regression=1.0)
MARKS = (SPEC, lambda seed: episodes(BATCH, seed))
LEARNERS = {
    "fine-tune": Row(FineTuneConfig(FeedbackConfig("meta", hidden=6), steps=2), nmn(), *MARKS),
    "in-context": Row(InContextConfig(BOTH), nmn("write", "key-value"), *MARKS),
    "in-context-mann": Row(InContextConfig(), MANN, *MARKS),
    "in-context-lstm": Row(InContextConfig(), LSTM, *MARKS),
    "prototypes": Row(PrototypesConfig(), EmbedderConfig(CONV), *MARKS),
    "matching": Row(MatchingConfig(), EmbedderConfig(CONV), *MARKS),
    "matching-context": Row(MatchingConfig(context_steps=2), EmbedderConfig(CONV), *MARKS),
    "maml++": Row(MAMLPlusPlusConfig(steps=2, statistics="support"), ClassifierConfig(CONV), *MARKS),
    "maml": Row(MAMLConfig(steps=2, statistics="support"), ClassifierConfig(CONV), *MARKS),
    "maml-first-order": Row(MAMLConfig(steps=2, order="first", statistics="support"), ClassifierConfig(CONV), *MARKS),
    "metanet": Row(MetaNetConfig(hidden=4, chunks=2), AugmentedConfig(channels=4, blocks=1, hidden=5), *MARKS),
    "fast-slow": Row(FastSlowConfig(steps=1, hidden=5), AnyWayConfig(CONV, 4, slots=2), *MARKS),
    "fast-slow-memory": Row(FastSlowConfig(steps=0), AnyWayConfig(CONV, 4), *MARKS),
    "pretrained": Row(PretrainedConfig(steps=2), nmn(), NUMBERED, lambda seed: numbered(episodes(BATCH, seed))),
    "supervised": Row(SupervisedConfig(), PIXELS, STREAMS, streams),
    "supervised-persistent": Row(SupervisedConfig(persistent=True), PIXELS, STREAMS, streams),
    "supervised-numbers": Row(
        SupervisedConfig(), NetworkConfig(FlattenConfig(), LSTMConfig(FEATURES)), PROCESS.spec, functions
    ),
    "online": Row(OnlineConfig(), nmn(), STREAMS, streams),
    "online-plain": Row(OnlineConfig(), FEED_FORWARD, STREAMS, streams),
    "online-held": Row(OnlineConfig(BOTH, slots=4, warp=0.5), nmn("write", "key-value"), STREAMS, streams),
    "online-paths": Row(
        OnlineConfig(), PathPredictorConfig(4), replace(TRACKS, episode="sequence").spec, sequences_of_paths
    ),
    "pair": Row(PairConfig(BOTH), NetworkConfig(LSTMEmbeddingConfig(4), nmn().cell), IN_TURN.spec, in_turn),
    "reconstruction": Row(ReconstructionConfig(), AutoencoderConfig(FEATURES, 2), STREAMS, streams),
}
every_learner = pytest.mark.parametrize("name", LEARNERS)
INIT = eqx.filter_jit(lambda one, key: one.init(key=key))


@cache
def built(name: str) -> Trainable:
    row = LEARNERS[name]
    return row.config.build(row.model, row.spec, SGD, batch=BATCH)


@cache
def first(name: str) -> LearnerState:
    return INIT(built(name), KEY)


@cache
def update(name: str) -> Callable:
    """A learner's update, compiled; one trace has to serve every test of this file."""
    one = built(name)
    return jax.jit(eqx.debug.assert_max_traces(lambda state, given: one.update(state, given, key=KEY), max_traces=1))


@cache
def evaluate(name: str) -> Callable:
    one = built(name)
    return jax.jit(lambda state, given: one.evaluate(state, given, key=KEY))


@cache
def given(name: str, seed: int = 0) -> Any:
    return LEARNERS[name].draw(seed)


@cache
def updated(name: str) -> tuple:
    """After 20 updates on one batch, and the figures of each."""
    state, figures = first(name), []
    for _ in range(20):
        state, found = update(name)(state, given(name))
        figures.append(found)
    return state, figures


def described(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


def close(one: Any, other: Any) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=FIGURE, atol=FIGURE)


@every_learner
def test_it_states_facts(name: str) -> None:
    facts = LEARNERS[name].config.facts
    assert all(isinstance(value, str | int | float | bool) for value in facts.values())
    if LEARNERS[name].spec.episode == "few-shot":
        assert isinstance(facts["protocol"], str)
        assert isinstance(facts["transductive"], bool)


@every_learner
def test_the_first_state_is_arrays_and_follows_its_key(name: str) -> None:
    state = first(name)
    leaves = jax.tree.leaves(state)
    assert leaves
    assert all(isinstance(leaf, jax.Array) and np.isfinite(leaf).all() for leaf in leaves)
    assert eqx.tree_equal(INIT(built(name), KEY), state)
    assert not eqx.tree_equal(INIT(built(name), jax.random.key(1)), state)


@every_learner
def test_an_update_is_deterministic_and_keeps_the_states_form(name: str) -> None:
    state = first(name)
    after, figures = update(name)(state, given(name))
    assert described(after) == described(state)
    assert eqx.tree_equal(update(name)(state, given(name)), (after, figures))
    assert not eqx.tree_equal(after.params, state.params)
    tracked = sum(leaf.size for leaf in jax.tree.leaves(state.model_state))
    assert not tracked or not eqx.tree_equal(after.model_state, state.model_state)
    again, _ = update(name)(after, given(name, 1))
    assert described(again) == described(state)


@every_learner
def test_single_precision_stays_single(name: str) -> None:
    """Shapes, types and weak types, which need no compiled program."""
    with jax.enable_x64(False):
        one, drawn = built.__wrapped__(name), jax.eval_shape(lambda: LEARNERS[name].draw(0))
        state = eqx.filter_eval_shape(one.init, key=KEY)
        after, figures = eqx.filter_eval_shape(lambda state, given: one.update(state, given, key=KEY), state, drawn)
        measured = eqx.filter_eval_shape(lambda state, given: one.evaluate(state, given, key=KEY), after, drawn)
    assert described(after) == described(state)
    kinds = {leaf.dtype for leaf in jax.tree.leaves((state, figures, measured))}
    assert np.dtype(np.float32) in kinds
    assert np.dtype(np.float64) not in kinds


@every_learner
def test_an_update_gives_numbers(name: str) -> None:
    """Scalar totals and counts, always the loss, the monitor and the gradient's norm; all finite."""
    _, figures = update(name)(first(name), given(name))
    monitor = built(name).monitor
    assert {"loss", monitor.key, "gradient_norm"} <= figures.keys()
    for figure in figures.values():
        assert figure.total.shape == figure.count.shape == ()
        assert np.isfinite(figure.total)
        assert figure.count >= 0
    assert figures["gradient_norm"].value > 0
    least, most = monitor.bounds or (-np.inf, np.inf)
    assert least <= figures[monitor.key].value <= most


@every_learner
def test_updates_lower_the_loss_and_stay_finite(name: str) -> None:
    state, figures = updated(name)
    losses = [float(found["loss"].value) for found in figures]
    assert losses[-1] < losses[0]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state, figures)))


@pytest.mark.slow
@every_learner
def test_jit_is_no_jit(name: str) -> None:
    """Inner steps and answers, seconds each; an update without `jit` takes minutes."""
    with jax.disable_jit():
        slow = built(name).evaluate(first(name), given(name), key=KEY)
    close(evaluate(name)(first(name), given(name)), slow)


@every_learner
def test_an_evaluation_gives_a_figure_for_each_episode(name: str) -> None:
    """With the shapes that the metrics say, within their bounds; all but rare labels are counted."""
    one = built(name)
    found = evaluate(name)(updated(name)[0], given(name, 1))
    for metric in (one.monitor, *one.metrics):
        figure = found[metric.key]
        expected = (BATCH,) if metric.axis is None else (BATCH, len(metric.axis.labels))
        assert figure.total.shape == figure.count.shape == expected
        assert np.isfinite(figure.total).all()
        assert (np.sum(figure.count, axis=0) >= 0).all()
        if metric.bounds is not None:
            least, most = metric.bounds
            counted = figure.count > 0
            assert (figure.total >= least * figure.count)[counted].all()
            assert (figure.total <= most * figure.count)[counted].all()
        assert metric.reduce(jax.tree.map(lambda part: part[None], figure))
    assert (found[one.monitor.key].count > 0).all()


@every_learner
def test_an_evaluation_does_not_depend_on_the_other_episodes(name: str) -> None:
    whole = evaluate(name)(first(name), given(name))
    turned = evaluate(name)(first(name), jax.tree.map(lambda leaf: leaf[::-1], given(name)))
    close(jax.tree.map(lambda part: part[::-1], turned), whole)
    beside = jax.tree.map(lambda one, other: jnp.concatenate([one[:1], other[1:]]), given(name), given(name, 1))
    close(*(jax.tree.map(lambda part: part[:1], found) for found in (evaluate(name)(first(name), beside), whole)))


# --- adapting to new classes

ADAPTABLE = [name for name in LEARNERS if isinstance(built(name), Adaptable)]


def classes_of(name: str) -> int | None:
    """How many classes a support set may have; None for targets that are none."""
    target = LEARNERS[name].spec.target
    return getattr(target, "classes", None)


every_adaptable = pytest.mark.parametrize("name", [name for name in ADAPTABLE if classes_of(name)])


@cache
def adapting(name: str) -> tuple[Callable, Callable]:
    one = built(name)
    adapt = jax.jit(lambda state, support: eqx.filter(one.adapt(state, support, key=KEY), eqx.is_array))
    rest = eqx.filter_eval_shape(lambda: one.adapt(first(name), support_of(name), key=KEY))
    rest = eqx.filter(rest, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct), inverse=True)
    return adapt, jax.jit(lambda adapted, x: one.predict(eqx.combine(adapted, rest), x))


def support_of(name: str) -> Examples:
    """Two examples of each class."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.uniform(size=(2 * WAY, *LEARNERS[name].spec.shape)))
    return Examples(x, jnp.asarray(np.arange(2 * WAY) % WAY, jnp.int32))


def queries_of(name: str) -> jax.Array:
    rng = np.random.default_rng(1)
    return jnp.asarray(rng.uniform(size=(4, *LEARNERS[name].spec.shape)))


@every_adaptable
def test_predictions_are_log_probabilities_of_each_query_by_itself(name: str) -> None:
    adapt, predict = adapting(name)
    adapted = adapt(updated(name)[0], support_of(name))
    log_p = predict(adapted, queries_of(name))
    assert log_p.shape == (4, WAY)
    np.testing.assert_allclose(
        jnp.sum(jnp.exp(log_p), axis=1), 1, rtol=0, atol=rounding(4 * WAY, scale=5, precision=np.float64)
    )
    order = np.array([2, 0, 3, 1])
    close(predict(adapted, queries_of(name)[order]), log_p[order])
    close(predict(adapted, queries_of(name)[1:2]), log_p[1:2])


@every_adaptable
def test_predicting_changes_nothing(name: str) -> None:
    adapt, predict = adapting(name)
    adapted = adapt(updated(name)[0], support_of(name))
    before = jax.tree.map(np.array, adapted)
    once = predict(adapted, queries_of(name))
    np.testing.assert_array_equal(predict(adapted, queries_of(name)), once)
    assert eqx.tree_equal(jax.tree.map(np.array, adapted), before)
    assert eqx.tree_equal(adapt(updated(name)[0], support_of(name)), adapted)


@every_adaptable
def test_labels_of_the_support_set_change_the_predictions(name: str) -> None:
    adapt, predict = adapting(name)
    support = support_of(name)
    other = Examples(support.inputs, (support.labels + 1) % WAY)
    one, two = (predict(adapt(updated(name)[0], given), queries_of(name)) for given in (support, other))
    assert np.abs(one - two).max() > 1e6 * FIGURE


def test_there_are_learners_of_each_kind() -> None:
    """Nothing above is skipped without notice."""
    assert set(ADAPTABLE) == LEARNERS.keys() - {"reconstruction", "pair"}
    assert sum(classes_of(name) is None for name in ADAPTABLE) == 2
