import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.toys import FEATURES, added_rows, net_cell, tally

from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.lstm import LSTM, LSTMConfig
from fastslow.cells.mann import MANN, MANNConfig
from fastslow.cells.operations import Forward, turned
from fastslow.cells.reversible import AbstractReversibleCell
from fastslow.cells.unroll import unroll, unroll_plain
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.memory.ntm import NTMConfig

pytestmark = pytest.mark.usefixtures("double")

HIDDEN, SLOTS, WIDTH, HEADS, BATCH, STEPS = 4, 5, 7, 2, 3, 6
SIZES = (SLOTS, WIDTH, HEADS)
EPS = np.finfo(np.float64).eps
CONFIGS = {
    "lstm-cell-least-used": MANNConfig(LSTMConfig(HIDDEN), LeastUsedConfig(*SIZES)),
    "lstm-hidden-vector": MANNConfig(LSTMConfig(HIDDEN), LeastUsedConfig(*SIZES, written="vector"), "hidden"),
    "lstm-cell-sharp": MANNConfig(
        LSTMConfig(HIDDEN), LeastUsedConfig(*SIZES, written="vector", strength="learned"), previous_read=False
    ),
    "lstm-cell-ntm": MANNConfig(LSTMConfig(HIDDEN), NTMConfig(*SIZES)),
    "feed-forward-least-used": MANNConfig(FeedForwardConfig(HIDDEN), LeastUsedConfig(*SIZES)),
    "feed-forward-ntm": MANNConfig(FeedForwardConfig(HIDDEN), NTMConfig(*SIZES)),
}


def mann(name: str, seed: int = 0) -> MANN:
    """A network whose weights are large enough for every path to matter."""
    return jax.tree.map(lambda w: 2 * w, CONFIGS[name].build(FEATURES, 0, key=jax.random.key(seed)))


def trained_memory() -> MANN:
    memory = added_rows()
    controller = LSTM(FEATURES + memory.width, HIDDEN, key=jax.random.key(0))
    return MANN(controller, memory, key=jax.random.key(1))


CELLS = {name: lambda name=name: mann(name) for name in CONFIGS}
CELLS |= {"net": net_cell, "trained-memory": trained_memory}
every_cell = pytest.mark.parametrize("name", CELLS)
SWITCHES = {
    "plain": (False, False),
    "masked": (False, True),
    "reset": (True, False),
    "masked and reset": (True, True),
}


def inputs(steps: int = STEPS, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(BATCH, steps, FEATURES)))


def repeated(state: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], BATCH, 0), state)


def spread(state: Any, seed: int = 1) -> Any:
    """A batch of states, no two alike and no two slots alike."""
    rng = np.random.default_rng(seed)
    draw = lambda leaf: leaf[None] + jnp.asarray(rng.uniform(size=(BATCH, *leaf.shape))).astype(leaf.dtype)
    return jax.tree.map(draw, state)


def switches(name: str, steps: int = STEPS) -> dict[str, jax.Array]:
    """Masks that end, or skip a step; resets at the start, in the middle and where the mask hides them."""
    rng = np.random.default_rng(5)
    reset, mask = SWITCHES[name]
    return ({"reset": jnp.asarray(rng.uniform(size=(BATCH, steps)) < 0.4)} if reset else {}) | (
        {"mask": jnp.asarray(rng.uniform(size=(BATCH, steps)) < 0.7)} if mask else {}
    )


def reversible(cell: Any, states: Any, xs: jax.Array, given: dict[str, jax.Array]) -> Any:
    return jax.vmap(lambda state, x, given: unroll(cell, state, x, **given))(states, xs, given)


def plain(cell: AbstractReversibleCell, states: Any, xs: jax.Array, given: dict[str, jax.Array]) -> Any:
    def one(state: Any, x: jax.Array, given: dict[str, jax.Array]) -> Any:
        return unroll_plain(cell, state, jax.vmap(cell.project)(x), given.get("reset"), given.get("mask"))

    return jax.vmap(one)(states, xs, given)


def values_and_gradients(run: Any, *parts: Any, given: Any = None, of: Any = lambda found: found) -> Any:
    """What a run returns, and the gradients of all of it in cell, states and inputs."""

    @eqx.filter_jit
    def both(parts: Any, given: Any) -> Any:
        def loss(parts: Any) -> Any:
            found = run(*parts, given)
            return tally(of(found)), found

        (_, found), gradients = eqx.filter_value_and_grad(loss, has_aux=True)(parts)
        return found, gradients

    return both(parts, given or {})


def agree(one: Any, other: Any, terms: int, eps: float = EPS) -> bool:
    """Whether two results are alike but for rounding.

    A number is a sum of at most `terms` products, each rounded once, and what goes into it was rounded as often in each
    step before: `STEPS` times `terms` roundings, of the size of the largest number of its array.
    """
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.abs(a - b).max(initial=0) <= STEPS * terms * eps * max(1, np.abs(b).max(initial=0)) for a, b in pairs)


TERMS = BATCH * STEPS * SLOTS * WIDTH
"""Terms of the longest sum: over episodes, steps, and all numbers of a memory."""


# every cell without switches and with both; one cell with each
ROWS = [*itertools.product(CELLS, ("plain", "masked and reset")), ("net", "masked"), ("net", "reset")]


@pytest.mark.parametrize(("name", "switch"), ROWS)
def test_it_is_the_plain_unroll_in_values_and_all_gradients(name: str, switch: str) -> None:
    """In all arrays of the cell, the first states and the inputs; of the outputs and of the last states."""
    cell, xs = CELLS[name](), inputs()
    states, given = spread(cell.init_state()), switches(switch)
    found = values_and_gradients(reversible, cell, states, xs, given=given)
    expected = values_and_gradients(plain, cell, states, xs, given=given)
    assert agree(found[0], expected[0], TERMS)
    assert agree(found[1], expected[1], TERMS)
    gradients = jax.tree_util.tree_leaves_with_path(found[1])
    quiet = {jax.tree_util.keystr(path) for path, g in gradients if not (g != 0).any()}
    # a first memory enters by resets alone, as the first states are given; a first usage carries a gradient to the last
    # usage alone, which resets cut; a first read is given to a controller only with `previous_read`
    expected_quiet = {".initial"} if "reset" not in given else {".usage"}
    if not getattr(cell, "previous_read", True):
        expected_quiet |= {".read"}
    assert all(any(part in where for part in expected_quiet) for where in quiet), quiet


@every_cell
def test_also_from_the_first_state_and_of_the_outputs_alone(name: str) -> None:
    """Which is a function of the cell: a first memory that is trained gets a gradient."""
    cell, xs = CELLS[name](), inputs()
    run = lambda unrolled: values_and_gradients(
        lambda cell, xs, given: unrolled(cell, repeated(cell.init_state()), xs, given),
        cell,
        xs,
        of=lambda found: found[1],
    )
    found, expected = run(reversible), run(plain)
    assert agree(found, expected, TERMS)
    trained = [g for path, g in jax.tree_util.tree_leaves_with_path(found[1][0])]
    assert all((g != 0).any() for g in trained)


@pytest.mark.parametrize("name", ["net", "trained-memory", "lstm-cell-ntm"])
def test_gradients_are_finite_differences(name: str) -> None:
    cell, given = CELLS[name](), jax.tree.map(lambda rows: rows[0], switches("masked and reset"))
    run = lambda cell, xs: tally(unroll(cell, cell.init_state(), xs, **given))
    check_grads(jax.jit(run), (cell, inputs()[0]), order=1, modes=["rev"], eps=1e-5)


@pytest.mark.parametrize("name", ["net", "trained-memory", "lstm-cell-least-used"])
def test_second_derivatives_are_those_of_the_plain_unroll(name: str) -> None:
    """As learning through a gradient step needs them."""
    cell, xs, given = CELLS[name](), inputs(3), switches("masked", 3)
    states = spread(cell.init_state())

    @eqx.filter_jit
    def second(run: Any) -> Any:
        slope = eqx.filter_grad(lambda parts: tally(run(*parts, states, xs, given)))
        return eqx.filter_grad(lambda parts: tally(slope(parts)))((cell,))

    expected = second(lambda *parts: plain(*parts))
    assert agree(second(lambda *parts: reversible(*parts)), expected, TERMS * STEPS)
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(expected))


@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps(steps: int) -> None:
    cell, xs = net_cell(), inputs(steps)
    states = spread(cell.init_state())
    found, expected = (values_and_gradients(run, cell, states, xs) for run in (reversible, plain))
    assert found[0][1].shape == (BATCH, steps, cell.out_size)
    assert agree(found, expected, TERMS)


def test_without_a_batch_it_is_one_of_a_batch() -> None:
    cell, xs = mann("lstm-cell-least-used"), inputs()
    slope = jax.grad(lambda xs: tally(unroll(cell, cell.init_state(), xs)))
    together, alone = jax.jit(jax.vmap(slope))(xs), jax.jit(slope)(xs[1])
    assert agree(together[1], alone, TERMS)


def test_the_backward_pass_uses_the_states_that_it_has_recovered() -> None:
    """A cell with a wrong inverse has right values and wrong gradients: nothing else was kept."""
    xs, states = inputs(), spread(net_cell().init_state())
    right, wrong = (values_and_gradients(reversible, net_cell(error), states, xs) for error in (0.0, 0.1))
    assert agree(right[0], wrong[0], TERMS)
    assert not eqx.tree_equal(right[1][1], wrong[1][1], rtol=1e-2, atol=1e-2)


class PassState(eqx.Module):
    """Attributes: `hidden`; `held`, an array of the cell as it is."""

    hidden: jax.Array
    held: jax.Array


class PassCell(AbstractReversibleCell[PassState, PassState]):
    """Its step computes nothing with an array that it is trained by: it hands it on."""

    base: jax.Array

    @property
    def out_size(self):
        return 2

    def init_state(self):
        return PassState(jnp.zeros(2), jnp.zeros(2))

    def project(self, x):
        return x[:2]

    def maps(self):
        return {}

    def step(self, state, projected, operations):
        after = PassState(projected + jnp.tanh(state.held), self.base)
        return after, after.hidden, state

    def inverse(self, after, residuals):
        return residuals


def test_an_array_that_passes_through_a_step_has_its_gradient() -> None:
    cell, xs = PassCell(jnp.asarray([0.5, -0.3])), inputs()
    states = repeated(cell.init_state())
    one, other = (values_and_gradients(run, cell, states, xs) for run in (reversible, plain))
    assert agree(one, other, TERMS)
    assert (one[1][0].base != 0).all()


@pytest.mark.parametrize("switch", SWITCHES)
def test_the_rows_of_each_step_are_kept_with_resets_alone(switch: str) -> None:
    """Autodiff of a plain scan keeps all memories; inverting the steps saves that."""
    cell, xs, given = mann("lstm-cell-least-used"), inputs(), switches(switch)
    states = repeated(cell.init_state())
    rows = f"[{BATCH},{STEPS},{SLOTS},{WIDTH}]", f"[{STEPS},{BATCH},{SLOTS},{WIDTH}]"
    program = lambda run: str(jax.make_jaxpr(jax.grad(lambda cell: tally(run(cell, states, xs, given))))(cell))
    assert any(shape in program(plain) for shape in rows)
    assert any(shape in program(reversible) for shape in rows) == ("reset" in given)


def test_the_weights_of_maps_are_in_no_carry() -> None:
    """Their gradients are one product after the scan, over a batch too, not a sum with one part for each episode."""
    cell, xs = mann("lstm-cell-least-used"), inputs()
    states, shape = repeated(cell.init_state()), cell.controls.weight.shape
    program = str(jax.make_jaxpr(jax.grad(lambda cell: tally(reversible(cell, states, xs, {}))))(cell))
    assert f"[{shape[0]},{shape[1]}]" in program
    assert f"[{BATCH},{shape[0]},{shape[1]}]" not in program


def test_at_full_size_in_single_precision_and_as_users_compile_it() -> None:
    """128 slots of 40, 4 heads, 200 units; the tests compile with little effort everywhere else."""
    config = MANNConfig(memory=LeastUsedConfig(written="vector", strength="learned"))
    single = lambda tree: jax.tree.map(lambda leaf: leaf.astype(np.float32), tree)
    cell = single(config.build(FEATURES, 0, key=jax.random.key(0)))
    parts = cell, single(repeated(cell.init_state())), single(inputs(50))
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        found, expected = (values_and_gradients(run, *parts, of=lambda found: found[1]) for run in (reversible, plain))
    finally:
        jax.config.update("jax_disable_most_optimizations", True)
    assert eqx.tree_equal(found[0], expected[0], rtol=1e-4, atol=1e-5)
    for one, other in zip(jax.tree.leaves(found[1]), jax.tree.leaves(expected[1]), strict=True):
        assert jnp.linalg.norm(one - other) <= 1e-3 * jnp.linalg.norm(other)


def test_hundreds_of_steps_in_single_precision_lose_little() -> None:
    """Rows that are recovered by subtraction drift by no more than rounding."""
    cell = mann("lstm-cell-least-used")
    parts = jax.tree.map(lambda leaf: leaf.astype(np.float32), (cell, spread(cell.init_state()), inputs(300)))
    found, expected = (values_and_gradients(run, *parts)[1] for run in (reversible, plain))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert jnp.linalg.norm(one - other) <= 1e-3 * jnp.linalg.norm(other)


@pytest.mark.parametrize("name", ["lstm-cell-sharp", "feed-forward-ntm"])
def test_several_networks_at_once_are_each_alone(name: str) -> None:
    """`vmap` over weights, as repetitions of a training are run."""
    cells = [mann(name, seed=seed) for seed in range(2)]
    states, xs = spread(cells[0].init_state()), inputs()
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *cells)
    slope = eqx.filter_grad(lambda cell: tally(reversible(cell, states, xs, {})))
    together = eqx.filter_jit(eqx.filter_vmap(slope))(stacked)
    for number, cell in enumerate(cells):
        assert agree(jax.tree.map(lambda leaf, i=number: leaf[i], together), eqx.filter_jit(slope)(cell), TERMS)


@every_cell
def test_a_step_is_inverted(name: str) -> None:
    cell = CELLS[name]()
    state = jax.tree.map(lambda leaf: leaf[0], spread(cell.init_state()))

    @eqx.filter_jit
    def there_and_back(cell: Any, state: Any, x: jax.Array) -> Any:
        after, y, residuals = cell.step(state, cell.project(x), Forward(cell, turned(cell.maps())))
        return (after, y), cell.inverse(after, residuals)

    (after, y), before = there_and_back(cell, state, inputs()[0, 0])
    assert agree(before, state, WIDTH)
    changed = zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True)
    assert all((one != other).any() for one, other in changed)
    assert agree(cell(state, inputs()[0, 0]), (after, y), WIDTH)


def test_padding_may_hold_anything() -> None:
    """Also in the gradients, where a zero times what is no number would be no number."""
    cell, given = net_cell(), switches("masked")
    poisoned = jnp.where(given["mask"][..., None], inputs(), jnp.nan)
    clean, dirty = (
        values_and_gradients(reversible, cell, spread(cell.init_state()), xs, given=given)
        for xs in (inputs(), poisoned)
    )
    assert eqx.tree_equal(clean, dirty)


def test_kinds_cover_both_key_sources_and_all_memories() -> None:
    """The rows above are chosen, not crossed; each choice is in one of them."""
    chosen = {(c.key_source, c.previous_read) for c in CONFIGS.values()}
    assert chosen >= {("cell", True), ("hidden", True), ("cell", False)}
    assert {type(c.memory) for c in CONFIGS.values()} == {LeastUsedConfig, NTMConfig}
    assert set(itertools.chain(*((c.memory.kind, c.controller.kind) for c in CONFIGS.values()))) == {
        "least-used",
        "ntm",
        "lstm",
        "feed-forward",
    }
