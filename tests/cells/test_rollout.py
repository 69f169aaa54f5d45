import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.toys import FEATURES, net_cell, tally

from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.lstm import LSTM, LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.cells.rollout import rollout
from fastslow.cells.unroll import unroll
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.memory.ntm import NTMConfig

pytestmark = pytest.mark.usefixtures("double")

STEPS = 6
SIZES = (5, 3, 2)
CELLS = {
    "lstm": LSTMConfig(4).build(FEATURES, 0, key=jax.random.key(0)),
    "feed-forward": FeedForwardConfig(4).build(FEATURES, 0, key=jax.random.key(0)),
    "mann-least-used": MANNConfig(LSTMConfig(4), LeastUsedConfig(*SIZES)).build(FEATURES, 0, key=jax.random.key(0)),
    "mann-ntm": MANNConfig(FeedForwardConfig(4), NTMConfig(*SIZES)).build(FEATURES, 0, key=jax.random.key(0)),
}
START = jnp.asarray([0.5, -1.0, 0.25])
every_cell = pytest.mark.parametrize("name", [*CELLS, "net"])


def cell_of(name: str):
    cell = net_cell() if name == "net" else CELLS[name]
    return jax.tree.map(lambda leaf: leaf.astype(np.float64), cell)


def environment(carry, y):
    """A policy that draws an action from its output, and an environment that it moves."""
    place, key = carry
    key, key_action = jax.random.split(key)
    action = jax.random.categorical(key_action, y[:FEATURES])
    place = jnp.roll(place, 1).at[action].add(0.1)
    return (place, key), place, (action, place[0])


def policy(cell):
    carry = START.astype(float), jax.random.key(1)
    return rollout(cell, cell.init_state(), environment, STEPS, x=START.astype(float), carry=carry)


@every_cell
def test_inputs_replayed_give_the_outputs_and_the_state(name: str) -> None:
    """Which is how a policy gradient is taken: a rollout without gradient, then an unroll with it."""
    cell = cell_of(name)
    done = eqx.filter_jit(policy)(cell)
    state, ys = eqx.filter_jit(unroll)(cell, cell.init_state(), done.xs)
    # the same products of at most a few dozen terms, maybe in another order
    assert eqx.tree_equal((state, ys), (done.state, done.ys), rtol=1e-12, atol=1e-12)
    actions, rewards = done.info
    assert actions.shape == rewards.shape == (STEPS,)
    assert len(np.unique(actions)) > 1, "one action says nothing of a loop"


def test_it_is_a_loop_in_python() -> None:
    cell = cell_of("mann-least-used")
    done = eqx.filter_jit(policy)(cell)
    state, carry, x = cell.init_state(), (START.astype(float), jax.random.key(1)), START.astype(float)
    for t in range(STEPS):
        np.testing.assert_array_equal(done.xs[t], x)
        state, y = eqx.filter_jit(cell)(state, x)
        np.testing.assert_allclose(done.ys[t], y, rtol=1e-12)
        carry, x, (action, reward) = environment(carry, done.ys[t])
        assert (done.info[0][t], done.info[1][t]) == (action, reward)
    np.testing.assert_array_equal(done.carry[0], carry[0])
    assert eqx.tree_equal(done.state, state, rtol=1e-12, atol=1e-12)


@every_cell
def test_a_decoder_on_its_own_output_is_differentiated_through_the_loop(name: str) -> None:
    cell = cell_of(name)

    def decoded(cell, x):
        return tally(rollout(cell, cell.init_state(), lambda carry, y: (carry, y[:FEATURES], None), STEPS, x=x).ys)

    check_grads(jax.jit(decoded), (cell, START.astype(float)), order=1, modes=["rev"], eps=1e-5)
    # the first input reaches the outputs of all steps, through the loop
    last = lambda x: rollout(cell, cell.init_state(), lambda c, y: (c, y[:FEATURES], None), STEPS, x=x).ys[-1, 0]
    assert (jax.jit(jax.grad(last))(START.astype(float)) != 0).any()


def test_no_steps_are_no_steps() -> None:
    cell = LSTM(FEATURES, 4, key=jax.random.key(0))
    done = rollout(cell, cell.init_state(), lambda c, y: (c, y[:FEATURES], None), 0, x=START.astype(float))
    assert (done.xs.shape, done.ys.shape) == ((0, FEATURES), (0, 4))
    assert eqx.tree_equal(done.state, cell.init_state())
