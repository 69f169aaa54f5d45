"""Learning from streams: what is carried on, what is learned again, what surprises, and who answers."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.streams import batch
from tests.learners.tiny import CONV, FEATURES, SIZE, WAY, nmn
from tests.reference.rounding import rounding
from tests.sentences import refused

from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.unroll import unroll
from fastslow.learners.base import LearnerState
from fastslow.learners.online import USUAL, OnlineConfig, OnlineLearner
from fastslow.learners.readout import REMEMBERED, Confidence, fresh_confidence, noted, read_out
from fastslow.learners.stream import attention, learned_inputs
from fastslow.memory.stored import StoredExamples
from fastslow.metrics import ACCURACY
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import NetworkConfig
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import SequenceEpisode, TaskSpec
from fastslow.tasks.gaussian_process import GaussianProcessConfig
from fastslow.tasks.targets import Categorical

pytestmark = pytest.mark.usefixtures("double")

STREAMS, STEPS, RATE = 2, 5, 0.05
SPEC = TaskSpec("streams", "sequence", (SIZE, SIZE), Categorical(WAY), label=WAY, metrics=(ACCURACY,))
PLAIN = NetworkConfig(CONV, FeedForwardConfig(FEATURES))
BOTH = FeedbackConfig(regime="both", predictor="lstm", hidden=4, regression=1.0, alpha=0.1)
CLOSE = rounding(2000, scale=10, precision=np.float64)


@cache
def given(seed: int = 0, padding: int = 0) -> SequenceEpisode:
    """Random images; the last steps may be padding, which holds anything."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(STREAMS, STEPS, SIZE, SIZE))
    instance = np.broadcast_to((np.arange(STEPS) < STEPS - padding).astype(int), (STREAMS, STEPS))
    return batch(x, np.eye(WAY)[rng.integers(0, WAY, (STREAMS, STEPS))], instance)


def built(config: OnlineConfig, model: NetworkConfig = PLAIN) -> OnlineLearner:
    return config.build(model, SPEC, optax.sgd(RATE), batch=STREAMS)


def after(learner: OnlineLearner, *batches: SequenceEpisode) -> tuple[LearnerState, dict]:
    update = jax.jit(lambda state, episodes: learner.update(state, episodes, key=jax.random.key(3)))
    state, figures = learner.init(key=jax.random.key(0)), {}
    for episodes in batches:
        state, figures = update(state, episodes)
    return state, figures


@pytest.mark.parametrize(("feedback", "slots"), [(FeedbackConfig(), 0), (BOTH, 4)], ids=["true", "both, held"])
def test_padding_changes_nothing(feedback: FeedbackConfig, slots: int) -> None:
    """Other images and labels in the padding give the same weights, memory and figures, without batch statistics."""
    flat = replace(nmn("write", "key-value"), embed=FlattenConfig())
    learner = built(OnlineConfig(feedback, slots=slots), flat)
    episodes = given(padding=2)
    targets = jnp.where(episodes.mask[..., None], episodes.targets, jnp.eye(WAY)[1])
    x = jnp.where(episodes.mask[..., None, None], episodes.inputs.x, 7.0)
    other = eqx.tree_at(lambda e: (e.targets, e.inputs.x), episodes, (targets, x))
    one, figures = after(learner, given(1), episodes)
    two, others = after(learner, given(1), other)
    for a, b in zip(*map(jax.tree.leaves, ((one, figures), (two, others))), strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)


def test_held_examples_that_are_not_learned_again_leave_a_plain_network_as_it_is() -> None:
    plain, held = (
        after(built(OnlineConfig(**kept)), given(), given(1))[0] for kept in ({}, {"slots": 3, "replay": False})
    )
    for a, b in zip(*map(jax.tree.leaves, (plain.params, held.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)
    for a, b in zip(*map(jax.tree.leaves, (plain.model_state.statistics, held.model_state.statistics)), strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)


def test_the_copies_that_are_learned_are_changed_and_in_further_steps_the_batch_is() -> None:
    x = given().inputs.x
    held = jax.vmap(StoredExamples)(x[:, :2], jnp.ones((STREAMS, 2, WAY)))
    learned = lambda **how: learned_inputs(x, held, jax.random.key(0), **how)
    same = learned(strength=0.0, again=True, replay=True)
    np.testing.assert_array_equal(same, jnp.concatenate([x[:, :2], x], axis=1))
    first = learned(strength=1.0, again=False, replay=True)
    np.testing.assert_array_equal(first[:, 2:], x)
    assert (np.abs(first[:, :2] - x[:, :2]).max(axis=(2, 3)) > 1e-3).all()
    further = learned(strength=1.0, again=True, replay=True)
    assert (np.abs(further - same).max(axis=(2, 3)) > 1e-3).all()
    np.testing.assert_array_equal(learned(strength=1.0, again=False, replay=False), x)


@pytest.mark.parametrize("slots", [0, 3])
def test_attention_is_that_of_each_step(slots: int) -> None:
    """Without held examples one after the other through the memory; with them all from what the held ones fill."""
    flat = replace(nmn("write", "key-value") if slots else nmn(), embed=FlattenConfig())
    state, _ = after(built(OnlineConfig(slots=slots), flat), given())
    network, carried = state.params.network, state.model_state
    episode = jax.tree.map(lambda leaf: leaf[0], given(1))
    x = episode.inputs.x.reshape(STEPS, -1)
    now, labels = network.cell.init_state(), episode.targets if slots else None
    if slots:
        held = jax.tree.map(lambda leaf: leaf[0], carried.held)
        for row in network.rows(held.inputs.reshape(slots, -1), held.targets):
            now, _ = network.cell.trace(now, row)
    else:
        now = eqx.tree_at(lambda s: s.memory, now, jax.tree.map(lambda leaf: leaf[0], carried.memory))
    expected = []
    for row in network.rows(x, labels):
        then, trace = network.cell.trace(now, row)
        expected.append(trace.scores)
        now = now if slots else then
    found = attention(network, carried, episode)
    np.testing.assert_allclose(found, expected, rtol=CLOSE, atol=CLOSE)
    assert found.shape == (
        STEPS,
        len(network.cell.memory.initial_values) if slots else len(network.cell.memory.initial),
    )


def test_a_memory_is_carried_on_from_batch_to_batch() -> None:
    learner = built(OnlineConfig(), nmn())
    first, _ = after(learner, given())
    second, _ = after(learner, given(), given(1))
    network = first.params.network
    features, _ = network.embed(given(1).inputs.x.reshape(-1, SIZE, SIZE), None)
    features = features.reshape(STREAMS, STEPS, -1)
    for stream in range(STREAMS):
        before = jax.tree.map(lambda leaf, stream=stream: leaf[stream], first.model_state.memory)
        start = eqx.tree_at(lambda s: s.memory, network.cell.init_state(), before)
        left, _ = unroll(network.cell, start, network.rows(features[stream]))
        expected = second.model_state.memory.values[stream]
        np.testing.assert_allclose(left.memory.values, expected, rtol=CLOSE, atol=CLOSE)
        assert np.abs(expected - before.values).max() > 1e-3


def test_held_examples_are_learned_again_with_the_batch() -> None:
    """The step is the one of plain descent on the mean loss over held examples and batch."""
    learner = built(OnlineConfig(slots=3))
    state, _ = after(learner, given())
    new = given(1)
    moved, _ = jax.jit(lambda s: learner.update(s, new, key=jax.random.key(3)))(state)
    held = state.model_state.held

    def loss(network) -> jax.Array:
        x = jnp.concatenate([held.inputs, new.inputs.x], axis=1)
        features = network.embed(x.reshape(-1, SIZE, SIZE), None)[0].reshape(STREAMS, 3 + STEPS, -1)
        targets = jnp.concatenate([held.targets, new.targets], axis=1)
        out = jax.vmap(
            jax.vmap(
                lambda row: network.head(
                    jnp.tanh(network.cell.input_weight @ jnp.concatenate([row, jnp.zeros(WAY)]) + network.cell.bias)
                )
            )
        )(features)
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(out), axis=2))

    slopes = eqx.filter_jit(eqx.filter_grad(loss))(state.params.network)
    expected = jax.tree.map(lambda w, g: w - RATE * g, eqx.filter(state.params.network, eqx.is_array), slopes)
    for a, b in zip(*map(jax.tree.leaves, (moved.params.network, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)


def test_a_surprising_batch_is_learned_from_in_several_steps() -> None:
    """A batch whose labels contradict all before. No batch is surprising before the usual size is known."""
    calm = given()
    wrong = eqx.tree_at(lambda e: e.targets, calm, jnp.roll(calm.targets, 1, axis=2))
    learner = built(OnlineConfig(slots=3, steps=4, surprise=1.5))
    update = jax.jit(lambda state, episodes: learner.update(state, episodes, key=jax.random.key(3)))
    state, further = learner.init(key=jax.random.key(0)), []
    for _ in range(USUAL):
        state, figures = update(state, calm)
        further.append(float(figures["further_steps"].value))
    assert further == [0.0] * USUAL
    _, figures = update(state, wrong)
    assert figures["surprise"].value > 1.5 * state.model_state.usual
    assert figures["further_steps"].value == 3
    several, _ = update(state, wrong)
    # the first step on the batch's own statistics, three more on the running ones
    key_first, key_more = jax.random.split(jax.random.key(3))
    by_hand, _, _ = learner._step(state, wrong, key_first, again=False)
    statistics = by_hand.model_state.statistics
    for index in (1, 2, 3):
        by_hand, _, _ = learner._step(by_hand, wrong, jax.random.fold_in(key_more, index), again=True)
    for a, b in zip(*map(jax.tree.leaves, (several.params, by_hand.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)
    for a, b in zip(*map(jax.tree.leaves, (several.model_state.statistics, statistics)), strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)


def test_the_running_mean_of_surprise_is_a_mean_at_first() -> None:
    learner = built(OnlineConfig())
    sizes = []
    for count in (1, 2, 3):
        state, figures = after(learner, *(given(seed) for seed in range(count)))
        sizes.append(float(figures["surprise"].value))
        assert state.model_state.usual == pytest.approx(np.mean(sizes), rel=1e-9)


def test_a_test_changes_nothing_and_does_not_depend_on_its_other_examples() -> None:
    learner = built(OnlineConfig(slots=4), nmn("write", "key-value"))
    state, _ = after(learner, given(), given(1))
    found = jax.jit(lambda e: learner.evaluate(state, e, key=jax.random.key(0)))
    whole = found(given(2))["loss"].total
    alone = jax.tree.map(lambda leaf: leaf[:, 2:3], given(2))
    rest = jax.tree.map(lambda leaf: jnp.concatenate([leaf[:, :2], leaf[:, 3:]], axis=1), given(2))
    np.testing.assert_allclose(found(alone)["loss"].total + found(rest)["loss"].total, whole, rtol=CLOSE, atol=CLOSE)


def test_synthetic_gradients_take_a_step_of_their_own() -> None:
    """α moves the controllers and nothing else."""
    networks = []
    for alpha in (0.1, 0.2):
        state, figures = after(built(OnlineConfig(replace(BOTH, alpha=alpha)), nmn()), given())
        networks.append(state.params.network)
        assert figures["synthetic_gradient_output"].value > 0
    one, two = networks
    for a, b in zip(*map(jax.tree.leaves, ((one.embed, one.head), (two.embed, two.head))), strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE)
    for name in ("input", "output", "write"):
        moved = getattr(one.cell.controllers, name).bias - getattr(two.cell.controllers, name).bias
        assert np.abs(moved).max() > 1e-6


# --- who answers


def held_examples() -> StoredExamples:
    return StoredExamples(jnp.zeros((3, 1)), jnp.asarray([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))


def answer(kind: str, outputs: list, confidence: Confidence) -> list[int]:
    features = jnp.asarray([[1.0, 0.1], [0.1, 1.0], [1.0, 0.9]])
    held = jnp.asarray([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    found = read_out(kind, jnp.asarray(outputs), features, held, held_examples(), confidence)
    return jnp.argmax(found, axis=1).tolist()


def test_the_network_the_slots_or_either_answers() -> None:
    sure, unsure = [9.0, 0.0, 0.0], [0.2, 0.1, 0.0]
    confidence = Confidence(jnp.full(REMEMBERED, 0.9), jnp.asarray([100.0, 2.0, 100.0]))
    given = [sure, unsure, unsure]
    assert answer("network", given, confidence) == [0, 0, 0]
    assert answer("slots", given, confidence) == [0, 1, 2]
    # only class 1 is rare
    assert answer("gated", given, confidence) == [0, 1, 1]
    nothing_rare = Confidence(confidence.recent, jnp.ones(3))
    assert answer("gated", given, nothing_rare) == [0, 0, 0]


def test_confidence_is_that_of_the_last_examples_without_padding() -> None:
    rng = np.random.default_rng(0)
    confidence, seen, came = fresh_confidence(3), [], np.zeros(3)
    step = jax.jit(noted)
    for _ in range(150):
        outputs, mask = rng.normal(size=(2, 6, 3)), rng.uniform(size=(2, 6)) < 0.7
        targets = np.eye(3)[rng.integers(0, 3, (2, 6))]
        confidence = step(confidence, jnp.asarray(outputs), jnp.asarray(targets), jnp.asarray(mask))
        powers = np.exp(outputs) / np.exp(outputs).sum(axis=2, keepdims=True)
        seen += powers.max(axis=2)[mask].tolist()
        came += targets[mask].sum(axis=0)
    assert len(seen) > REMEMBERED
    np.testing.assert_allclose(confidence.recent, seen[-REMEMBERED:], rtol=1e-9)
    np.testing.assert_array_equal(confidence.came, came)
    np.testing.assert_allclose(confidence.gate, np.quantile(seen[-REMEMBERED:], 0.01), rtol=1e-9)


# --- what is refused


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"slots": -1}, "slots: got -1, expected an integer from 0 to 4096"),
        ({"slots": 3, "keep": "best"}, "keep: got 'best'"),
        ({"steps": 0}, "steps: got 0, expected an integer from 1 to 1000"),
        ({"warp": -1.0}, "warp: got -1.0, expected a number from 0 to 10"),
        ({"surprise": 0.0}, "surprise: got 0.0"),
        ({"answer": "slots"}, "answer: got 'slots', expected network, where no examples are held"),
        ({"feedback": FeedbackConfig("meta")}, "regime: got 'meta', expected true, both or synthetic"),
        ({"feedback": BOTH}, "cell: got 'feed-forward', expected a cell with controllers"),
        ({"slots": 3, "model": nmn()}, "cell: got 'nmn', expected a cell that takes labels at its write controller"),
        ({"model": nmn("input")}, "label_input: got 'input', expected none or write, so that no answer sees its own"),
    ],
)
def test_choices_that_make_no_sense_are_refused(settings: dict, said: str) -> None:
    settings = dict(settings)
    model = settings.pop("model", PLAIN)
    with refused(said):
        built(OnlineConfig(**settings), model)


def test_a_task_without_classes_or_images_is_refused_what_needs_them() -> None:
    spec = GaussianProcessConfig().spec
    for settings, said in (
        ({"slots": 2}, "slots: got 2, expected 0, as task gaussian-process has no classes"),
        ({"warp": 1.0}, "warp: got 1.0, expected 0, as task gaussian-process has no images"),
    ):
        with refused(said):
            OnlineConfig(**settings).build(PLAIN, spec, optax.sgd(RATE), batch=1)


def test_another_number_of_streams_is_refused() -> None:
    learner = OnlineConfig().build(PLAIN, SPEC, optax.sgd(RATE), batch=3)
    state = learner.init(key=jax.random.key(0))
    with refused("streams: got 3, expected the 2 episodes"):
        learner.update(state, given(), key=jax.random.key(0))
