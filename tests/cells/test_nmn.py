from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.tiny import (
    FEATURES,
    SLOTS,
    WAY,
    WIDTH,
    as_users_come,
    head,
    network_twin,
    nmn,
    shots,
    twin_walk,
)

from fastslow._checks import UserError
from fastslow.cells.context import walk
from fastslow.cells.nmn import NMN, NMNConfig
from fastslow.cells.unroll import unroll
from fastslow.memory.slots import KeyValueSlotsConfig, SoftSlotsConfig

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES = 5, 2
KINDS = ("soft", "key-value")
COMPOSES = ("query", "memory")
LABELS = ("none", "input", "write")


@pytest.mark.parametrize("label_input", LABELS)
@pytest.mark.parametrize("compose", COMPOSES)
@pytest.mark.parametrize("kind", KINDS)
def test_equations_2_to_8_are_the_twins(kind: str, compose: str, label_input: str) -> None:
    cell, decoder = nmn(kind, compose, label_input), head()
    inputs, _ = shots(SUPPORT, QUERIES)
    traced = lambda cell, inputs: walk(lambda state, x: cell.trace(state, x), cell.init_state(), inputs)
    _, record = eqx.filter_jit(traced)(cell, inputs)
    twin = twin_walk(network_twin(cell, decoder), inputs)
    for part, steps in (("context", SUPPORT), ("queries", QUERIES)):
        rows = getattr(record, part)
        logits = jax.vmap(decoder)(rows.outputs.output)
        for t in range(steps):
            for name in ("input", "output", "write"):
                place = (name, part, t)
                np.testing.assert_allclose(getattr(rows.inputs, name)[t], twin.given[place], rtol=1e-8, atol=1e-12)
                np.testing.assert_allclose(getattr(rows.outputs, name)[t], twin.gave[place], rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(rows.scores[t], twin.scores[part, t], rtol=1e-8)
            np.testing.assert_allclose(rows.memory[t], twin.memory[part, t], rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(logits[t], twin.logits[part, t], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "compose", "label_input"), [("soft", "memory", "none"), ("key-value", "query", "write")]
)
def test_gradients_are_finite_differences_through_time(kind: str, compose: str, label_input: str) -> None:
    """In all weights, the initial memory and temperature among them, in the inputs and in the first state.

    The conformance suite does the same, less sharply, for every choice.
    """
    cell = nmn(kind, compose, label_input)
    xs = shots(SUPPORT, QUERIES)[0].context
    state = cell.init_state()

    def loss(cell, xs, hidden):
        start = eqx.tree_at(lambda s: s.controllers, cell.init_state(), hidden)
        after, ys = unroll(cell, start, xs)
        return jnp.sum(ys**2 * jnp.arange(1.0, WIDTH + 1)[None]) + jnp.sum(after.memory.values**2)

    jitted = jax.jit(loss)
    hidden = jax.tree.map(lambda h: h + 0.1, state.controllers)
    check_grads(jitted, (cell, xs, hidden), order=1, modes=["rev"])
    gradient = jax.jit(jax.grad(loss))(cell, xs, hidden)
    quiet = [jax.tree_util.keystr(p) for p, g in jax.tree_util.tree_leaves_with_path(gradient) if not (g != 0).any()]
    assert quiet == [], "a weight that nothing depends on was not checked"


@pytest.mark.parametrize("initial", ["constant", "random"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_initial_memory_that_is_not_learned_takes_no_gradient(kind: str, initial: str) -> None:
    cell = nmn(kind, initial=initial)
    xs = shots(SUPPORT, QUERIES)[0].context
    gradient = jax.jit(jax.grad(lambda c: jnp.sum(unroll(c, c.init_state(), xs)[1] ** 2)))(cell)
    for name in ("initial", "initial_keys", "initial_values"):
        if hasattr(gradient.memory, name):
            assert (getattr(gradient.memory, name) == 0).all()
    assert (gradient.controllers.write.bias != 0).any()


@jax.jit
def squares(cell: NMN, xs: jax.Array) -> tuple:
    loss = lambda cell, xs: jnp.sum(unroll(cell, cell.init_state(), xs)[1] ** 2)
    return jax.value_and_grad(loss, (0, 1))(cell, xs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nasty", ["zero input", "zero weights", "zero memory", "constant memory", "huge input"])
def test_gradients_are_finite_at_nasty_points(kind: str, nasty: str) -> None:
    cell = nmn(kind, initial="constant" if nasty == "constant memory" else "learned")
    if nasty == "zero weights":
        # queries of zeros, scores and usages all tied
        cell = eqx.tree_at(lambda c: c.controllers, cell, replace_fn=lambda c: jax.tree.map(jnp.zeros_like, c))
    if nasty == "zero memory":
        cell = eqx.tree_at(lambda c: c.memory, cell, replace_fn=lambda m: jax.tree.map(jnp.zeros_like, m))
    scale = {"zero input": 0.0, "huge input": 1e6}.get(nasty, 1.0)
    # single precision, where squares of small numbers vanish
    cell = jax.tree.map(lambda w: w.astype(np.float32), cell)
    xs = jnp.asarray(scale * np.asarray(shots(SUPPORT, QUERIES)[0].context), np.float32)
    value, gradients = squares(cell, xs)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_read_literally_the_input_reaches_the_output_through_the_scores_alone() -> None:
    """A memory whose slots are all alike shows nothing of the input; with the query composed in, it does."""
    for compose, blind in (("memory", True), ("query", False)):
        cell = nmn("soft", compose, initial="constant")
        ys = [unroll(cell, cell.init_state(), seed * jnp.ones((1, FEATURES + WAY)))[1] for seed in (1.0, -2.0)]
        assert bool((ys[0] == ys[1]).all()) == blind


def test_a_label_at_the_write_controller_leaves_query_and_output_alone() -> None:
    cell = nmn("soft", "query", "write")
    x, state = jnp.arange(1.0, FEATURES + 1), cell.init_state()
    traced = eqx.filter_jit(cell.trace)
    (one, first), (other, second) = (traced(state, jnp.concatenate([x, label])) for label in jnp.eye(WAY))
    assert (first.outputs.input == second.outputs.input).all()
    assert (first.outputs.output == second.outputs.output).all()
    assert (first.outputs.write != second.outputs.write).any()
    assert (one.memory.values != other.memory.values).any()


def test_perturbations_act_on_each_output_and_zeros_change_nothing() -> None:
    cell = nmn("key-value", "query", "write")
    inputs, _ = shots(1, 1)
    x, state = inputs.context[0], cell.init_state()
    plain = cell.trace(state, x)[1]
    zeros = jax.tree.map(jnp.zeros_like, plain.outputs)
    assert eqx.tree_equal(cell.trace(state, x, zeros)[1], plain)
    for name in ("input", "output", "write"):
        pushed = eqx.tree_at(lambda t, n=name: getattr(t, n), zeros, jnp.ones(WIDTH))
        after, record = cell.trace(state, x, pushed)
        np.testing.assert_allclose(getattr(record.outputs, name), getattr(plain.outputs, name) + 1, rtol=1e-12)
        # the rest of the step is given the perturbed output, the controller's own state is not changed
        inner = getattr(after.controllers, name).hidden
        np.testing.assert_allclose(inner, getattr(plain.outputs, name), rtol=1e-12)
    assert (after.memory.values[0] == record.outputs.write).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"compose": "both"}, "compose: got 'both'"),
        ({"label_input": "read"}, "label_input: got 'read'"),
        ({"label_input": "write", "labels": 0}, "labels: got 0"),
        ({"features": FEATURES + 1}, f"controllers: got one of {FEATURES} inputs, expected one of {FEATURES + 1}"),
        ({"compose": "memory"}, f"controllers: got one of {2 * WIDTH} inputs, expected one of {WIDTH}"),
        (
            {"memory": SoftSlotsConfig().build(WIDTH + 1, key=jax.random.key(0))},
            f"width: got {WIDTH}, expected {WIDTH + 1}",
        ),
    ],
)
def test_choices_that_do_not_exist_and_parts_that_do_not_fit_are_refused(options: dict, named: str) -> None:
    cell = nmn()
    arguments = {"controllers": cell.controllers, "memory": cell.memory, "features": FEATURES, "labels": WAY} | options
    with as_users_come(), pytest.raises(UserError, match=named):
        NMN(**arguments)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (lambda: NMNConfig(width=0), "width: got 0"),
        (lambda: NMNConfig(compose="both"), "compose: got 'both'"),
        (lambda: NMNConfig(memory=SoftSlotsConfig(slots=0)), "slots: got 0"),
        (lambda: NMNConfig(memory=KeyValueSlotsConfig(initial="no")), "initial: got 'no'"),
    ],
)
def test_a_configuration_refuses_what_does_not_exist(config: Callable[[], NMNConfig], named: str) -> None:
    with as_users_come(), pytest.raises(UserError, match=named):
        config().build(FEATURES, WAY, key=jax.random.key(0))


@pytest.mark.parametrize("label_input", LABELS)
def test_without_a_label_input_the_label_is_ignored(label_input: str) -> None:
    cell, x = nmn("soft", "query", label_input), jnp.arange(1.0, FEATURES + 1)
    states = [cell(cell.init_state(), jnp.concatenate([x, label]))[0] for label in jnp.eye(WAY)]
    assert eqx.tree_equal(*states) == (label_input == "none")


def test_an_input_of_the_wrong_size_is_not_cut_to_fit() -> None:
    cell = nmn("soft", "query", "none")
    for size in (FEATURES, FEATURES + WAY + 1):
        with pytest.raises(UserError, match=f"x: got {size}, expected {FEATURES} features and {WAY} of a label"):
            cell(cell.init_state(), jnp.ones(size))


def test_the_state_has_room_for_every_slot() -> None:
    state = nmn("key-value").init_state()
    assert state.memory.keys.shape == state.memory.values.shape == (SLOTS, WIDTH)
    assert state.memory.usage.shape == (SLOTS,)
