"""One suite for every memory with heads. A new one is one row of `MEMORIES`."""

import pickle
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.toys import Ring, added_rows

from fastslow.memory.base import AbstractMemory
from fastslow.memory.least_used import LeastUsed
from fastslow.memory.ntm import NTMMemory

SLOTS, WIDTH, HEADS, STEPS = 6, 4, 2, 5
MEMORIES: dict[str, AbstractMemory] = {
    "least-used": LeastUsed(SLOTS, WIDTH, HEADS),
    "least-used-vector": LeastUsed(SLOTS, WIDTH, HEADS, written="vector"),
    "least-used-sharp": LeastUsed(SLOTS, WIDTH, HEADS, written="vector", strength="learned"),
    "ntm": NTMMemory(SLOTS, WIDTH, HEADS),
    "ntm-writers": NTMMemory(SLOTS, WIDTH, HEADS, writers=2),
    "ntm-in-order": NTMMemory(SLOTS, WIDTH, HEADS, write_start="in-order"),
    "trained": added_rows(),
    "ring": Ring(SLOTS, WIDTH),
}


every_memory = pytest.mark.parametrize("name", MEMORIES)


def interfaces(name: str, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(STEPS, MEMORIES[name].interface_size)), np.float32)


def spread(state: Any, seed: int = 1) -> Any:
    """A state in which no two slots are alike."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.uniform(size=leaf.shape), leaf.dtype), state)


def start(name: str) -> Any:
    return spread(MEMORIES[name].init_state())


def walk(memory: AbstractMemory, state: Any, interface: jax.Array) -> Any:
    """The last state, and of each step the read and the residuals."""

    def step(state, interface):
        after, read, residuals = memory.access(state, interface)
        return after, (read, residuals)

    return jax.lax.scan(step, state, interface)


WALK, ACCESS = eqx.filter_jit(walk), eqx.filter_jit(lambda memory, state, interface: memory.access(state, interface))


@cache
def walked(name: str) -> Any:
    return WALK(MEMORIES[name], start(name), interfaces(name))


def same(one: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-6) -> bool:
    return bool(eqx.tree_equal(one, other, rtol=rtol, atol=atol))


@every_memory
def test_the_state_keeps_structure_shape_and_dtype(name: str) -> None:
    memory = MEMORIES[name]
    state = memory.init_state()
    after, _, _ = ACCESS(memory, state, interfaces(name)[0])
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    described = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)
    assert described(state) == described(after)
    changed = zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True)
    assert all((one != other).any() for one, other in changed)


@every_memory
def test_each_head_reads_a_vector_that_depends_on_the_interface(name: str) -> None:
    memory = MEMORIES[name]
    one, other = (ACCESS(memory, start(name), interface)[1] for interface in interfaces(name)[:2])
    assert one.shape == other.shape == (memory.heads, memory.width)
    assert (one != other).all()
    assert all((head != one[0]).all() for head in one[1:])


@every_memory
def test_scan_is_loop(name: str) -> None:
    state, reads = start(name), []
    for interface in interfaces(name):
        state, read, _ = ACCESS(MEMORIES[name], state, interface)
        reads.append(read)
    after, (read, _) = walked(name)
    assert same((after, read), (state, jnp.stack(reads)))


@every_memory
def test_jit_is_no_jit(name: str) -> None:
    with jax.disable_jit():
        slow = walk(MEMORIES[name], start(name), interfaces(name))
    assert same(walked(name), slow)


@every_memory
def test_vmap_is_loop(name: str) -> None:
    memory = MEMORIES[name]
    batch = jnp.stack([interfaces(name, seed) for seed in range(3)])
    together = jax.jit(jax.vmap(lambda interface: walk(memory, start(name), interface)))(batch)
    for i in range(3):
        alone = WALK(memory, start(name), batch[i])
        assert same(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone)


@every_memory
def test_one_trace_serves_all_steps(name: str) -> None:
    """Also from the state that a step returns; another precision is another program."""
    memory = MEMORIES[name]
    step = jax.jit(eqx.debug.assert_max_traces(lambda state, interface: memory.access(state, interface), max_traces=1))
    state = memory.init_state()
    for interface in interfaces(name):
        state, _, _ = step(state, interface)
    with pytest.raises(RuntimeError, match="traced"):
        step(state, interface.astype(jnp.bfloat16))


@every_memory
def test_the_inverse_gives_the_state_before(name: str) -> None:
    memory = MEMORIES[name]
    last, (_, residuals) = walked(name)
    back = lambda after, residuals: (memory.inverse(after, residuals), None)
    found = jax.jit(lambda last: jax.lax.scan(back, last, residuals, reverse=True))(last)[0]
    assert same(found, start(name), atol=1e-5)
    assert not same(last, start(name), rtol=1e-2, atol=1e-2)


@every_memory
def test_the_vjp_is_that_of_jax(name: str) -> None:
    """In all that goes in, of all that comes out; also where rows and keys are too short for their lengths to count."""
    memory, rng = MEMORIES[name], np.random.default_rng(3)

    @eqx.filter_jit
    def both(memory, before, interface, to_after, to_read):
        access = lambda memory, before, interface: memory.access(before, interface)[:2]
        (after, _), backwards = eqx.filter_vjp(access, memory, before, interface)
        residuals = memory.access(before, interface)[2]
        # an integer has no gradient: none in Equinox, one of type float0 in JAX
        zero = lambda leaf, to: to if eqx.is_inexact_array(leaf) else np.zeros(leaf.shape, jax.dtypes.float0)
        found = memory.vjp(before, after, residuals, interface, jax.tree.map(zero, after, to_after), to_read)
        kept = jax.tree.map(lambda leaf, to: to if eqx.is_inexact_array(leaf) else None, after, to_after)
        floats = lambda tree: [leaf for leaf in jax.tree.leaves(tree) if leaf.dtype != jax.dtypes.float0]
        return floats(backwards((kept, to_read))), floats(found)

    with jax.enable_x64(True):
        like = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), tree)
        double = lambda leaf: leaf.astype(np.float64) if eqx.is_inexact_array(leaf) else leaf
        memory, before = jax.tree.map(double, (memory, start(name)))
        for rows, scale in ((1.0, 1.0), (1e-4, 1.0), (1.0, 1e-5), (1e-4, 1e-5)):
            scaled = lambda leaf, rows=rows: rows * leaf if eqx.is_inexact_array(leaf) else leaf
            state = jax.tree.map(scaled, before)
            interface = scale * jnp.asarray(interfaces(name)[0], np.float64)
            to_read = jnp.asarray(rng.normal(size=(memory.heads, memory.width)))
            expected, found = both(memory, state, interface, like(before), to_read)
            assert same(found, expected, rtol=1e-8, atol=1e-9)
            trained = len(jax.tree.leaves(eqx.filter(memory, eqx.is_inexact_array)))
            assert all((leaf != 0).any() for leaf in found[trained:])


@every_memory
def test_an_interface_starts_with_biases_of_its_length(name: str) -> None:
    bias = MEMORIES[name].interface_bias()
    assert bias.shape == (MEMORIES[name].interface_size,)
    assert np.isfinite(bias).all()


@every_memory
def test_it_survives_pickling(name: str) -> None:
    memory, (last, (_, residuals)) = MEMORIES[name], walked(name)
    again, state, residuals = pickle.loads(pickle.dumps((memory, last, residuals)))  # noqa: S301
    assert eqx.tree_equal(again, memory)
    assert eqx.tree_equal((state, residuals), (last, residuals))
    assert eqx.tree_equal(WALK(again, start(name), interfaces(name)), walked(name))


@every_memory
def test_it_keeps_the_precision_of_its_numbers(name: str) -> None:
    cast = lambda leaf: leaf.astype(jnp.bfloat16) if eqx.is_inexact_array(leaf) else leaf
    half = lambda tree: jax.tree.map(cast, tree)
    memory = half(MEMORIES[name])
    after, read, residuals = ACCESS(memory, half(start(name)), half(interfaces(name))[0])
    before = memory.inverse(after, residuals)
    kinds = {leaf.dtype for leaf in jax.tree.leaves((after, read, before)) if eqx.is_inexact_array(leaf)}
    assert kinds == {jnp.dtype(jnp.bfloat16)}
