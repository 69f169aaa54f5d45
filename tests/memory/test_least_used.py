import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.tiny import NORM_FLOOR, as_users_come
from tests.reference.least_used import LeastUsedMemory, least_used, printed_least_used

from fastslow._checks import UserError
from fastslow.memory.addressing import least_used_slots
from fastslow.memory.least_used import EMPTY, LeastUsed, LeastUsedState

pytestmark = pytest.mark.usefixtures("double")

SLOTS, WIDTH, HEADS, STEPS = 6, 4, 2, 7
SWITCHES = list(itertools.product(("key", "vector"), ("none", "learned")))
# two choices in which every switch differs
APART = [("key", "none"), ("vector", "learned")]
every_switch = pytest.mark.parametrize("switches", SWITCHES, ids="-".join)
each_switch_apart = pytest.mark.parametrize("switches", APART, ids="-".join)
ACCESS = eqx.filter_jit(lambda memory, state, interface: memory.access(state, interface))
FULL = 1e3
"""A control that pushes a gate to 1 and, negative, to 0; a key to ±1."""


def memory_of(switches: tuple[str, ...] = APART[0], heads: int = HEADS) -> LeastUsed:
    written, strength = switches
    return LeastUsed(SLOTS, WIDTH, heads, written=written, strength=strength)


def filled(memory: LeastUsed, seed: int = 0) -> LeastUsedState:
    """A memory in use: no row is empty, no usages tie."""
    rng = np.random.default_rng(seed)
    attention = rng.dirichlet(np.ones(SLOTS), size=memory.heads)
    rows, usage = rng.normal(size=(SLOTS, WIDTH)), rng.permutation(np.arange(1.0, SLOTS + 1)) / 4
    return LeastUsedState(jnp.asarray(rows), jnp.asarray(usage), jnp.asarray(attention))


def interfaces_of(memory: LeastUsed, steps: int = STEPS, seed: int = 1) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(steps, memory.interface_size)))


def twin_of(memory: LeastUsed, state: LeastUsedState) -> LeastUsedMemory:
    arrays = (np.array(part, np.float64) for part in (state.rows, state.usage, state.attention))
    return LeastUsedMemory(*arrays, memory.decay, memory.written, memory.strength, NORM_FLOOR)


def steer(gates: list[float], keys: np.ndarray) -> jax.Array:
    return jnp.concatenate([jnp.asarray(gates), jnp.asarray(keys, float).reshape(-1)])


@every_switch
def test_equations_2_to_8_are_the_twins_and_the_inverse_is_the_state_before(switches: tuple[str, ...]) -> None:
    memory = memory_of(switches)
    state = filled(memory)
    twin = twin_of(memory, state)
    chosen = set()
    for interface in interfaces_of(memory):
        before = state
        state, read, residuals = ACCESS(memory, before, interface)
        np.testing.assert_allclose(read, twin.access(np.array(interface)), rtol=1e-9, atol=1e-12)
        for name in ("rows", "usage", "attention"):
            np.testing.assert_allclose(getattr(state, name), getattr(twin, name), rtol=1e-9, atol=1e-12)
        assert eqx.tree_equal(memory.inverse(state, residuals), before, rtol=1e-12, atol=1e-14)
        chosen.add(int(residuals.unused[0]))
    assert len(chosen) > 1, "one slot was overwritten at every step"


@each_switch_apart
def test_from_the_first_memory_on_where_all_slots_tie_it_is_the_twins(switches: tuple[str, ...]) -> None:
    memory = memory_of(switches)
    state = memory.init_state()
    assert (state.rows == 1e-6).all()
    assert state.usage.tolist() == [1.0] + [0.0] * (SLOTS - 1)
    assert (state.attention == state.usage[None]).all()
    twin = twin_of(memory, state)
    for interface in interfaces_of(memory):
        state, read, _ = ACCESS(memory, state, interface)
        np.testing.assert_allclose(read, twin.access(np.array(interface)), rtol=1e-9, atol=1e-12)
        for name in ("rows", "usage", "attention"):
            np.testing.assert_allclose(getattr(state, name), getattr(twin, name), rtol=1e-9, atol=1e-12)


def test_the_inverse_goes_a_long_way_back() -> None:
    memory = memory_of()
    step = lambda state, interface: memory.access(state, interface)[::2]
    start = filled(memory)
    last, undone = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows))(start, interfaces_of(memory, 500))
    back = lambda after, residuals: (memory.inverse(after, residuals), None)
    found = jax.jit(lambda state, undone: jax.lax.scan(back, state, undone, reverse=True))(last, undone)[0]
    assert not eqx.tree_equal(last, start, rtol=1e-2, atol=1e-2)
    assert eqx.tree_equal(found, start, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_least_used_slots_are_equation_6_where_nothing_ties(count: int) -> None:
    for seed in range(5):
        usage = np.random.default_rng(seed).uniform(size=SLOTS)
        found = least_used_slots(jnp.asarray(usage), count)
        assert sorted(found.tolist()) == printed_least_used(usage, count)
        assert found.tolist() == np.argsort(usage)[:count].tolist()


TIES = [
    [0.0] * SLOTS,
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [2.0, 1.0, 1.0, 0.0, 1.0, 0.0],
    [0.5, 0.5, 0.5, 0.5, 0.25, 0.25],
    [3.0, 3.0, 3.0, 2.0, 3.0, 3.0],
]


@pytest.mark.parametrize("count", [1, 3, SLOTS])
def test_of_equals_the_lowest_index_comes_first(count: int) -> None:
    usages = jnp.asarray(TIES)
    expected = [least_used(usage, count) for usage in np.array(TIES)]
    find = lambda usage: least_used_slots(usage, count)
    assert [find(usage).tolist() for usage in usages] == expected
    assert jax.jit(jax.vmap(find))(usages).tolist() == expected


@pytest.mark.parametrize("usage", TIES, ids=str)
def test_an_access_breaks_ties_so_too(usage: list[float]) -> None:
    memory = memory_of()
    state = eqx.tree_at(lambda s: s.usage, filled(memory), jnp.asarray(usage))
    _, _, residuals = ACCESS(memory, state, steer([-FULL] * HEADS, np.zeros((HEADS, WIDTH))))
    first, second = least_used(np.array(usage), HEADS)
    assert residuals.unused[0] == first
    assert [np.flatnonzero(row).tolist() for row in residuals.weights] == [sorted([first, second])] * HEADS
    assert set(np.unique(residuals.weights)) == {0.0, 1.0}


def test_the_printed_equation_would_write_nearly_everywhere_at_first() -> None:
    """The deviation that the memory's docstring owns to."""
    usage = LeastUsed(SLOTS, WIDTH, HEADS).init_state().usage
    assert printed_least_used(np.array(usage), HEADS) == [1, 2, 3, 4, 5]
    assert least_used_slots(usage, HEADS).tolist() == [1, 2]


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_a_closed_gate_writes_to_the_least_used_slots_and_leaves_the_rest(heads: int) -> None:
    memory = memory_of(heads=heads)
    before = filled(memory)
    unused = np.argsort(np.array(before.usage))[:heads]
    signs = np.where(np.arange(heads)[:, None] + np.arange(WIDTH) % 2 > 0, 1.0, -1.0)
    after, _, _ = ACCESS(memory, before, steer([-FULL] * heads, FULL * signs))
    expected = np.array(before.rows)
    # of those least used only the first is erased
    expected[unused[0]] = 0
    for head in range(heads):
        expected[unused] += signs[head]
    np.testing.assert_allclose(after.rows, expected, rtol=1e-14)
    others = np.setdiff1d(np.arange(SLOTS), unused[1:])
    np.testing.assert_array_equal(after.rows[others], expected[others])


@pytest.mark.parametrize("heads", [1, 3])
def test_an_open_gate_writes_to_what_was_read_and_the_least_used_is_merely_erased(heads: int) -> None:
    memory = memory_of(heads=heads)
    before = filled(memory)
    first, *_, last = np.argsort(np.array(before.usage))
    before = eqx.tree_at(lambda s: s.attention, before, jnp.tile(jnp.eye(SLOTS)[last], (heads, 1)))
    after, _, residuals = ACCESS(memory, before, steer([FULL] * heads, np.full((heads, WIDTH), -FULL)))
    expected = np.array(before.rows)
    expected[first] = 0
    expected[last] -= heads
    np.testing.assert_array_equal(after.rows, expected)
    assert (residuals.weights == before.attention).all()
    # when it was also what was read, it is erased first, then written
    before = eqx.tree_at(lambda s: s.attention, before, jnp.tile(jnp.eye(SLOTS)[first], (heads, 1)))
    after, _, _ = ACCESS(memory, before, steer([FULL] * heads, np.full((heads, WIDTH), -FULL)))
    assert (after.rows[first] == -heads).all()


def test_one_step_by_hand() -> None:
    """Width 1, one head, gate at 0: what is written is 1, what is read lies between it and the other row."""
    memory = LeastUsed(2, 1, 1)
    state = LeastUsedState(jnp.asarray([[-1.0], [5.0]]), jnp.asarray([1.0, 0.5]), jnp.asarray([[1.0, 0.0]]))
    after, read, _ = memory.access(state, jnp.asarray([-FULL, FULL]))
    assert after.rows.tolist() == [[-1.0], [1.0]]
    weight = np.exp(1) / (np.exp(1) + np.exp(-1))
    np.testing.assert_allclose(after.attention, [[1 - weight, weight]], rtol=1e-12)
    np.testing.assert_allclose(read, [[2 * weight - 1]], rtol=1e-12)
    np.testing.assert_allclose(after.usage, [0.99 + 1 - weight, 0.495 + weight + 1], rtol=1e-12)


def test_a_separate_vector_is_stored_and_the_key_only_looks() -> None:
    memory = memory_of(("vector", "none"), heads=1)
    key, vector = np.array([FULL, -FULL, FULL, FULL]), np.array([FULL, FULL, -FULL, FULL])
    before = filled(memory)
    after, _, _ = ACCESS(memory, before, steer([-FULL], np.stack([key, vector])))
    assert after.rows[jnp.argmin(before.usage)].tolist() == [1.0, 1.0, -1.0, 1.0]
    cosines = [row @ [1, -1, 1, 1] / np.linalg.norm(row) / 2 for row in np.array(after.rows)]
    np.testing.assert_allclose(after.attention[0], np.exp(cosines) / np.sum(np.exp(cosines)), rtol=1e-12)


@each_switch_apart
def test_gradients_are_finite_differences(switches: tuple[str, ...]) -> None:
    """In the interface and the state before, through four steps; usage has no part in it, by design."""
    memory = memory_of(switches)

    def loss(state, interface):
        step = lambda state, interface: memory.access(state, interface)[:2]
        after, reads = jax.lax.scan(step, state, interface)
        count = lambda values: jnp.sum(values**2 * jnp.arange(1.0, values.size + 1).reshape(values.shape))
        return count(reads) + count(after.rows) + count(after.attention)

    state, interface = filled(memory), interfaces_of(memory, 4)
    # of the strength's curvature a step of 1e-4 would leave an error of 1e-6 of the slope's scale
    check_grads(jax.jit(loss), (state, interface), order=1, modes=["rev"], eps=1e-5)
    to_state, to_controls = jax.jit(jax.grad(loss, (0, 1)))(state, interface)
    assert (to_controls != 0).all()
    assert (to_state.rows != 0).any()
    assert (to_state.usage == 0).all()


def test_usage_carries_no_gradient_but_its_own_decay() -> None:
    memory = memory_of()
    usage = lambda state, interface: jnp.sum(memory.access(state, interface)[0].usage)
    to_state, to_controls = jax.jit(jax.grad(usage, (0, 1)))(filled(memory), interfaces_of(memory)[0])
    assert (to_state.usage == memory.decay).all()
    assert all((g == 0).all() for g in (to_state.rows, to_state.attention, to_controls))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each_switch_apart
def test_gradients_are_finite_at_nasty_points(switches: tuple[str, ...], dtype: type) -> None:
    """Empty and zero rows, usages tied, keys of zeros and keys and gates far too large."""
    memory = memory_of(switches)

    @jax.jit
    @jax.grad
    def slope(parts):
        step = lambda state, interface: memory.access(state, interface)[:2]
        after, reads = jax.lax.scan(step, *parts)
        return jnp.sum(reads**2) + jnp.sum(after.rows**2) + jnp.sum(after.attention**2) + jnp.sum(after.usage**2)

    for fill in (EMPTY, 0.0, 1.0):
        state = eqx.tree_at(lambda s: s.rows, memory.init_state(), jnp.full((SLOTS, WIDTH), fill))
        for scale in (0.0, 1e6):
            parts = jax.tree.map(lambda leaf: leaf.astype(dtype), (state, scale * interfaces_of(memory, 3)))
            assert all(np.isfinite(g).all() for g in jax.tree.leaves(slope(parts)))


@each_switch_apart
def test_ten_thousand_steps_on_zeros(switches: tuple[str, ...]) -> None:
    memory = memory_of(switches)
    state = jax.tree.map(lambda leaf: leaf.astype(np.float32), memory.init_state())
    zeros = jnp.zeros((10_000, memory.interface_size), np.float32)
    step = lambda state, interface: memory.access(state, interface)[:2]
    after, reads = jax.jit(lambda: jax.lax.scan(step, state, zeros))()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, reads)))
    np.testing.assert_allclose(jnp.sum(after.attention, 1), 1, rtol=1e-5)


def test_controls_are_gates_keys_and_vectors() -> None:
    assert memory_of().interface_size == HEADS * (1 + WIDTH)
    assert memory_of(("vector", "none")).interface_size == HEADS * (1 + 2 * WIDTH)
    assert memory_of(("key", "learned")).interface_size == HEADS * (2 + WIDTH)
    memory = memory_of()
    with pytest.raises((TypeError, ValueError)):
        memory.access(memory.init_state(), jnp.zeros(memory.interface_size + 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"slots": 0}, "slots: got 0, expected a number above 0."),
        ({"decay": float("nan")}, "decay: got nan, expected a number from 0 to 1."),
        ({"width": 0}, "width: got 0, expected a number above 0."),
        ({"heads": 0}, "heads: got 0, expected a number above 0."),
        ({"heads": SLOTS + 1}, "heads: got 7, expected "),
        ({"written": "value"}, "written: got 'value', expected one of key, vector."),
        ({"strength": "much"}, "strength: got 'much', expected one of none, learned."),
    ],
    ids=str,
)
def test_wrong_choices_are_refused_in_one_sentence(options: dict, said: str) -> None:
    with as_users_come(), pytest.raises(UserError) as raised:
        LeastUsed(**{"slots": SLOTS, "width": WIDTH, "heads": HEADS} | options)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_rounding_decides_nothing() -> None:
    for value in np.random.default_rng(0).uniform(0.2, 0.4, 200).astype(np.float32):
        usage = jnp.asarray([0.5, value + 3e-7, value, value - 3e-7, 0.1])
        assert least_used_slots(usage, 4).tolist() == [4, 1, 2, 3]
        assert least_used_slots(usage.at[3].add(-1e-3), 2).tolist() == [4, 3]
