"""One suite for every slot memory. A new one is one row of `MEMORIES`."""

import itertools
import pickle
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastslow.memory.slots import AbstractSlots, KeyValueSlots, SoftSlots
from fastslow.memory.threshold import ThresholdSlots

SLOTS, WIDTH, STEPS = 3, 4, 5
MEMORIES: dict[str, Callable[..., AbstractSlots]] = {
    "soft": SoftSlots,
    "key-value": KeyValueSlots,
    "threshold": lambda *sizes, key: ThresholdSlots(KeyValueSlots(*sizes, key=key), 0.5),
}
ROWS = ["-".join(row) for row in itertools.product(MEMORIES, ("learned", "constant", "random"))]
every_memory = pytest.mark.parametrize("row", ROWS)


def memory_of(row: str) -> AbstractSlots:
    kind, initial = row.rsplit("-", 1)
    return MEMORIES[kind](SLOTS, WIDTH, initial, key=jax.random.key(0))


@eqx.filter_jit
def read(memory, state, query):
    return memory.read(state, query)


@eqx.filter_jit
def write(memory, state, query, update):
    return memory.write(state, memory.read(state, query), query, update)


def vectors(seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(STEPS, WIDTH)), np.float32)


def filled(memory: AbstractSlots):
    state = memory.init_state()
    for query, update in zip(vectors(0), vectors(1), strict=True):
        state = write(memory, state, query, update)
    return state


@every_memory
def test_reads_have_shapes_and_scores_that_sum_to_one(row: str) -> None:
    memory = memory_of(row)
    for state in (memory.init_state(), filled(memory)):
        reading = read(memory, state, vectors(2)[0])
        assert reading.content.shape == (WIDTH,)
        assert reading.scores.shape == (SLOTS,)
        assert (reading.scores >= 0).all()
        np.testing.assert_allclose(jnp.sum(reading.scores), 1, rtol=1e-6)


@every_memory
def test_content_is_a_mixture_of_what_is_stored(row: str) -> None:
    memory = memory_of(row)
    state = filled(memory)
    reading = read(memory, state, vectors(2)[0])
    np.testing.assert_allclose(reading.content, reading.scores @ state.values, rtol=1e-5, atol=1e-7)


@every_memory
def test_a_read_changes_nothing_and_is_repeatable(row: str) -> None:
    memory = memory_of(row)
    state = filled(memory)
    before = jax.tree.map(np.array, state)
    first, second = (memory.read(state, vectors(2)[0]) for _ in range(2))
    assert eqx.tree_equal(first, second)
    assert eqx.tree_equal(jax.tree.map(np.array, state), before)


@every_memory
def test_a_write_keeps_structure_shapes_and_dtypes_and_stores_something(row: str) -> None:
    memory = memory_of(row)
    before, after = memory.init_state(), filled(memory)
    described = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)
    assert described(before) == described(after)
    assert before.values.shape == (SLOTS, WIDTH)
    assert (before.values != after.values).any()


@every_memory
def test_what_is_stored_stays_between_the_old_and_the_update(row: str) -> None:
    memory = memory_of(row)
    before = filled(memory)
    update = vectors(3)[0]
    after = write(memory, before, vectors(2)[0], update).values
    low, high = jnp.minimum(before.values, update[None]), jnp.maximum(before.values, update[None])
    assert ((after >= low - 1e-6) & (after <= high + 1e-6)).all()


@every_memory
def test_the_initial_memory_is_stored_with_the_model(row: str) -> None:
    memory = memory_of(row)
    again = pickle.loads(pickle.dumps(memory))  # noqa: S301
    assert eqx.tree_equal(again.init_state(), memory.init_state())
    rebuilt = jax.tree.unflatten(jax.tree.structure(memory), jax.tree.leaves(memory))
    assert eqx.tree_equal(rebuilt.init_state(), memory.init_state())


@every_memory
def test_it_keeps_the_precision_of_its_numbers(row: str) -> None:
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), memory_of(row))
    after = write(half, half.init_state(), *(v[0].astype(jnp.bfloat16) for v in (vectors(0), vectors(1))))
    assert {leaf.dtype for leaf in jax.tree.leaves((half.init_state(), after))} == {jnp.dtype(jnp.bfloat16)}


@every_memory
def test_one_trace_serves_all_writes(row: str) -> None:
    memory = memory_of(row)
    step = eqx.debug.assert_max_traces(lambda s, q, u: memory.write(s, memory.read(s, q), q, u), max_traces=1)
    step, state = jax.jit(step), memory.init_state()
    for query, update in zip(vectors(0), vectors(1), strict=True):
        state = step(state, query, update)
    assert np.isfinite(state.values).all()
