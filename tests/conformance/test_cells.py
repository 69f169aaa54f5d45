"""One suite for every cell. A new cell is one row of `CELLS`."""

import itertools
import pickle
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fastslow.cells.base import AbstractCell, AbstractCellConfig
from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.cells.nmn import NMNConfig
from fastslow.cells.unroll import unroll
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.memory.ntm import NTMConfig
from fastslow.memory.slots import KeyValueSlotsConfig, SoftSlotsConfig

FEATURES, LABELS, WIDTH, SLOTS, STEPS = 3, 2, 4, 3, 6
IN = FEATURES + LABELS
SLOT_MEMORIES = {"soft": SoftSlotsConfig(SLOTS), "key-value": KeyValueSlotsConfig(SLOTS)}
CONTROLLERS = {"lstm": LSTMConfig(WIDTH), "feed-forward": FeedForwardConfig(WIDTH)}
MEMORIES = {"least-used": LeastUsedConfig(5, WIDTH, 2), "ntm": NTMConfig(5, WIDTH, 2)}

CELLS: dict[str, AbstractCellConfig] = dict(CONTROLLERS)
for controller, memory in itertools.product(CONTROLLERS, MEMORIES):
    CELLS[f"mann-{controller}-{memory}"] = MANNConfig(CONTROLLERS[controller], MEMORIES[memory])
for memory, compose, label_input in itertools.product(SLOT_MEMORIES, ("query", "memory"), ("none", "input", "write")):
    CELLS[f"nmn-{memory}-{compose}-{label_input}"] = NMNConfig(WIDTH, SLOT_MEMORIES[memory], compose, label_input)


def built(name: str) -> AbstractCell:
    """With larger weights than drawn for a MANN, so that the input matters through every path."""
    cell = CELLS[name].build(FEATURES, LABELS, key=jax.random.key(3))
    return jax.tree.map(lambda w: 2 * w, cell) if name.startswith("mann") else cell


every_cell = pytest.mark.parametrize("name", CELLS)
# a feed-forward network has no state
every_cell_with_a_state = pytest.mark.parametrize("name", sorted(CELLS.keys() - {"feed-forward"}))
RUN = eqx.filter_jit(unroll)
STEP = eqx.filter_jit(lambda cell, state, x: cell(state, x))


@cache
def cell_of(name: str) -> AbstractCell:
    return built(name)


def inputs(seed: int = 0, steps: int = STEPS) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(steps, IN)), np.float32)


def same(one, other) -> bool:
    return bool(eqx.tree_equal(one, other, rtol=1e-5, atol=1e-6))


@cache
def plain(name: str):
    cell = cell_of(name)
    return RUN(cell, cell.init_state(), inputs())


@every_cell
def test_scan_is_loop(name: str) -> None:
    cell = cell_of(name)
    state, ys = cell.init_state(), []
    for x in inputs():
        state, y = STEP(cell, state, x)
        ys.append(y)
    assert same(plain(name), (state, jnp.stack(ys)))
    # the input matters, or the comparison said nothing
    assert not same(plain(name), RUN(cell, cell.init_state(), inputs(1)))


@every_cell
def test_jit_is_no_jit(name: str) -> None:
    cell = cell_of(name)
    with jax.disable_jit():
        slow = unroll(cell, cell.init_state(), inputs())
    assert same(plain(name), slow)


@every_cell
def test_vmap_is_loop(name: str) -> None:
    cell = cell_of(name)
    batch = jnp.stack([inputs(seed) for seed in range(3)])
    after, ys = eqx.filter_jit(lambda cell, xs: jax.vmap(lambda x: unroll(cell, cell.init_state(), x))(xs))(cell, batch)
    for i in range(3):
        single = RUN(cell, cell.init_state(), batch[i])
        assert same((jax.tree.map(lambda s, i=i: s[i], after), ys[i]), single)


@every_cell
def test_the_state_keeps_structure_shape_and_dtype(name: str) -> None:
    cell = cell_of(name)
    state = cell.init_state()
    after, _ = plain(name)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    described = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)
    assert described(state) == described(after)


@every_cell
def test_gradients_are_finite_differences(name: str) -> None:
    """In the weights, the inputs and the initial memory, of all outputs, each counted differently."""
    with jax.enable_x64(True):
        cell = built(name)
        xs = jnp.asarray(inputs(), np.float64)

        def loss(cell, xs):
            ys = unroll(cell, cell.init_state(), xs)[1]
            return jnp.sum(ys**2 * jnp.arange(1.0, ys.size + 1).reshape(ys.shape))

        check_grads(jax.jit(loss), (cell, xs), order=1, modes=["rev"], eps=1e-5)


@every_cell_with_a_state
def test_one_trace_serves_all_steps(name: str) -> None:
    """Also from the state that a step returns; another length of input is another program."""
    cell = cell_of(name)
    step = eqx.filter_jit(eqx.debug.assert_max_traces(lambda state, x: cell(state, x), max_traces=1))
    state = cell.init_state()
    for x in inputs(steps=3):
        state, _ = step(state, x)
    with pytest.raises(RuntimeError, match="traced"):
        step(jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), state), inputs()[0])


@every_cell_with_a_state
def test_a_reset_is_a_fresh_start(name: str) -> None:
    cell = cell_of(name)
    reset = jnp.arange(STEPS) == 2
    after, ys = RUN(cell, cell.init_state(), inputs(), reset)
    fresh, rest = RUN(cell, cell.init_state(), inputs()[2:])
    assert same((after, ys[2:]), (fresh, rest))
    assert same(ys[:2], plain(name)[1][:2])
    assert not same(ys, plain(name)[1])


@every_cell
def test_masked_steps_change_nothing(name: str) -> None:
    cell = cell_of(name)
    mask = jnp.asarray([True, False, True, True, False, False])
    poisoned = jnp.where(mask[:, None], inputs(), jnp.nan)
    after, ys = RUN(cell, cell.init_state(), poisoned, None, mask)
    kept, rest = RUN(cell, cell.init_state(), inputs()[np.asarray(mask)])
    assert same((after, ys[np.asarray(mask)]), (kept, rest))
    assert (ys[~np.asarray(mask)] == 0).all()


@every_cell
def test_it_survives_pickling(name: str) -> None:
    cell = cell_of(name)
    again, state = pickle.loads(pickle.dumps((cell, plain(name)[0])))  # noqa: S301
    assert eqx.tree_equal((again, state), (cell, plain(name)[0]))
    assert eqx.tree_equal(RUN(again, again.init_state(), inputs()), plain(name))


@every_cell
def test_it_runs_in_half_precision(name: str) -> None:
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), cell_of(name))
    reset = jnp.arange(STEPS) == 2
    after, ys = RUN(half, half.init_state(), inputs().astype(jnp.bfloat16), reset)
    assert {leaf.dtype for leaf in jax.tree.leaves((after, ys))} == {jnp.dtype(jnp.bfloat16)}
    whole = RUN(cell_of(name), cell_of(name).init_state(), inputs(), reset)[1]
    assert np.abs(ys.astype(jnp.float32) - whole).max() < 0.05
