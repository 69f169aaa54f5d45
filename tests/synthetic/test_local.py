import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.tiny import head, lstm_rows, network_twin, nmn, shots, twin_walk
from tests.reference.nmn import CONTROLLERS
from tests.reference.numeric import numeric_gradient
from tests.reference.synthetic import weighed_outputs
from tests.synthetic.tiny import CELLS, by_place, predictors

from fastslow.cells.context import ContextAndQueries, only_queries, walk
from fastslow.synthetic.local import local_gradients
from fastslow.synthetic.perturbations import traced_walk

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES = 4, 2
PARTS = ("context", "queries")


def taught(row: tuple[str, str, str], kind: str, apart: bool = False):
    """A cell, its inputs, its record, and what predictors say of it."""
    cell = nmn(*row)
    inputs, labels = shots(SUPPORT, QUERIES)
    if apart:
        inputs, labels = only_queries(inputs.context), only_queries(labels.context)
    _, record = eqx.filter_jit(traced_walk)(cell, cell.init_state(), inputs)
    synthetic = eqx.filter_jit(predictors(kind))(
        ContextAndQueries(record.context.outputs, record.queries.outputs), labels
    )
    return cell, inputs, record, synthetic


@pytest.mark.parametrize("apart", [False, True], ids=["stream", "apart"])
@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_the_fast_path_is_the_sum_of_equation_10(row: tuple[str, str, str], apart: bool) -> None:
    """Against finite differences of `Σ_t SG_t · c_t` on the twin, the inputs of each controller held fixed."""
    cell, inputs, record, synthetic = taught(row, "lstm", apart)
    net, told = network_twin(cell, head()), by_place(synthetic)
    seen = twin_walk(net, inputs)
    got = eqx.filter_jit(local_gradients)(cell.controllers, record, synthetic)
    for name in CONTROLLERS:
        given = {
            part: [x for (n, p, _), x in seen.given.items() if (n, p) == (name, part)]
            for part in ("context", "queries")
        }
        weigh = {place[1:]: g for place, g in told.items() if place[0] == name}
        weights = net.controllers[name]
        total = lambda w=weights, g=given, s=weigh: weighed_outputs(w, g["context"], g["queries"], s)
        expected = lstm_rows([numeric_gradient(total, array) for array in weights.arrays()])
        of = getattr(got, name)
        for ours, theirs in zip((of.input_weight, of.hidden_weight, of.bias), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)
            assert (theirs != 0).any() or (apart and theirs is expected[1])


def test_the_fast_path_is_a_contraction_with_the_jacobian() -> None:
    cell, _, record, synthetic = taught(("key-value", "query", "write"), "mlp")
    got = eqx.filter_jit(local_gradients)(cell.controllers, record, synthetic)
    for name in CONTROLLERS:
        controller = getattr(cell.controllers, name)
        given = ContextAndQueries(*(getattr(part.inputs, name) for part in (record.context, record.queries)))
        outputs = lambda weights, given=given: walk(weights, weights.init_state(), given)[1]
        jacobian = jax.jit(jax.jacrev(outputs))(controller)
        told = ContextAndQueries(*(getattr(part, name) for part in (synthetic.context, synthetic.queries)))
        contracted = [
            sum(
                np.tensordot(getattr(told, part), getattr(getattr(jacobian, part), field), 2)
                for part in ("context", "queries")
            )
            for field in ("input_weight", "hidden_weight", "bias")
        ]
        of = getattr(got, name)
        for ours, theirs in zip((of.input_weight, of.hidden_weight, of.bias), contracted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13)


def test_each_controller_hears_its_own_predictor_alone() -> None:
    cell, _, record, synthetic = taught(CELLS[0], "mlp")
    silent = jax.tree.map(jnp.zeros_like, synthetic)
    for name in CONTROLLERS:
        parts = lambda s, n=name: [getattr(s.context, n), getattr(s.queries, n)]
        one = eqx.tree_at(parts, silent, parts(synthetic))
        got = eqx.filter_jit(local_gradients)(cell.controllers, record, one)
        for other in CONTROLLERS:
            moved = any(bool((g != 0).any()) for g in jax.tree.leaves(getattr(got, other)))
            assert moved == (other == name)


def test_an_outer_loop_can_differentiate_the_fast_path() -> None:
    """In the controllers, what they were given, and what was said of them."""
    cell, _, record, synthetic = taught(CELLS[0], "mlp")

    def size(controllers, synthetic, pushed):
        after = eqx.tree_at(lambda r: r.context.inputs.output, record, record.context.inputs.output + pushed)
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(local_gradients(controllers, after, synthetic)))

    pushed = jnp.zeros_like(record.context.inputs.output)
    check_grads(jax.jit(size), (cell.controllers, synthetic, pushed), order=1, modes=["rev"])
