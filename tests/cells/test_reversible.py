from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastslow.cells.base import unroll
from fastslow.cells.mann import MANN
from fastslow.cells.reversible import AbstractRewindableCell, Halfway, unroll_batch
from fastslow.memory.base import AbstractAccess
from fastslow.memory.least_used import LeastUsed
from fastslow.memory.ntm import Tape

pytestmark = pytest.mark.usefixtures("double")

FEATURES, HIDDEN, SLOTS, WIDTH, HEADS, BATCH, STEPS = 3, 4, 5, 7, 2, 3, 6
MEMORIES: dict[str, AbstractAccess] = {
    "least-used": LeastUsed(SLOTS, WIDTH, HEADS),
    "least-used-apart": LeastUsed(SLOTS, WIDTH, HEADS, share="one-each", order="read-first", written="vector"),
    "least-used-sharp": LeastUsed(SLOTS, WIDTH, HEADS, written="vector", strength="learned"),
    "tape": Tape(SLOTS, WIDTH, HEADS),
}
CONTROLLERS = (("lstm", "cell"), ("lstm", "hidden"), ("feed-forward", "hidden"))
KINDS = [
    *((*CONTROLLERS[0], memory) for memory in MEMORIES),
    (*CONTROLLERS[1], "least-used-apart"),
    (*CONTROLLERS[2], "least-used"),
    (*CONTROLLERS[2], "tape"),
]
# every controller and every memory, once
FEW = [(*CONTROLLERS[0], "least-used-sharp"), (*CONTROLLERS[1], "least-used-apart"), KINDS[-1]]


class Drift(AbstractRewindableCell[jax.Array, jax.Array, jax.Array]):
    """Adds to its state what the state and the input call for; what was added is what undoes it.

    Attributes:
        enter, again: the first map, from input and state.
        controls: the second map.
        error: added to a state that was walked back, which should be 0.
    """

    enter: jax.Array
    again: jax.Array
    controls: eqx.nn.Linear
    error: float = eqx.field(static=True, default=0.0)

    def init_state(self):
        return jnp.zeros(WIDTH)

    def project(self, x):
        return self.enter @ x

    @property
    def recurrent_weight(self):
        return self.again

    def feed(self, state):
        return jnp.sin(state)

    def begin(self, state, entered):
        return Halfway(state * jnp.tanh(entered), jnp.cos(entered))

    def finish(self, state, half, controls):
        news = half + jnp.tanh(controls)
        return state + news, news * state, news

    def rewind(self, after, undo):
        return after - undo + self.error


def drift(error: float = 0.0) -> Drift:
    rng = np.random.default_rng(0)
    square = jnp.asarray(rng.normal(size=(WIDTH, WIDTH)) / 3)
    return Drift(
        jnp.asarray(rng.normal(size=(WIDTH, FEATURES))),
        square,
        eqx.nn.Linear(WIDTH, WIDTH, key=jax.random.key(0)),
        error,
    )


def mann(controller: str, key_source: str, memory: str, seed: int = 0) -> MANN:
    """A network whose weights are large enough for every path to matter."""
    options = {"controller": controller, "key_source": key_source}
    cell = MANN(FEATURES, HIDDEN, MEMORIES[memory], **options, key=jax.random.key(seed))
    return jax.tree.map(lambda w: 2 * w, cell)


def inputs(steps: int = STEPS, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(BATCH, steps, FEATURES)))


def repeated(state: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], BATCH, 0), state)


def spread(state: Any, seed: int = 1) -> Any:
    """A batch of states, no two alike and no two slots alike."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf[None] + jnp.asarray(rng.uniform(size=(BATCH, *leaf.shape))), state)


def plain(cell: Any, states: Any, xs: jax.Array) -> Any:
    return jax.vmap(unroll, (None, 0, 0))(cell, states, xs)


def tally(values: Any) -> jax.Array:
    """One number to which every number of every array contributes in its own measure."""
    return sum(
        jnp.sum(jnp.sin(leaf) * jnp.arange(1.0, leaf.size + 1, dtype=leaf.dtype).reshape(leaf.shape))
        for leaf in jax.tree.leaves(values)
    )


def values_and_gradients(run: Any, *given: Any, of: Any = lambda found: found) -> Any:
    """What a run returns, and the gradients of all of it in cell, states and inputs."""

    @eqx.filter_jit
    def both(given):
        def loss(given):
            found = run(*given)
            return tally(of(found)), found

        (_, found), gradients = eqx.filter_value_and_grad(loss, has_aux=True)(given)
        return found, gradients

    return both(given)


def agree(one: Any, other: Any, rtol: float = 1e-9, atol: float = 1e-11) -> bool:
    return bool(eqx.tree_equal(one, other, rtol=rtol, atol=atol))


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_it_is_vmap_of_unroll_in_values_and_all_gradients(kind: tuple[str, str, str]) -> None:
    """In all weights, the first states and the inputs, of the outputs and of the last states."""
    cell, xs = mann(*kind), inputs()
    states = spread(cell.init_state())
    found = values_and_gradients(unroll_batch, cell, states, xs)
    expected = values_and_gradients(plain, cell, states, xs)
    assert agree(found[0], expected[0])
    assert agree(found[1], expected[1])
    quiet = [
        jax.tree_util.keystr(path) for path, g in jax.tree_util.tree_leaves_with_path(found[1]) if not (g != 0).any()
    ]
    assert quiet == [], "a gradient of zeros was not compared"


@pytest.mark.parametrize("kind", FEW, ids="-".join)
def test_also_from_the_first_states_and_of_the_outputs_alone(kind: tuple[str, str, str]) -> None:
    cell, xs = mann(*kind), inputs()
    states = repeated(cell.init_state())
    run = lambda unrolled: values_and_gradients(unrolled, cell, states, xs, of=lambda found: found[1])
    assert agree(run(unroll_batch), run(plain))


def test_at_full_size_in_single_precision_and_as_users_compile_it() -> None:
    """128 slots of 40, 4 heads, 200 units; the tests compile with little effort everywhere else."""
    memory = LeastUsed(128, 40, 4, strength="learned", written="vector")
    cell = jax.tree.map(lambda w: w.astype(np.float32), MANN(FEATURES, 200, memory, key=jax.random.key(0)))
    states, xs = repeated(jax.tree.map(lambda leaf: leaf.astype(np.float32), cell.init_state())), inputs(50)
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        given = (cell, states, xs.astype(np.float32))
        found, expected = (
            values_and_gradients(run, *given, of=lambda found: found[1]) for run in (unroll_batch, plain)
        )
    finally:
        jax.config.update("jax_disable_most_optimizations", True)
    assert agree(found[0], expected[0], rtol=1e-4, atol=1e-5)
    for one, other in zip(jax.tree.leaves(found[1]), jax.tree.leaves(expected[1]), strict=True):
        assert jnp.linalg.norm(one - other) <= 1e-3 * jnp.linalg.norm(other)


@pytest.mark.parametrize("steps", [0, 1, STEPS])
def test_any_cell_of_this_kind_will_do(steps: int) -> None:
    cell, xs = drift(), inputs(steps)
    states = spread(cell.init_state())
    found, expected = (values_and_gradients(run, cell, states, xs) for run in (unroll_batch, plain))
    assert found[0][1].shape == (BATCH, steps, WIDTH)
    assert agree(found, expected)


def test_the_backward_pass_goes_by_the_states_it_has_walked_back_to() -> None:
    """A cell that finds its way back badly has right values and wrong gradients: nothing else was kept."""
    xs = inputs()
    states = spread(drift().init_state())
    right, wrong = (values_and_gradients(unroll_batch, drift(error), states, xs) for error in (0.0, 0.1))
    assert agree(right[0], wrong[0])
    assert not agree(right[1][1], wrong[1][1], rtol=1e-2, atol=1e-2)


def test_the_rows_of_each_step_are_not_kept() -> None:
    """What autodiff keeps of a plain scan is all memories; that is what the walk back saves."""
    cell, xs = mann("lstm", "cell", "least-used"), inputs()
    states = repeated(cell.init_state())
    rows = f"[{STEPS},{BATCH},{SLOTS},{WIDTH}]"
    program = lambda run: str(jax.make_jaxpr(jax.grad(lambda cell: tally(run(cell, states, xs))))(cell))
    assert rows in program(plain)
    assert rows not in program(unroll_batch)


def test_hundreds_of_steps_in_single_precision_lose_little() -> None:
    """Rows that are walked back by subtraction drift by no more than rounding."""
    cell = mann("lstm", "cell", "least-used")
    given = jax.tree.map(
        lambda leaf: leaf.astype(np.float32), (cell, spread(cell.init_state()), jnp.asarray(inputs(300)))
    )
    found, expected = (values_and_gradients(run, *given)[1] for run in (unroll_batch, plain))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert jnp.linalg.norm(one - other) <= 1e-3 * jnp.linalg.norm(other)


@pytest.mark.parametrize("kind", FEW[::2], ids="-".join)
def test_several_networks_at_once_are_each_alone(kind: tuple[str, str, str]) -> None:
    """`vmap` over weights, as repetitions of a training are run."""
    cells = [mann(*kind, seed=seed) for seed in range(2)]
    states, xs = spread(cells[0].init_state()), inputs()
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *cells)
    slope = eqx.filter_grad(lambda cell: tally(unroll_batch(cell, states, xs)))
    together = eqx.filter_jit(eqx.filter_vmap(slope))(stacked)
    for number, cell in enumerate(cells):
        assert agree(jax.tree.map(lambda leaf, i=number: leaf[i], together), eqx.filter_jit(slope)(cell))


def test_a_call_is_the_two_halves_of_a_step() -> None:
    cell, x = drift(), inputs()[0, 0]
    state = spread(cell.init_state())[0]
    halfway = cell.begin(state, cell.enter @ x + cell.again @ jnp.sin(state))
    after, y, undo = cell.finish(state, halfway.half, cell.controls(halfway.source))
    assert agree(cell(state, x), (after, y), rtol=1e-12)
    assert agree(cell.rewind(after, undo), state, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_step_of_mann_is_undone(kind: tuple[str, str, str]) -> None:
    cell = mann(*kind)
    state = jax.tree.map(lambda leaf: leaf[0], spread(cell.init_state()))

    @eqx.filter_jit
    def there_and_back(cell, state, x):
        halfway = cell.begin(state, cell.project(x) + cell.recurrent_weight @ cell.feed(state))
        after, _, undo = cell.finish(state, halfway.half, cell.controls(halfway.source))
        return after, cell.rewind(after, undo)

    after, before = there_and_back(cell, state, inputs()[0, 0])
    assert agree(before, state, rtol=1e-12, atol=1e-14)
    changed = zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True)
    assert all((one != other).any() for one, other in changed)
