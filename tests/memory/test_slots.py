import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import SLOTS, WIDTH, as_users_come, memory_twin, nmn, slots

from fastslow._checks import UserError
from fastslow.memory.slots import CONSTANT, KeyValueSlots, Reading, SoftSlots

pytestmark = pytest.mark.usefixtures("double")

STEPS = 7


def steps(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(STEPS, WIDTH)), rng.normal(size=(STEPS, WIDTH))


@pytest.mark.parametrize("initial", ["learned", "constant", "random"])
@pytest.mark.parametrize("kind", ["soft", "key-value"])
def test_reads_and_writes_are_the_twins(kind: str, initial: str) -> None:
    memory = nmn(kind, initial=initial).memory
    twin, state = memory_twin(memory), memory.init_state()

    @eqx.filter_jit
    def step(state, query, update):
        reading = memory.read(state, query)
        return reading, memory.write(state, reading, query, update)

    for query, update in zip(*steps(), strict=True):
        reading, state = step(state, jnp.asarray(query), jnp.asarray(update))
        content, scores = twin.read(query)
        twin.write(scores, query, update)
        np.testing.assert_allclose(reading.scores, scores, rtol=1e-9)
        np.testing.assert_allclose(reading.content, content, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(state.values, twin.values(), rtol=1e-9, atol=1e-12)
        if kind == "key-value":
            np.testing.assert_allclose(state.keys, twin.keys, rtol=1e-9)
            np.testing.assert_allclose(state.usage, twin.usage, rtol=1e-9)


def test_one_hot_scores_overwrite_exactly_one_slot() -> None:
    memory = slots("soft")
    before, update = memory.init_state(), jnp.arange(1.0, WIDTH + 1)
    reading = Reading(content=jnp.zeros(WIDTH), scores=jnp.eye(SLOTS)[1])
    after = memory.write(before, reading, jnp.ones(WIDTH), update)
    assert (after.values[1] == update).all()
    assert (after.values[jnp.asarray([0, 2])] == before.values[jnp.asarray([0, 2])]).all()


def test_scores_of_zero_change_nothing() -> None:
    memory = slots("soft")
    before = memory.init_state()
    reading = Reading(content=jnp.zeros(WIDTH), scores=jnp.zeros(SLOTS))
    assert (memory.write(before, reading, jnp.ones(WIDTH), jnp.ones(WIDTH)).values == before.values).all()


def test_key_value_slots_fill_in_order_then_the_least_used_goes() -> None:
    memory = slots("key-value", "constant")
    state = memory.init_state()
    queries, updates = jnp.eye(WIDTH), jnp.arange(1.0, WIDTH + 1)[:, None] * jnp.ones((1, WIDTH))
    for t in range(SLOTS):
        state = memory.write(state, memory.read(state, queries[t]), queries[t], updates[t])
    assert (state.keys == queries[:SLOTS]).all()
    assert (state.values == updates[:SLOTS]).all()
    # reads of slots 0 and 2 leave slot 1 behind
    state = eqx.tree_at(lambda s: s.usage, state, jnp.asarray([1.0, 0.2, 0.9]))
    after = memory.write(state, memory.read(state, queries[3]), queries[3], updates[3])
    assert (after.values == state.values.at[1].set(updates[3])).all()
    assert (after.keys == state.keys.at[1].set(queries[3])).all()


def test_a_stored_pair_is_read_back_when_the_temperature_is_high() -> None:
    memory = slots("key-value", "constant")
    memory = eqx.tree_at(lambda m: m.log_temperature, memory, jnp.log(jnp.asarray(1e4)))
    state, queries, updates = memory.init_state(), jnp.eye(WIDTH), jnp.asarray(steps()[1])
    for t in range(SLOTS):
        state = memory.write(state, memory.read(state, queries[t]), queries[t], updates[t])
    for t in range(SLOTS):
        np.testing.assert_allclose(memory.read(state, queries[t]).content, updates[t], rtol=1e-12)


@pytest.mark.parametrize("kind", ["soft", "key-value"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fill", [0.0, 1e-6, 1.0])
def test_gradients_are_finite_in_empty_and_constant_memories(kind: str, dtype: type, fill: float) -> None:
    """All slots alike, all usages tied, queries of zeros."""
    memory = jax.tree.map(lambda x: jnp.asarray(x, dtype), slots(kind, "learned"))
    rows = [f for f in ("initial", "initial_keys", "initial_values") if hasattr(memory, f)]
    memory = eqx.tree_at(lambda m: [getattr(m, f) for f in rows], memory, replace_fn=lambda r: jnp.full_like(r, fill))

    def loss(memory, query, update):
        state = memory.init_state()
        total = 0.0
        for _ in range(2):
            reading = memory.read(state, query)
            state = memory.write(state, reading, query, update)
            total += jnp.sum(reading.content**2) + jnp.sum(reading.scores * jnp.arange(SLOTS, dtype=dtype))
        return total + jnp.sum(state.values**2)

    zero = jnp.zeros(WIDTH, dtype)
    gradients = eqx.filter_jit(eqx.filter_grad(lambda parts: loss(*parts)))((memory, zero, zero))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


@pytest.mark.parametrize("kind", ["soft", "key-value"])
@pytest.mark.parametrize("initial", ["learned", "constant", "random"])
def test_only_a_learned_initial_memory_takes_a_gradient(kind: str, initial: str) -> None:
    memory = slots(kind, initial)

    def loss(memory):
        state = memory.init_state()
        return jnp.sum(memory.read(state, jnp.arange(1.0, WIDTH + 1)).content ** 2)

    gradient = eqx.filter_grad(loss)(memory)
    rows = (gradient.initial,) if kind == "soft" else (gradient.initial_keys, gradient.initial_values)
    assert any(bool((r != 0).any()) for r in rows) == (initial == "learned")


def test_initial_memories_are_what_they_say() -> None:
    assert (SoftSlots(2, 3, "constant", key=jax.random.key(0)).initial == CONSTANT).all()
    one, same, other = (SoftSlots(2, 3, "random", key=jax.random.key(s)).initial for s in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
    pair = KeyValueSlots(2, 3, "random", key=jax.random.key(0))
    assert (pair.initial_keys != pair.initial_values).any()


@pytest.mark.parametrize(
    ("size", "width", "initial", "named"),
    [(0, 3, "random", "slots"), (2, 0, "random", "width"), (2, 3, "no", "initial")],
)
@pytest.mark.parametrize("build", [SoftSlots, KeyValueSlots])
def test_bad_sizes_and_choices_are_refused(build: type, size: int, width: int, initial: str, named: str) -> None:
    with as_users_come(), pytest.raises(UserError, match=f"{named}: got"):
        build(size, width, initial, key=jax.random.key(0))
