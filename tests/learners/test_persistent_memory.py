"""Memories that outlive their episode, one for each batch slot."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.streams import batch, counts
from tests.reference.rounding import rounding
from tests.sentences import refused

from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.cells.unroll import unroll
from fastslow.learners.base import LearnerState
from fastslow.learners.supervised import SupervisedConfig, SupervisedLearner
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.metrics import ACCURACY, Axis
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import NetworkConfig
from fastslow.tasks.base import SequenceEpisode, TaskSpec
from fastslow.tasks.targets import Categorical

pytestmark = pytest.mark.usefixtures("double")

KEY = jax.random.key(0)
BATCH, STEPS, SIDE, HIDDEN, WAY = 3, 9, 2, 4, 3
METRICS = (ACCURACY.along(Axis("instance", (1, 2, 3))),)
SPEC = TaskSpec("streams", "sequence", (SIDE, SIDE), Categorical(WAY), label=WAY, metrics=METRICS)
MODEL = NetworkConfig(FlattenConfig(), MANNConfig(LSTMConfig(HIDDEN), LeastUsedConfig(slots=4, width=3, heads=2)))
ROUNDING = STEPS * rounding(1000, scale=10, precision=np.float64)
"""Sums over nine steps of ten products a unit; a memory's cosine adds as many again."""


@cache
def streams(seed: int = 0) -> SequenceEpisode:
    """Random images."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(BATCH, STEPS, SIDE, SIDE))
    classes = rng.integers(0, WAY, (BATCH, STEPS))
    return batch(x, np.eye(WAY)[classes], np.stack([counts(row) for row in classes]))


class Slots:
    """A learner with one memory for each stream of a batch, compiled once, and a state in which no two are alike."""

    def __init__(self, persistent: bool = True, size: int = BATCH) -> None:
        # a step of no length, so that the parameters stay as they are
        self.learner: SupervisedLearner = SupervisedConfig(persistent).build(MODEL, SPEC, optax.sgd(0.0), batch=size)
        state = self.learner.init(key=KEY)
        state = eqx.tree_at(lambda s: s.params, state, jax.tree.map(lambda w: 2 * w, state.params))
        rng = np.random.default_rng(5)
        different = jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.uniform(size=leaf.shape)), state.model_state)
        self.state: LearnerState = eqx.tree_at(lambda s: s.model_state, state, different)
        self.update = jax.jit(lambda state, given: self.learner.update(state, given, key=KEY))
        self.score = jax.jit(lambda state, given: self.learner.evaluate(state, given, key=KEY))


@cache
def slots() -> Slots:
    return Slots()


def memories(state: LearnerState):
    return state.model_state[1]


def test_a_memory_that_outlives_its_episode_is_where_the_next_one_starts() -> None:
    """Two episodes in a row of which the memory alone is kept: the second one starts from what the first one left."""
    first, second = streams(), streams(seed=1)
    after, _ = slots().update(slots().state, first)
    cell, head = after.params.cell, after.params.head
    rows_of = lambda given, b: jnp.concatenate([given.inputs.x[b].reshape(STEPS, -1), given.inputs.label[b]], axis=1)
    run = jax.jit(lambda memory, rows: unroll(cell, eqx.tree_at(lambda s: s.memory, cell.init_state(), memory), rows))
    found = slots().score(after, second)["loss"].total
    for b in range(BATCH):
        left, _ = run(jax.tree.map(lambda leaf, b=b: leaf[b], memories(slots().state)), rows_of(first, b))
        kept = jax.tree.map(lambda leaf, b=b: leaf[b], memories(after))
        assert eqx.tree_equal(kept, left.memory, rtol=ROUNDING, atol=ROUNDING)
        logits = jax.vmap(head)(run(left.memory, rows_of(second, b))[1])
        loss = -jnp.sum(second.targets[b] * jax.nn.log_softmax(logits))
        np.testing.assert_allclose(found[b], loss, rtol=0, atol=ROUNDING)
    assert not np.allclose(found, slots().score(slots().state, second)["loss"].total)


def test_measuring_leaves_the_memories_as_they_are_and_takes_any_number_of_streams() -> None:
    doubled = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), streams(seed=1))
    once, twice = (slots().score(slots().state, given) for given in (streams(seed=1), doubled))
    for name, figure in once.items():
        for ours, theirs in zip(jax.tree.leaves(twice[name]), jax.tree.leaves(figure), strict=True):
            np.testing.assert_allclose(ours, np.concatenate([theirs, theirs]), rtol=0, atol=ROUNDING)


def test_a_stream_starts_from_the_first_memory_as_a_measured_episode_does() -> None:
    one, given = slots(), jax.tree.map(lambda leaf: leaf[0], streams())

    @jax.jit
    def nll_step_by_step(state):
        streamed, found = one.learner.start(state), []
        for t in range(STEPS):
            logits = one.learner.answer(streamed, given.inputs.x[t : t + 1])[0]
            found.append(-jnp.sum(given.targets[t] * jax.nn.log_softmax(logits)))
            streamed = one.learner.observe(streamed, given.inputs.x[t : t + 1], given.targets[t : t + 1])
        return jnp.sum(jnp.stack(found))

    loss = one.score(one.state, streams())["loss"].total[0]
    np.testing.assert_allclose(nll_step_by_step(one.state), loss, rtol=0, atol=ROUNDING)
    emptied = eqx.tree_at(lambda s: s.model_state, one.state, jax.tree.map(jnp.zeros_like, one.state.model_state))
    assert not np.allclose(nll_step_by_step(emptied), loss, rtol=1e-2)


def test_no_gradient_crosses_from_one_episode_to_the_next() -> None:
    """An update on the memories that were left is one on constants of the same values."""
    slow = SupervisedConfig(persistent=True).build(MODEL, SPEC, optax.sgd(1.0), batch=BATCH)
    update = jax.jit(lambda state, given: slow.update(state, given, key=KEY))
    after, _ = slots().update(slots().state, streams())
    again, _ = update(after, streams(seed=1))
    constants = eqx.tree_at(
        lambda s: s.model_state, after, jax.tree.map(jnp.asarray, jax.device_get(after.model_state))
    )
    assert eqx.tree_equal(update(constants, streams(seed=1))[0], again)
    assert not eqx.tree_equal(again.params, after.params)


def test_there_are_as_many_memories_as_episodes_of_a_batch() -> None:
    two = SupervisedConfig(persistent=True).build(MODEL, SPEC, optax.sgd(0.0), batch=2)
    assert two.slots == 2
    state = two.init(key=KEY)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(memories(state))} == {2}
    first = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), state.params.cell.init_state().memory)
    assert eqx.tree_equal(memories(state), first)
    with refused("slots: got 2, expected 0, or the 3 episodes of a batch"):
        two.update(state, streams(), key=KEY)


def test_without_persistence_nothing_is_kept() -> None:
    plain = Slots(persistent=False)
    after, _ = plain.update(plain.state, streams())
    assert not jax.tree.leaves(after.model_state)
    assert eqx.tree_equal(plain.score(after, streams()), plain.score(plain.state, streams()))
