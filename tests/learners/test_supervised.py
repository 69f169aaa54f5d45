"""The learner of sequences against a twin that goes step by step, with each kind of target, and what it never sees."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.cells.tiny import lstm_twin
from tests.learners.streams import batch, counts
from tests.reference import targets as twins
from tests.reference.numeric import ERROR
from tests.reference.rounding import rounding
from tests.reference.streams import by_instance, lstm_outputs
from tests.sentences import refused

from fastslow.cells.base import AbstractCell
from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.lstm import LSTM, LSTMConfig, LSTMState
from fastslow.cells.mann import MANNConfig
from fastslow.cells.nmn import NMNConfig
from fastslow.learners.base import LearnerState
from fastslow.learners.few_shot import MOMENTUM
from fastslow.learners.supervised import SupervisedConfig, SupervisedLearner
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.memory.slots import SoftSlotsConfig
from fastslow.metrics import ACCURACY, LOG_LIKELIHOOD, Axis
from fastslow.models.conv import ConvConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import Network, NetworkConfig
from fastslow.optim.config import AdamConfig
from fastslow.tasks.base import Examples, SequenceEpisode, TaskSpec
from fastslow.tasks.targets import Categorical, Gaussian, MultiCategorical

pytestmark = pytest.mark.usefixtures("double")

KEY = jax.random.key(0)
BATCH, STEPS, SIDE, HIDDEN, WAY, LETTERS = 3, 9, 2, 4, 3, 2
AXIS = Axis("instance", (1, 2, 3))
TARGETS = {"categorical": Categorical(WAY), "multi-categorical": MultiCategorical(2, LETTERS), "gaussian": Gaussian()}
MODEL = NetworkConfig(FlattenConfig(), LSTMConfig(HIDDEN))
CELLS = {
    "lstm": LSTMConfig(HIDDEN),
    "feed-forward": FeedForwardConfig(HIDDEN),
    "mann": MANNConfig(LSTMConfig(HIDDEN), LeastUsedConfig(slots=4, width=3, heads=2)),
    "nmn": NMNConfig(HIDDEN, SoftSlotsConfig(4), label_input="input"),
}
every_target = pytest.mark.parametrize("kind", TARGETS)
ROUNDING = rounding(1000, scale=10, precision=np.float64)
"""Nine steps of four gates of up to ten products a unit, a head, there and back; outputs are below 10."""


def spec(kind: str = "categorical") -> TaskSpec:
    target = TARGETS[kind]
    metrics = (target.monitor, target.monitor.along(AXIS))
    return TaskSpec("streams", "sequence", (SIDE, SIDE), target, label=target.size, metrics=metrics)


def learner(kind: str = "categorical", model: NetworkConfig = MODEL, optimizer=None) -> SupervisedLearner:
    optimizer = optax.sgd(0.1, momentum=0.9) if optimizer is None else optimizer
    return SupervisedConfig().build(model, spec(kind), optimizer, batch=BATCH)


def label_rows(kind: str, classes: np.ndarray) -> np.ndarray:
    if kind == "gaussian":
        return np.array([[-1.3], [0.2], [2.0]])[classes]
    return np.asarray(TARGETS[kind].labels(), np.float64)[classes]


@cache
def streams(kind: str = "categorical", padding: int = 0, seed: int = 0) -> SequenceEpisode:
    """Random images; in the second stream the last `padding` steps are padding."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(BATCH, STEPS, SIDE, SIDE))
    classes = rng.integers(0, WAY, (BATCH, STEPS))
    instance = np.stack([counts(row) for row in classes])
    if padding:
        instance[1, -padding:] = 0
    return batch(x, np.stack([label_rows(kind, row) for row in classes]), instance)


@cache
def built(kind: str = "categorical") -> tuple[SupervisedLearner, LearnerState]:
    """A learner and a state whose weights are large enough for every path to matter."""
    one = learner(kind)
    return one, larger(one.init(key=KEY))


def larger(state: LearnerState) -> LearnerState:
    return eqx.tree_at(lambda s: s.params, state, jax.tree.map(lambda w: 3 * w, state.params))


@cache
def compiled(kind: str = "categorical"):
    """Update and evaluation; one trace of the first has to serve every test of this file."""
    one = built(kind)[0]
    update = eqx.debug.assert_max_traces(lambda state, given: one.update(state, given, key=KEY), max_traces=1)
    return jax.jit(update), jax.jit(lambda state, given: one.evaluate(state, given, key=KEY))


# --- the twin


def scored(kind: str, outputs: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Nll of one step, and its score by the monitored metric."""
    if kind == "categorical":
        return twins.categorical_nll(outputs, target), float(np.argmax(outputs) == np.argmax(target))
    if kind == "multi-categorical":
        return twins.string_nll(outputs, target, LETTERS), float(twins.string_is_right(outputs, target, LETTERS))
    nll = twins.gaussian_nll(target[0], outputs[0], np.log1p(np.exp(outputs[1])) + Gaussian.FLOOR)
    return nll, -nll


def twin_scores(kind: str, network: Network, episodes: SequenceEpisode) -> list[list[tuple[float, float]]]:
    """Nll and score of every step, padding included."""
    linear = network.head.linear
    weights = lstm_twin(network.cell), np.asarray(linear.weight, np.float64), np.asarray(linear.bias, np.float64)
    x, targets = np.asarray(episodes.inputs.x), np.asarray(episodes.targets)
    each = []
    for b in range(BATCH):
        outputs = lstm_outputs(*weights, x[b], targets[b])
        each.append([scored(kind, outputs[t], targets[b, t]) for t in range(STEPS)])
    return each


@every_target
def test_figures_are_the_twins(kind: str) -> None:
    """Of each episode, and summed over a batch; over all steps, and by instance."""
    one, state = built(kind)
    update, score = compiled(kind)
    episodes = streams(kind, padding=2)
    steps, instance = twin_scores(kind, state.params, episodes), np.asarray(episodes.axis_index)
    found = score(state, episodes)
    name = one.monitor.key
    assert found.keys() == {"loss", name, f"{name}/instance"}
    assert {metric.key for metric in one.metrics} <= found.keys()
    sums = {"loss": 0.0, name: 0.0, "hits": np.zeros(3), "seen": np.zeros(3)}
    for b in range(BATCH):
        counted = [t for t in range(STEPS) if instance[b, t] > 0]
        loss, total = (sum(steps[b][t][part] for t in counted) for part in (0, 1))
        np.testing.assert_allclose(found["loss"].total[b], loss, rtol=0, atol=STEPS * ROUNDING)
        np.testing.assert_allclose(found[name].total[b], total, rtol=0, atol=STEPS * ROUNDING)
        assert float(found["loss"].count[b]) == float(found[name].count[b]) == len(counted)
        _, hits, seen = by_instance(lambda t, b=b: steps[b][t][1], instance[b], 3)
        np.testing.assert_allclose(found[f"{name}/instance"].total[b], hits, rtol=0, atol=STEPS * ROUNDING)
        np.testing.assert_array_equal(found[f"{name}/instance"].count[b], seen)
        for key, value in (("loss", loss), (name, total), ("hits", np.array(hits)), ("seen", np.array(seen))):
            sums[key] = sums[key] + value
    _, figures = update(state, episodes)
    number = int((instance > 0).sum())
    for key in ("loss", name):
        np.testing.assert_allclose(figures[key].total, sums[key], rtol=0, atol=BATCH * STEPS * ROUNDING)
        assert figures[key].count == number
    for place, label in enumerate(AXIS.labels):
        figure = figures[f"{one.monitor.name}, instance {label}"]
        np.testing.assert_allclose(figure.total, sums["hits"][place], rtol=0, atol=BATCH * STEPS * ROUNDING)
        assert figure.count == sums["seen"][place]
    if kind != "gaussian":
        assert 0 < figures[name].value < 1


def test_an_update_follows_the_gradient_of_the_twins_loss() -> None:
    """Along a direction in all weights, by central differences of the twin."""
    _, state = built()
    episodes = streams(padding=2)
    mask = np.asarray(episodes.mask)

    def loss(network: Network) -> float:
        steps = twin_scores("categorical", network, episodes)
        return float(np.mean([steps[b][t][0] for b, t in zip(*np.nonzero(mask), strict=True)]))

    after, figures = compiled()[0](state, episodes)
    # the first step of SGD with momentum is −0.1 times the gradient
    gradient = jax.tree.map(lambda new, old: (np.asarray(old) - np.asarray(new)) / 0.1, after.params, state.params)
    leaves, shape = jax.tree.flatten(state.params)
    rng = np.random.default_rng(0)
    for _ in range(4):
        way = [rng.normal(size=leaf.shape) for leaf in leaves]
        length = np.sqrt(sum(np.sum(step**2) for step in way))
        moved = lambda h, way=way, length=length: loss(
            shape.unflatten([np.asarray(leaf) + h / length * step for leaf, step in zip(leaves, way, strict=True)])
        )
        expected = (moved(1e-6) - moved(-1e-6)) / 2e-6
        along = sum(float(np.sum(g * step)) for g, step in zip(jax.tree.leaves(gradient), way, strict=True)) / length
        np.testing.assert_allclose(along, expected, rtol=0, atol=ERROR)
    norm = np.sqrt(sum(float(np.sum(g**2)) for g in jax.tree.leaves(gradient)))
    np.testing.assert_allclose(figures["gradient_norm"].value, norm, rtol=ROUNDING)


# --- the loss mask, padding, and what is shown when


@every_target
def test_what_padding_holds_changes_nothing(kind: str) -> None:
    """Steps after the end, whatever is in them: the same figures, and the same parameters after an update."""
    _, state = built(kind)
    update, score = compiled(kind)
    plain = streams(kind, padding=2)
    filled = eqx.tree_at(
        lambda e: (e.inputs.x, e.inputs.label, e.targets),
        plain,
        (
            plain.inputs.x.at[1, -2:].set(7.0),
            plain.inputs.label.at[1, -2:].set(3.0),
            plain.targets.at[1, -2:].set(plain.targets[0, :2] + 1),
        ),
    )
    assert eqx.tree_equal(score(state, plain), score(state, filled))
    assert eqx.tree_equal(update(state, plain), update(state, filled))


def test_a_padded_stream_has_the_figures_of_the_stream_without() -> None:
    one, state = built()
    padded, cut = streams(padding=2), jax.tree.map(lambda leaf: leaf[1:2, :-2], streams(padding=2))
    whole, short = compiled()[1](state, padded), one.evaluate(state, cut, key=KEY)
    for name, figure in short.items():
        np.testing.assert_allclose(figure.total[0], whole[name].total[1], rtol=0, atol=STEPS * ROUNDING)
        np.testing.assert_array_equal(figure.count[0], whole[name].count[1])
    assert not np.allclose(compiled()[1](state, streams())["loss"].total[1], whole["loss"].total[1])


def test_steps_outside_of_the_mask_are_read_but_not_measured() -> None:
    _, state = built()
    whole = streams()
    mask = np.random.default_rng(3).random((BATCH, STEPS)) < 0.5
    mask[:, -1] = True
    part = eqx.tree_at(lambda e: e.mask, whole, jnp.asarray(mask))
    steps = twin_scores("categorical", state.params, whole)
    found = compiled()[1](state, part)
    for b in range(BATCH):
        expected = sum(steps[b][t][0] for t in np.flatnonzero(mask[b]))
        np.testing.assert_allclose(found["loss"].total[b], expected, rtol=0, atol=STEPS * ROUNDING)
    # an input before the last step is read, whether it counts or not
    changed = eqx.tree_at(lambda e: e.inputs.x, part, part.inputs.x.at[:, np.flatnonzero(~mask[0])[0]].add(1.0))
    assert not np.allclose(compiled()[1](state, changed)["loss"].total[0], found["loss"].total[0])


def test_a_label_is_shown_one_step_late_and_never_early() -> None:
    """By the slopes of the output at each step in the label beside each input."""
    one, state = built()
    episodes = jax.tree.map(lambda leaf: leaf[:1], streams())
    shown = lambda label: eqx.tree_at(lambda e: e.inputs.label, episodes, label)
    outputs = lambda label: one._outputs(state.params, state.model_state, shown(label), training=False)[0][0]
    slopes = np.abs(jax.jit(jax.jacobian(outputs))(episodes.inputs.label)[:, :, 0]).max(axis=(1, 3))
    for step in range(STEPS):
        for label in range(STEPS):
            assert (slopes[step, label] > 0) == (label <= step)
    # and by its values the targets are no inputs
    other = eqx.tree_at(lambda e: e.targets, episodes, episodes.targets[:, ::-1])
    given = one._outputs(state.params, state.model_state, episodes, training=False)[0]
    np.testing.assert_array_equal(one._outputs(state.params, state.model_state, other, training=False)[0], given)


@pytest.mark.parametrize("cell", CELLS)
def test_any_cell_reads_features_and_labels_step_by_step(cell: str) -> None:
    one = learner(model=NetworkConfig(FlattenConfig(), CELLS[cell]))
    state = one.init(key=KEY)
    network, episode = state.params, jax.tree.map(lambda leaf: leaf[0], streams())
    found = jax.jit(lambda state: one._outputs(state.params, state.model_state, streams(), training=False)[0])(state)
    now, step = network.cell.init_state(), jax.jit(lambda state, row: network.cell(state, row))
    for t in range(STEPS):
        previous = jnp.zeros(WAY) if t == 0 else episode.targets[t - 1]
        now, y = step(now, jnp.concatenate([episode.inputs.x[t].reshape(-1), previous]))
        np.testing.assert_allclose(found[0, t], network.head(y), rtol=0, atol=ROUNDING)
    after, figures = jax.jit(lambda state: one.update(state, streams(), key=KEY))(state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, figures)))
    assert not eqx.tree_equal(after.params, state.params)


def test_episodes_are_independent() -> None:
    _, state = built()
    score = compiled()[1]
    turned = jax.tree.map(lambda leaf: leaf[::-1], streams())
    for name, figure in score(state, streams()).items():
        other = score(state, turned)[name]
        np.testing.assert_allclose(other.total[::-1], figure.total, rtol=0, atol=STEPS * ROUNDING)
        np.testing.assert_array_equal(other.count[::-1], figure.count)


# --- learning


@every_target
def test_an_update_keeps_the_states_form(kind: str) -> None:
    one, state = built(kind)
    update, _ = compiled(kind)
    described = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)
    after, figures = update(state, streams(kind))
    again, _ = update(after, streams(kind, seed=1))
    assert described(after) == described(again) == described(state)
    assert eqx.tree_equal(update(state, streams(kind)), (after, figures))
    assert not eqx.tree_equal(after.params, state.params)
    assert {"loss", one.monitor.key} <= figures.keys()
    assert all(part.shape == () and np.isfinite(part) for part in jax.tree.leaves(figures))


class Costly(AbstractCell[LSTMState]):
    """An LSTM that adds its last state to the loss."""

    inner: LSTM
    weight: float = eqx.field(static=True)

    @property
    def out_size(self) -> int:
        return self.inner.out_size

    def init_state(self) -> LSTMState:
        return self.inner.init_state()

    def __call__(self, state: LSTMState, x: jax.Array) -> tuple[LSTMState, jax.Array]:
        return self.inner(state, x)

    def own_loss(self, state: LSTMState) -> jax.Array:
        return self.weight * jnp.sum(state.cell**2)


def test_a_cells_own_loss_is_learned_from_and_not_measured() -> None:
    taken, figures = {}, {}
    for weight in (0.0, 0.7):

        def build(key, weight=weight) -> Network:
            plain = MODEL.build(spec(), key=key)
            return Network(plain.embed, Costly(plain.cell, weight), plain.head, plain.label)

        one = SupervisedLearner(build, optax.sgd(1.0), spec())
        state = one.init(key=KEY)
        after, figures[weight] = jax.jit(lambda state, one=one: one.update(state, streams(), key=KEY))(state)
        taken[weight] = jax.tree.map(jnp.subtract, state.params.cell.inner, after.params.cell.inner)

    def own(inner: LSTM) -> jax.Array:
        total = jnp.zeros(())
        for b in range(BATCH):
            now = inner.init_state()
            for t in range(STEPS):
                x = jnp.concatenate([streams().inputs.x[b, t].reshape(-1), streams().inputs.label[b, t]])
                now, _ = inner(now, x)
            total = total + jnp.sum(now.cell**2)
        return 0.7 * total / BATCH

    added = jax.jit(jax.grad(own))(state.params.cell.inner)
    for with_own, without, more in zip(*map(jax.tree.leaves, (taken[0.7], taken[0.0], added)), strict=True):
        np.testing.assert_allclose(with_own, without + more, rtol=0, atol=ROUNDING)
        assert (more != 0).any()
    assert eqx.tree_equal(figures[0.7]["loss"], figures[0.0]["loss"])


def test_updates_learn_labels_that_change_from_stream_to_stream() -> None:
    """Two characters whose labels are swapped in half of the streams: only the labels shown can tell which."""
    model = NetworkConfig(FlattenConfig(), LSTMConfig(16))
    one = learner(model=model, optimizer=AdamConfig(learning_rate=1e-2).build(1000))
    update = jax.jit(lambda state, given: one.update(state, given, key=KEY))

    def easy(seed: int) -> SequenceEpisode:
        rng = np.random.default_rng(seed)
        classes = rng.integers(0, 2, (32, 5))
        labels = (classes + rng.integers(0, 2, (32, 1))) % 2
        x = np.eye(SIDE * SIDE)[classes].reshape(32, 5, SIDE, SIDE)
        return batch(x, np.eye(WAY)[labels], np.stack([counts(row) for row in classes]))

    state = larger(one.init(key=KEY))
    before = one.evaluate(state, easy(1000), key=KEY)
    for seed in range(150):
        state, _ = update(state, easy(seed))
    after = one.evaluate(state, easy(1000), key=KEY)
    assert jnp.mean(after["loss"].value) < 0.5 * jnp.mean(before["loss"].value)
    hits, seen = (np.sum(part, axis=0) for part in jax.tree.leaves(after["accuracy/instance"]))
    assert hits[1] / seen[1] > 0.95
    assert 0.3 < hits[0] / seen[0] < 0.95  # a guess at the first step; the other character's is known from it


# --- one sequence at a time


@pytest.mark.parametrize("kind", ["categorical", "multi-categorical"])
def test_adapting_and_predicting_is_the_last_step_of_a_stream(kind: str) -> None:
    one, state = built(kind)
    score = compiled(kind)[1]
    last = eqx.tree_at(lambda e: e.mask, streams(kind), streams(kind).mask.at[:, :-1].set(False))
    found = score(state, last)
    labels_of = one.spec.target.labels()
    right = []
    for b in range(BATCH):
        labels = jnp.argmax(last.targets[b] @ labels_of.T, axis=1)
        adapted = one.adapt(state, Examples(last.inputs.x[b, :-1], labels[:-1]), key=KEY)
        queries = jnp.stack([last.inputs.x[b, -1], last.inputs.x[b, 0]])
        log_p = one.predict(adapted, queries)
        assert log_p.shape == (2, labels_of.shape[0])
        np.testing.assert_allclose(jnp.sum(jnp.exp(log_p), axis=1), 1, rtol=0, atol=ROUNDING)  # over all strings, too
        np.testing.assert_allclose(-log_p[0, labels[-1]], found["loss"].total[b], rtol=0, atol=STEPS * ROUNDING)
        right.append(float(jnp.argmax(log_p[0]) == labels[-1]))
        # in two parts it is the same
        again = one.observe(one.start(state), last.inputs.x[b, :2], last.targets[b, :2])
        again = one.observe(again, last.inputs.x[b, 2:-1], last.targets[b, 2:-1])
        np.testing.assert_allclose(one.predict(again, queries), log_p, rtol=0, atol=STEPS * ROUNDING)
        # a query changes nothing for the next
        np.testing.assert_allclose(one.predict(adapted, queries[1:]), log_p[1:], rtol=0, atol=ROUNDING)
    np.testing.assert_array_equal(found["accuracy"].total, right)


def test_of_real_numbers_the_last_answer_is_a_streams_last_step() -> None:
    one, state = built("gaussian")
    last = eqx.tree_at(lambda e: e.mask, streams("gaussian"), streams("gaussian").mask.at[:, :-1].set(False))
    nll = compiled("gaussian")[1](state, last)["loss"].total
    for b in range(BATCH):
        streamed = one.observe(one.start(state), last.inputs.x[b, :-1], last.targets[b, :-1])
        outputs = one.answer(streamed, last.inputs.x[b, -1:])[0]
        expected = state.params.head.nll(outputs, last.targets[b, -1])
        np.testing.assert_allclose(nll[b], expected, rtol=0, atol=STEPS * ROUNDING)
    with refused("labels: got targets of Gaussian, expected targets that are classes"):
        one.adapt(state, Examples(last.inputs.x[0], jnp.zeros(STEPS, jnp.int32)), key=KEY)


# --- statistics of normalisation

CONVOLVED = NetworkConfig(ConvConfig(features=3, channels=2, blocks=1), LSTMConfig(HIDDEN))


def test_running_statistics_follow_the_batches() -> None:
    """An average over updates, not the last batch."""
    one = learner(model=CONVOLVED)
    state = one.init(key=KEY)
    after, _ = one.update(state, streams(), key=KEY)
    _, used = state.params.embed(streams().inputs.x.reshape(-1, SIDE, SIDE), None)
    for mine, neutral, found in zip(*map(jax.tree.leaves, (after.model_state, state.model_state, used)), strict=True):
        np.testing.assert_allclose(mine, MOMENTUM * neutral + (1 - MOMENTUM) * found, rtol=0, atol=ROUNDING)


def test_an_answer_depends_on_running_statistics_and_no_other_query() -> None:
    one = learner(model=CONVOLVED)
    state = one.init(key=KEY)
    state = eqx.tree_at(lambda s: s.model_state, state, jax.tree.map(lambda leaf: leaf + 0.3, state.model_state))
    x, labels = streams().inputs.x[0], jnp.argmax(streams().targets[0], axis=1)
    adapted = one.adapt(state, Examples(x[:-1], labels[:-1]), key=KEY)
    together, alone = one.predict(adapted, x[-3:]), one.predict(adapted, x[-1:])
    np.testing.assert_allclose(together[-1:], alone, rtol=0, atol=ROUNDING)
    last = eqx.tree_at(lambda e: e.mask, streams(), streams().mask.at[:, :-1].set(False))
    loss = one.evaluate(state, last, key=KEY)["loss"].total[0]
    np.testing.assert_allclose(-alone[0, labels[-1]], loss, rtol=0, atol=STEPS * ROUNDING)


def test_what_a_result_states_of_the_learner() -> None:
    assert SupervisedConfig().facts == {"protocol": "in-context", "transductive": False}


def test_metrics_are_the_tasks() -> None:
    one = learner()
    assert one.metrics == (ACCURACY, ACCURACY.along(AXIS))
    assert one.monitor == ACCURACY
    assert learner("gaussian").monitor == LOG_LIKELIHOOD
    other = SupervisedConfig().build(MODEL, replace(spec(), metrics=(ACCURACY,)), optax.sgd(0.1), batch=BATCH)
    assert other.evaluate(built()[1], streams(), key=KEY).keys() == {"loss", "accuracy"}
