"""Memories that outlive their episode, one for each stream of a batch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fastslow.models.heads import Categorical
from tests.learners.streams import batch, counts

from fastslow._checks import UserError
from fastslow.cells.base import unroll
from fastslow.cells.lstm import LSTM
from fastslow.cells.mann import MANN
from fastslow.learners.supervised import SequenceLearner, SequenceNetwork
from fastslow.memory.least_used import LeastUsed
from fastslow.tasks.base import SequenceEpisode

KEY = jax.random.key(0)
BATCH, STEPS, SIDE, HIDDEN, WAY, INSTANCES = 3, 9, 2, 4, 3, 3


def streams(seed: int = 0) -> SequenceEpisode:
    """Random images."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(BATCH, STEPS, SIDE, SIDE))
    classes = rng.integers(0, WAY, (BATCH, STEPS))
    return batch(inputs, np.eye(WAY)[classes], np.stack([counts(row) for row in classes]))


class Lanes:
    """A learner with one memory for each stream of a batch, compiled once."""

    def __init__(self, lanes: int = BATCH) -> None:
        def build(key):
            cell = MANN(SIDE * SIDE + WAY, HIDDEN, LeastUsed(slots=4, width=3, heads=2), key=key)
            return jax.tree.map(lambda w: 2 * w, SequenceNetwork(cell, Categorical(cell.out_size, WAY, key=key)))

        self.learner = SequenceLearner(build, optax.sgd(0.0), jnp.eye(WAY), INSTANCES, lanes=lanes)
        state = self.learner.init(key=KEY)
        # no two lanes alike
        rng = np.random.default_rng(5)
        running = jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.uniform(size=leaf.shape), leaf.dtype), state.running)
        self.state = eqx.tree_at(lambda s: s.running, state, running)
        self.update = jax.jit(lambda state, given: self.learner.update(state, given, key=KEY))
        self.score = jax.jit(lambda state, given: self.learner.evaluate(state, given, key=KEY))


def test_a_memory_that_outlives_its_episode_is_where_the_next_one_starts() -> None:
    """Two episodes in a row, memory alone carried over: as one that is told to start from what the first one left."""
    lanes = Lanes()
    first, second = streams(), streams(seed=1)
    after, _ = lanes.update(lanes.state, first)
    cell = lanes.state.params.cell
    for b in range(BATCH):
        late = jnp.concatenate([jnp.zeros((1, WAY)), first.targets[b, :-1]])
        rows = jnp.concatenate([first.inputs[b].reshape(STEPS, -1), late], axis=1)
        memory = jax.tree.map(lambda leaf, b=b: leaf[b], lanes.state.running)
        left = unroll(cell, eqx.tree_at(lambda s: s.memory, cell.init_state(), memory), rows)[0]
        jax.tree.map(
            lambda kept, mine, b=b: np.testing.assert_allclose(kept[b], mine, rtol=1e-4, atol=1e-6),
            after.running,
            left.memory,
        )
        start = eqx.tree_at(lambda s: s.memory, cell.init_state(), left.memory)
        late = jnp.concatenate([jnp.zeros((1, WAY)), second.targets[b, :-1]])
        rows = jnp.concatenate([second.inputs[b].reshape(STEPS, -1), late], axis=1)
        logits = jax.vmap(lanes.state.params.head)(unroll(cell, start, rows)[1])
        loss = -jnp.mean(jnp.sum(second.targets[b] * jax.nn.log_softmax(logits), axis=1))
        np.testing.assert_allclose(lanes.score(after, second)["loss"][b], loss, rtol=1e-4)
    assert not np.allclose(lanes.score(after, second)["loss"], lanes.score(lanes.state, second)["loss"])


def test_measuring_leaves_the_memories_as_they_are_and_takes_any_number_of_streams() -> None:
    lanes = Lanes()
    after, _ = lanes.update(lanes.state, streams())
    doubled = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), streams(seed=1))
    once, twice = lanes.score(after, streams(seed=1)), lanes.score(after, doubled)
    for name, figure in once.items():
        np.testing.assert_allclose(twice[name], np.concatenate([figure, figure]), rtol=1e-5)


def test_a_stream_starts_from_the_first_memory_as_a_measured_episode_does() -> None:
    lanes, given = Lanes(), streams()
    stream = jax.tree.map(lambda leaf: leaf[0], given)

    @jax.jit
    def surprise_step_by_step(state):
        streamed, found = lanes.learner.start(state), []
        for t in range(STEPS):
            logits = lanes.learner.answer(streamed, stream.inputs[t : t + 1])[0]
            found.append(-jnp.sum(stream.targets[t] * jax.nn.log_softmax(logits)))
            streamed = lanes.learner.observe(streamed, stream.inputs[t : t + 1], stream.targets[t : t + 1])
        return jnp.mean(jnp.stack(found))

    loss = lanes.score(lanes.state, given)["loss"][0]
    np.testing.assert_allclose(surprise_step_by_step(lanes.state), loss, rtol=1e-4)
    emptied = eqx.tree_at(lambda s: s.running, lanes.state, jax.tree.map(jnp.zeros_like, lanes.state.running))
    assert not np.allclose(surprise_step_by_step(emptied), loss, rtol=1e-2)


def test_lanes_want_a_memory_and_as_many_episodes() -> None:
    lanes = Lanes(2)
    with pytest.raises(UserError, match="lanes: got 2, wanted 0, or the 3 episodes of a batch"):
        lanes.learner.update(lanes.state, streams(), key=KEY)
    build = lambda key: SequenceNetwork(LSTM(SIDE * SIDE + WAY, HIDDEN, key=key), Categorical(HIDDEN, WAY, key=key))
    with pytest.raises(UserError, match="lanes: got 2, wanted 0, as LSTM has no memory to keep"):
        SequenceLearner(build, optax.sgd(0.0), jnp.eye(WAY), lanes=2).init(key=KEY)


def test_without_lanes_nothing_is_carried() -> None:
    wiped = Lanes(0)
    after, _ = wiped.update(wiped.state, streams())
    assert after.running.shape == (0,)
    assert eqx.tree_equal(wiped.score(after, streams()), wiped.score(wiped.state, streams()))
