import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.tiny import NORM_FLOOR, as_users_come
from tests.reference.ntm import NTMMemory as Twin

from fastslow._checks import UserError
from fastslow.memory.least_used import EMPTY
from fastslow.memory.ntm import NTMMemory, NTMState, address

pytestmark = pytest.mark.usefixtures("double")

SLOTS, WIDTH, HEADS, STEPS = 5, 3, 2, 6
WRITERS = (1, 2)
every_writer = pytest.mark.parametrize("writers", WRITERS)
ACCESS = eqx.filter_jit(lambda memory, state, interface: memory.access(state, interface))
ADDRESS = jax.jit(address)
FULL = 1e3
"""A control that pushes a gate to 1 and, negative, to 0."""


def filled(memory: NTMMemory, seed: int = 0) -> NTMState:
    rng = np.random.default_rng(seed)
    places = lambda heads: jnp.asarray(rng.dirichlet(np.ones(memory.slots), size=heads))
    rows = jnp.asarray(rng.normal(size=(memory.slots, memory.width)))
    return NTMState(rows, places(memory.heads), places(memory.writers))


def interfaces_of(memory: NTMMemory, steps: int = STEPS, seed: int = 1) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(steps, memory.interface_size)))


def head(
    key: list[float] | None = None,
    strength: float = -FULL,
    gate: float = -FULL,
    sharpness: float = -FULL,
    shift: int = 0,
) -> jax.Array:
    """Controls of one head that stays where it was, unless told otherwise."""
    shifts = np.where(np.arange(-1, 2) == shift, FULL, -FULL)
    return jnp.asarray([*(key or [0.0] * WIDTH), strength, gate, sharpness, *shifts])


@every_writer
@pytest.mark.parametrize("start", ["first", "filled"])
def test_equations_2_to_9_are_the_twins_and_the_inverse_is_the_state_before(start: str, writers: int) -> None:
    memory = NTMMemory(SLOTS, WIDTH, HEADS, writers)
    state = filled(memory) if start == "filled" else memory.init_state()
    twin = Twin(*(np.array(part) for part in (state.rows, state.reading, state.writing)), NORM_FLOOR)
    for interface in interfaces_of(memory):
        before = state
        state, read, residuals = ACCESS(memory, before, interface)
        np.testing.assert_allclose(read, twin.access(np.array(interface)), rtol=1e-9, atol=1e-12)
        for name in ("rows", "reading", "writing"):
            np.testing.assert_allclose(getattr(state, name), getattr(twin, name), rtol=1e-9, atol=1e-12)
        assert eqx.tree_equal(memory.inverse(state, residuals), before)


def test_the_first_memory_is_empty_and_every_head_is_at_slot_0() -> None:
    state = NTMMemory(SLOTS, WIDTH, HEADS, 2).init_state()
    assert (state.rows == 1e-6).all()
    assert (state.reading == jnp.eye(SLOTS)[:1]).all()
    assert (state.writing == jnp.eye(SLOTS)[:1]).all()


ROWS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
BEFORE = np.array([0.125, 0.5, 0.0, 0.25, 0.125])


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_closed_gate_leaves_a_head_where_it_was_or_moves_it_by_one_in_a_circle(shift: int) -> None:
    assert ADDRESS(ROWS, BEFORE, head(shift=shift)).tolist() == np.roll(BEFORE, shift).tolist()


def test_an_open_gate_and_a_great_strength_find_the_row_that_is_like_the_key() -> None:
    found = ADDRESS(ROWS, BEFORE, head(key=[0.0, 0.0, 9.0], strength=1e4, gate=FULL))
    assert found.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
    # found, then moved
    moved = head(key=[0.0, 0.0, 9.0], strength=1e4, gate=FULL, shift=1)
    assert ADDRESS(ROWS, BEFORE, moved).tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]


def test_the_least_strength_is_one() -> None:
    cosines = np.array([1.0, 0.0, 0.0, 0.5**0.5, -1.0])
    found = ADDRESS(ROWS, BEFORE, head(key=[0.7, 0.0, 0.0], gate=FULL))
    np.testing.assert_allclose(found, np.exp(cosines) / np.sum(np.exp(cosines)), rtol=1e-12)


def test_a_gate_at_half_is_half_of_each() -> None:
    nowhere = head(gate=0.0)
    # a key of zeros is like no row
    np.testing.assert_allclose(ADDRESS(ROWS, BEFORE, nowhere), 0.5 * BEFORE + 0.5 / SLOTS, rtol=1e-12)


def test_sharpening_squares_and_in_the_end_picks_the_largest() -> None:
    squared = head(sharpness=float(np.log(np.expm1(1.0))))
    np.testing.assert_allclose(ADDRESS(ROWS, BEFORE, squared), BEFORE**2 / np.sum(BEFORE**2), rtol=1e-12)
    assert ADDRESS(ROWS, BEFORE, head(sharpness=1e4)).tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]


def test_powers_that_vanish_are_no_division_by_zero() -> None:
    """Of 1/20, all alike, the power 1e4 is 0 in any precision."""
    rows, before = jnp.ones((20, WIDTH)), jnp.full(20, 1 / 20)
    even = lambda interface: address(rows, before, interface)
    interface = head(sharpness=1e4)
    np.testing.assert_allclose(jax.jit(even)(interface), 1 / 20, rtol=1e-12)
    slopes = jax.jit(jax.jacrev(even))(interface)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize(("erase", "left"), [(FULL, 0.0), (-FULL, 1.0)])
def test_a_head_at_one_slot_writes_there_and_nowhere_else(erase: float, left: float) -> None:
    """Erased whole it holds what is added, and not erased the sum; what is written is read in the same step."""
    memory = NTMMemory(SLOTS, WIDTH, 1)
    places = jnp.eye(SLOTS)[3:4]
    before = NTMState(filled(memory).rows, places, places)
    added = np.array([FULL, -FULL, 0.0])
    interface = jnp.concatenate([head(), head(), jnp.full(WIDTH, erase), jnp.asarray(added)])
    after, read, residuals = ACCESS(memory, before, interface)
    assert (after.rows[3] == left * before.rows[3] + jnp.asarray([1.0, -1.0, 0.0])).all()
    others = jnp.arange(SLOTS) != 3
    assert (after.rows[others] == before.rows[others]).all()
    assert (read[0] == after.rows[3]).all()
    # nothing is left of the row, and yet it comes back
    assert eqx.tree_equal(memory.inverse(after, residuals), before)


def test_read_heads_look_for_what_was_written_in_this_step() -> None:
    """The key is met by no row before the write, and by one after it."""
    memory = NTMMemory(SLOTS, WIDTH, 1)
    first = jnp.eye(SLOTS)[:1]
    before = NTMState(jnp.zeros((SLOTS, WIDTH)), first, first)
    key = [9.0, -9.0, 9.0]
    writes = [head(shift=1), jnp.full(WIDTH, FULL), jnp.asarray([FULL, -FULL, FULL])]
    after, read, _ = ACCESS(memory, before, jnp.concatenate([head(key=key, strength=1e4, gate=FULL), *writes]))
    assert after.writing.tolist() == after.reading.tolist() == [[0.0, 1.0, 0.0, 0.0, 0.0]]
    assert read.tolist() == [[1.0, -1.0, 1.0]]


def test_write_heads_look_in_the_memory_before_and_their_order_has_no_effect() -> None:
    memory = NTMMemory(SLOTS, WIDTH, 1, 2)
    state, interface = filled(memory), interfaces_of(memory)[0]
    reads, writes = interface[: WIDTH + 6], interface[WIDTH + 6 : 3 * (WIDTH + 6)].reshape(2, -1)
    vectors = interface[3 * (WIDTH + 6) :].reshape(2, 2, WIDTH)
    turned = jnp.concatenate([reads, writes[::-1].reshape(-1), vectors[:, ::-1].reshape(-1)])
    other = eqx.tree_at(lambda s: s.writing, state, state.writing[::-1])
    one, read, _ = ACCESS(memory, state, interface)
    two, same, _ = ACCESS(memory, other, turned)
    np.testing.assert_allclose(one.rows, two.rows, rtol=1e-12)
    np.testing.assert_allclose(read, same, rtol=1e-12)
    assert not np.allclose(one.writing[0], one.writing[1], rtol=1e-2)
    np.testing.assert_allclose(one.writing[0], ADDRESS(state.rows, state.writing[0], writes[0]), rtol=1e-12)


def test_gradients_are_finite_differences() -> None:
    """In the interface and in all of the state before, through three steps."""
    memory = NTMMemory(SLOTS, WIDTH, HEADS, 2)

    def loss(state, interface):
        step = lambda state, interface: memory.access(state, interface)[:2]
        after, reads = jax.lax.scan(step, state, interface)
        count = lambda values: jnp.sum(values**2 * jnp.arange(1.0, values.size + 1).reshape(values.shape))
        return sum(map(count, jax.tree.leaves((after, reads))))

    state, interface = filled(memory), interfaces_of(memory, 3)
    check_grads(jax.jit(loss), (state, interface), order=1, modes=["rev"])
    gradients = jax.jit(jax.grad(loss, (0, 1)))(state, interface)
    assert all((g != 0).all() for g in jax.tree.leaves(gradients))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradients_are_finite_at_nasty_points(dtype: type) -> None:
    """Empty and zero rows, heads at one slot alone, keys of zeros, and interface far too large, which erase twice."""
    memory, writers = NTMMemory(SLOTS, WIDTH, HEADS, 2), 2

    @jax.jit
    @jax.grad
    def slope(parts):
        step = lambda state, interface: memory.access(state, interface)[:2]
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(jax.lax.scan(step, *parts)))

    huge = 1e4 * interfaces_of(memory, 3)
    extremes = jnp.tile(
        jnp.concatenate([*[head(shift=1)] * (HEADS + writers), jnp.full(2 * writers * WIDTH, FULL)]), (3, 1)
    )
    for fill in (EMPTY, 0.0):
        state = eqx.tree_at(lambda s: s.rows, memory.init_state(), jnp.full((SLOTS, WIDTH), fill))
        for interface in (jnp.zeros_like(huge), huge, extremes):
            parts = jax.tree.map(lambda leaf: leaf.astype(dtype), (state, interface))
            assert all(np.isfinite(g).all() for g in jax.tree.leaves(slope(parts)))


@pytest.mark.parametrize(("moving", "writers"), [(False, 1), (True, 2)])
def test_ten_thousand_steps(moving: bool, writers: int) -> None:
    """On zeros; and with heads that go round and round, where no error of rounding may add up."""
    memory = NTMMemory(SLOTS, WIDTH, HEADS, writers)
    still = jnp.zeros(memory.interface_size)
    steer = still.at[: (WIDTH + 6) * HEADS].set(jnp.tile(head(shift=1), HEADS)) if moving else still
    state, steer = jax.tree.map(lambda leaf: leaf.astype(np.float32), (memory.init_state(), steer))
    step = lambda state, _: memory.access(state, steer)[:2]
    after, reads = jax.jit(lambda state: jax.lax.scan(step, state, length=10_000))(state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, reads)))
    np.testing.assert_allclose(jnp.sum(after.reading, 1), 1, rtol=1e-5)
    np.testing.assert_allclose(jnp.sum(after.writing, 1), 1, rtol=1e-5)
    if moving:
        # 10,000 is a whole number of rounds
        assert (after.reading == jnp.eye(SLOTS, dtype=np.float32)[:1]).all()


@pytest.mark.parametrize("slots", [1, 2])
def test_a_circle_may_be_small(slots: int) -> None:
    """Of one slot all moves lead there; of two, one back is one on."""
    memory = NTMMemory(slots, WIDTH, 1)
    interface = jnp.concatenate([head(shift=1), head(shift=-1), jnp.zeros(2 * WIDTH)])
    after, _, _ = ACCESS(memory, memory.init_state(), interface)
    assert after.reading.tolist() == after.writing.tolist() == [[0.0] * (slots - 1) + [1.0]]


@every_writer
def test_controls_are_addresses_and_vectors(writers: int) -> None:
    memory = NTMMemory(SLOTS, WIDTH, HEADS, writers)
    assert memory.interface_size == (HEADS + writers) * (WIDTH + 6) + 2 * writers * WIDTH
    with pytest.raises((TypeError, ValueError)):
        memory.access(memory.init_state(), jnp.zeros(memory.interface_size + 1))


@pytest.mark.parametrize("named", ["slots", "width", "heads", "writers"])
def test_sizes_below_one_are_refused(named: str) -> None:
    sizes = {"slots": SLOTS, "width": WIDTH, "heads": HEADS, "writers": 1} | {named: 0}
    with as_users_come(), pytest.raises(UserError) as raised:
        NTMMemory(**sizes)
    assert str(raised.value) == f"{named}: got 0, expected a number above 0."
