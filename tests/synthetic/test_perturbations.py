"""Zero perturbations at every controller's output, whose gradient is the true one."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import WIDTH, nmn, shots
from tests.reference.numeric import ERROR
from tests.reference.rounding import rounding
from tests.synthetic.paths import true_gradients
from tests.synthetic.tiny import CELLS, by_place, head, segment_of, segment_twin

from fastslow.cells.context import ContextAndQueries, only_context, only_queries
from fastslow.synthetic.feedback import Learnable, objective
from fastslow.synthetic.perturbations import outputs_of, traced_walk, zero_perturbations
from fastslow.synthetic.segment import Segment, with_mask

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES = 4, 2
ROUNDING = rounding(1000, precision=np.float64)
"""Six steps of three controllers of up to ten products a unit, there and back."""


@eqx.filter_jit
def true_at_outputs(cell, decoder, segment: Segment) -> ContextAndQueries:
    """The gradient by zeros added to every output."""

    def loss(perturbations):
        return objective(Learnable(cell, decoder, segment.inputs), perturbations, segment)[0]

    return jax.grad(loss)(zero_perturbations(cell, segment.inputs))


@cache
def walked(row: tuple[str, str, str], perturbed: bool):
    cell, inputs = nmn(*row), shots(SUPPORT, QUERIES)[0]
    zeros = zero_perturbations(cell, inputs) if perturbed else None
    return eqx.filter_jit(traced_walk)(cell, cell.init_state(), inputs, zeros)


@pytest.mark.parametrize("mask", ["context", "queries"])
@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_they_give_finite_differences_at_every_output_and_step(row: tuple[str, str, str], mask: str) -> None:
    cell, decoder, segment = nmn(*row), head(), segment_of(SUPPORT, QUERIES, mask)
    got = by_place(true_at_outputs(cell, decoder, segment))
    expected = true_gradients(segment_twin(cell, decoder, segment))
    assert got.keys() == expected.keys()
    for place in expected:
        np.testing.assert_allclose(got[place], expected[place], rtol=ERROR, atol=ERROR, err_msg=str(place))
    # each controller matters somewhere, or nothing was checked
    for name in ("input", "output", "write"):
        assert any(np.abs(g).max() > 1e-4 for place, g in expected.items() if place[0] == name)


def test_they_give_the_gradient_of_the_equations_written_out() -> None:
    """Soft overwrite, a context alone: eq. 2–8 in a plain loop whose outputs are variables."""
    cell, decoder = nmn("soft", "query", "none"), head()
    inputs, labels = (only_context(part.context) for part in shots(SUPPORT, QUERIES))

    def loss(perturbations):
        memory, states = cell.memory.initial, cell.init_state().controllers
        read, out, write = states.input, states.output, states.write
        logits = []
        for t in range(SUPPORT):
            read, q = cell.controllers.input(read, inputs.context[t, : cell.features])
            q = q + perturbations[0][t]
            z = jnp.exp(memory @ q) / jnp.sum(jnp.exp(memory @ q))
            out, m = cell.controllers.output(out, jnp.concatenate([z @ memory, q]))
            m = m + perturbations[1][t]
            write, update = cell.controllers.write(write, m)
            update = update + perturbations[2][t]
            ones = jnp.ones_like(memory)
            memory = memory * (ones - jnp.outer(z, jnp.ones(WIDTH))) + jnp.outer(z, jnp.ones(WIDTH)) * update[None, :]
            logits.append(decoder(m))
        chosen = jax.nn.log_softmax(jnp.stack(logits)) * labels.context
        return -jnp.sum(chosen) / SUPPORT

    expected = jax.jit(jax.grad(loss))(jnp.zeros((3, SUPPORT, WIDTH)))
    segment = with_mask(inputs, labels, context=True, queries=False)
    got = true_at_outputs(cell, decoder, segment).context
    for rows, by_hand in zip((got.input, got.output, got.write), expected, strict=True):
        np.testing.assert_allclose(rows, by_hand, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_zeros_change_nothing(row: tuple[str, str, str]) -> None:
    assert eqx.tree_equal(walked(row, False), walked(row, True), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("part", ["context", "queries"])
def test_there_is_a_zero_for_each_output_and_step(part: str) -> None:
    """Also where one part has no steps."""
    inputs = shots(SUPPORT, QUERIES)[0].context
    inputs = only_context(inputs) if part == "context" else only_queries(inputs)
    zeros = zero_perturbations(nmn(), inputs)
    steps = {"context": (SUPPORT, 0), "queries": (0, SUPPORT)}[part]
    for leaves, count in ((zeros.context, steps[0]), (zeros.queries, steps[1])):
        assert [leaf.shape for leaf in jax.tree.leaves(leaves)] == [(count, WIDTH)] * 3
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(leaves))


def test_a_trace_holds_what_the_controllers_gave() -> None:
    traces = walked(CELLS[0], False)[1]
    outputs = outputs_of(traces)
    np.testing.assert_array_equal(outputs.context.output, traces.context.y)
    np.testing.assert_array_equal(outputs.queries.write, traces.queries.outputs.write)


def test_the_loss_does_not_depend_on_what_a_query_writes() -> None:
    """A perturbation at its write controller changes no loss, one at its input controller does."""
    got = true_at_outputs(nmn("key-value", "query", "write"), head(), segment_of(SUPPORT, QUERIES)).queries
    assert (got.write == 0).all()
    assert (got.input != 0).any(axis=1).all()


def test_items_without_a_context_have_separate_gradients() -> None:
    """Each item's gradient is what it is alone, divided by their number."""
    cell, decoder = nmn("soft", "query", "none"), head()
    inputs, labels = (only_queries(part.context) for part in shots(SUPPORT, QUERIES))
    together = true_at_outputs(cell, decoder, with_mask(inputs, labels, context=False, queries=True)).queries.input
    alone = [only_queries(part.queries[2:3]) for part in (inputs, labels)]
    single = true_at_outputs(cell, decoder, with_mask(*alone, context=False, queries=True)).queries.input
    np.testing.assert_allclose(together[2], single[0] / SUPPORT, rtol=0, atol=ROUNDING)
