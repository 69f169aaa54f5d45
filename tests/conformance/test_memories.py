"""One suite for every memory with heads. A new one is one row of `MEMORIES`."""

import pickle
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastslow.memory.base import AbstractAccess
from fastslow.memory.least_used import LeastUsed
from fastslow.memory.ntm import Tape

SLOTS, WIDTH, HEADS, STEPS = 6, 4, 2, 5
MEMORIES: dict[str, AbstractAccess] = {
    "least-used": LeastUsed(SLOTS, WIDTH, HEADS),
    "least-used-apart": LeastUsed(SLOTS, WIDTH, HEADS, share="one-each", order="read-first", written="vector"),
    "least-used-sharp": LeastUsed(SLOTS, WIDTH, HEADS, written="vector", strength="learned"),
    "tape": Tape(SLOTS, WIDTH, HEADS),
    "tape-writers": Tape(SLOTS, WIDTH, HEADS, writers=2),
}


every_memory = pytest.mark.parametrize("name", MEMORIES)


def controls_of(name: str, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(STEPS, MEMORIES[name].controls)), np.float32)


def spread(state: Any, seed: int = 1) -> Any:
    """A state in which no two slots are alike."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.uniform(size=leaf.shape), leaf.dtype), state)


def start(name: str) -> Any:
    return spread(MEMORIES[name].init_state())


def walk(memory: AbstractAccess, state: Any, controls: jax.Array) -> Any:
    """The last state, and of each step the read and what undoes it."""

    def step(state, controls):
        after, read, undo = memory.access(state, controls)
        return after, (read, undo)

    return jax.lax.scan(step, state, controls)


WALK, ACCESS = eqx.filter_jit(walk), eqx.filter_jit(lambda memory, state, controls: memory.access(state, controls))


@cache
def walked(name: str) -> Any:
    return WALK(MEMORIES[name], start(name), controls_of(name))


def same(one: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-6) -> bool:
    return bool(eqx.tree_equal(one, other, rtol=rtol, atol=atol))


@every_memory
def test_the_state_keeps_structure_shape_and_dtype(name: str) -> None:
    memory = MEMORIES[name]
    state = memory.init_state()
    after, _, _ = ACCESS(memory, state, controls_of(name)[0])
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    described = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)
    assert described(state) == described(after)
    changed = zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True)
    assert all((one != other).any() for one, other in changed)


@every_memory
def test_each_head_reads_a_vector_that_depends_on_the_controls(name: str) -> None:
    memory = MEMORIES[name]
    assert (memory.width, memory.heads) == (WIDTH, HEADS)
    one, other = (ACCESS(memory, start(name), controls)[1] for controls in controls_of(name)[:2])
    assert one.shape == other.shape == (HEADS, WIDTH)
    assert (one != other).all()
    assert (one[0] != one[1]).all()


@every_memory
def test_all_that_is_trained_stands_in_the_cell(name: str) -> None:
    assert jax.tree.leaves(MEMORIES[name]) == []


@every_memory
def test_scan_is_loop(name: str) -> None:
    state, reads = start(name), []
    for controls in controls_of(name):
        state, read, _ = ACCESS(MEMORIES[name], state, controls)
        reads.append(read)
    after, (read, _) = walked(name)
    assert same((after, read), (state, jnp.stack(reads)))


@every_memory
def test_jit_is_no_jit(name: str) -> None:
    with jax.disable_jit():
        slow = walk(MEMORIES[name], start(name), controls_of(name))
    assert same(walked(name), slow)


@every_memory
def test_vmap_is_loop(name: str) -> None:
    memory = MEMORIES[name]
    batch = jnp.stack([controls_of(name, seed) for seed in range(3)])
    together = jax.jit(jax.vmap(lambda controls: walk(memory, start(name), controls)))(batch)
    for i in range(3):
        alone = WALK(memory, start(name), batch[i])
        assert same(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone)


@every_memory
def test_one_trace_serves_all_steps(name: str) -> None:
    """Also from the state that a step returns; another precision is another program."""
    memory = MEMORIES[name]
    step = jax.jit(eqx.debug.assert_max_traces(lambda state, controls: memory.access(state, controls), max_traces=1))
    state = memory.init_state()
    for controls in controls_of(name):
        state, _, _ = step(state, controls)
    with pytest.raises(RuntimeError, match="traced"):
        step(state, controls.astype(jnp.bfloat16))


@every_memory
def test_rewind_gives_the_state_before(name: str) -> None:
    memory = MEMORIES[name]
    last, (_, undone) = walked(name)
    back = lambda after, undo: (memory.rewind(after, undo), None)
    found = jax.jit(lambda last: jax.lax.scan(back, last, undone, reverse=True))(last)[0]
    assert same(found, start(name), atol=1e-5)
    assert not same(last, start(name), rtol=1e-2, atol=1e-2)


@every_memory
def test_pull_is_the_derivative_backwards(name: str) -> None:
    """In all that goes in, of all that comes out; also where rows and keys are too short for their lengths to count."""
    memory, rng = MEMORIES[name], np.random.default_rng(3)

    @eqx.filter_jit
    def both(memory, before, controls, to_after, to_read):
        (after, _, undo), backwards = jax.vjp(lambda *given: memory.access(*given), before, controls)
        nothing = jax.tree.map(zero_cotangent, undo)
        return backwards((to_after, to_read, nothing)), memory.pull(before, after, undo, controls, to_after, to_read)

    with jax.enable_x64(True):
        like = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), tree)
        before = jax.tree.map(lambda leaf: leaf.astype(np.float64), start(name))
        for rows, scale in ((1.0, 1.0), (1e-4, 1.0), (1.0, 1e-5), (1e-4, 1e-5)):
            state = eqx.tree_at(lambda s: s.rows, before, rows * before.rows)
            controls = scale * jnp.asarray(controls_of(name)[0], np.float64)
            expected, found = both(memory, state, controls, like(before), jnp.asarray(rng.normal(size=(HEADS, WIDTH))))
            assert same(found, expected, rtol=1e-8, atol=1e-9)
            assert all((leaf != 0).any() for leaf in jax.tree.leaves(found))


def zero_cotangent(leaf: jax.Array) -> Any:
    whole = jnp.issubdtype(leaf.dtype, jnp.integer)
    return np.zeros(leaf.shape, jax.dtypes.float0) if whole else jnp.zeros_like(leaf)


@every_memory
def test_it_survives_pickling(name: str) -> None:
    memory, (last, (_, undone)) = MEMORIES[name], walked(name)
    again, state, undo = pickle.loads(pickle.dumps((memory, last, undone)))  # noqa: S301
    assert again == memory
    assert eqx.tree_equal((state, undo), (last, undone))
    assert eqx.tree_equal(WALK(again, start(name), controls_of(name)), walked(name))


@every_memory
def test_it_keeps_the_precision_of_its_numbers(name: str) -> None:
    half = lambda tree: jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), tree)
    memory = MEMORIES[name]
    after, read, undo = ACCESS(memory, half(start(name)), half(controls_of(name))[0])
    before = memory.rewind(after, undo)
    assert {leaf.dtype for leaf in jax.tree.leaves((after, read, before))} == {jnp.dtype(jnp.bfloat16)}
