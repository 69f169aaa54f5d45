import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fastslow.models.heads import cross_entropy
from tests.cells.tiny import WIDTH, head, nmn, shots
from tests.synthetic.paths import probes
from tests.synthetic.tiny import CELLS, by_place, lesson_twin

from fastslow.cells.context import ContextAndQueries, only_context, only_queries
from fastslow.synthetic.perturbations import traced_walk, zero_perturbations

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES = 4, 2


def probed(cell, decoder, inputs: ContextAndQueries, labels: ContextAndQueries, scored: str) -> ContextAndQueries:
    """The gradient by zeros added to every output."""

    def loss(taps):
        _, record = traced_walk(cell, cell.init_state(), inputs, taps)
        logits = jax.vmap(decoder)(getattr(record, scored).outputs.output)
        return cross_entropy(logits, getattr(labels, scored))

    return eqx.filter_jit(jax.grad(loss))(zero_perturbations(WIDTH, inputs))


@pytest.mark.parametrize("scored", ["context", "queries"])
@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_probes_are_finite_differences_at_every_output_and_step(row: tuple[str, str, str], scored: str) -> None:
    cell, decoder = nmn(*row), head()
    inputs, labels = shots(SUPPORT, QUERIES)
    got = by_place(probed(cell, decoder, inputs, labels, scored))
    expected = probes(lesson_twin(cell, decoder, inputs, labels, scored))
    assert got.keys() == expected.keys()
    for place in expected:
        np.testing.assert_allclose(got[place], expected[place], rtol=1e-5, atol=1e-9, err_msg=str(place))
    # each controller matters somewhere, or nothing was checked
    for name in ("input", "output", "write"):
        assert any(np.abs(g).max() > 1e-4 for place, g in expected.items() if place[0] == name)


def test_probes_are_the_gradient_of_the_equations_written_out() -> None:
    """Soft overwrite, one context: eq. 2–8 in a plain loop whose outputs are variables."""
    cell, decoder = nmn("soft", "query", "none"), head()
    inputs, labels = (only_context(part.context) for part in shots(SUPPORT, QUERIES))

    def loss(pushes):
        memory, states = cell.memory.initial, cell.init_state().controllers
        read, out, write = states.input, states.output, states.write
        logits = []
        for t in range(SUPPORT):
            read, q = cell.controllers.input(read, inputs.context[t])
            q = q + pushes[0][t]
            z = jnp.exp(memory @ q) / jnp.sum(jnp.exp(memory @ q))
            out, m = cell.controllers.output(out, jnp.concatenate([z @ memory, q]))
            m = m + pushes[1][t]
            write, update = cell.controllers.write(write, m)
            update = update + pushes[2][t]
            ones = jnp.ones_like(memory)
            memory = memory * (ones - jnp.outer(z, jnp.ones(WIDTH))) + jnp.outer(z, jnp.ones(WIDTH)) * update[None, :]
            logits.append(decoder(m))
        chosen = jax.nn.log_softmax(jnp.stack(logits)) * labels.context
        return -jnp.sum(chosen) / SUPPORT

    expected = jax.jit(jax.grad(loss))(jnp.zeros((3, SUPPORT, WIDTH)))
    got = probed(cell, decoder, inputs, labels, "context").context
    for rows, by_hand in zip((got.input, got.output, got.write), expected, strict=True):
        np.testing.assert_allclose(rows, by_hand, rtol=1e-9, atol=1e-13)


def test_zero_taps_change_nothing() -> None:
    cell = nmn("key-value", "query", "write")
    inputs, _ = shots(SUPPORT, QUERIES)
    plain = eqx.filter_jit(traced_walk)(cell, cell.init_state(), inputs)
    tapped = eqx.filter_jit(traced_walk)(cell, cell.init_state(), inputs, zero_perturbations(WIDTH, inputs))
    assert eqx.tree_equal(plain, tapped, rtol=1e-12, atol=1e-14)


def test_what_a_query_writes_is_never_read() -> None:
    """Queries are queries: a push at their write controller moves no loss, a push at their input does."""
    cell = nmn("key-value", "query", "write")
    inputs, labels = shots(SUPPORT, QUERIES)
    got = probed(cell, head(), inputs, labels, "queries").queries
    assert (got.write == 0).all()
    assert (got.input != 0).any(axis=1).all()


def test_items_shown_apart_have_gradients_apart() -> None:
    """Without a context each item's gradient is what it is alone, divided by their number."""
    cell, decoder = nmn("soft", "query", "none"), head()
    inputs, labels = (only_queries(part.context) for part in shots(SUPPORT, QUERIES))
    together = probed(cell, decoder, inputs, labels, "queries").queries.input
    alone = [only_queries(part.queries[2:3]) for part in (inputs, labels)]
    single = probed(cell, decoder, *alone, "queries").queries.input
    np.testing.assert_allclose(together[2], single[0] / SUPPORT, rtol=1e-10)
