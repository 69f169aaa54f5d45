"""Synthetic gradients that reach their own controllers alone, against the twin and against Jacobians."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.tiny import lstm_rows, network_twin, nmn, shots, twin_walk
from tests.reference.nmn import CONTROLLERS
from tests.reference.numeric import ERROR, numeric_gradient
from tests.reference.rounding import rounding
from tests.reference.synthetic import weighed_outputs
from tests.synthetic.tiny import CELLS, by_place, head, predictors

from fastslow.cells.context import ContextAndQueries, only_queries, walk
from fastslow.synthetic.local import local_gradients
from fastslow.synthetic.perturbations import traced_walk

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES = 4, 2
PARTS = ("context", "queries")
ROUNDING = rounding(1000, precision=np.float64)
"""Six steps of a controller of up to ten products a unit, there and back."""


def taught(row: tuple[str, str, str], kind: str, apart: bool = False):
    """A cell, its inputs, its traces, and what predictors predict of it."""
    cell = nmn(*row)
    inputs, labels = shots(SUPPORT, QUERIES)
    if apart:
        inputs, labels = only_queries(inputs.context), only_queries(labels.context)
    _, traces = eqx.filter_jit(traced_walk)(cell, cell.init_state(), inputs)
    synthetic = eqx.filter_jit(predictors(kind))(
        ContextAndQueries(traces.context.outputs, traces.queries.outputs), labels
    )
    return cell, inputs, traces, synthetic


@pytest.mark.parametrize("apart", [False, True], ids=["stream", "apart"])
@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_local_gradients_are_the_sum_of_equation_10(row: tuple[str, str, str], apart: bool) -> None:
    """Against finite differences of `Σ_t SG_t · c_t` on the twin, the inputs of each controller held fixed."""
    cell, inputs, traces, synthetic = taught(row, "lstm", apart)
    net, predicted = network_twin(cell, head()), by_place(synthetic)
    seen = twin_walk(net, inputs)
    got = eqx.filter_jit(local_gradients)(cell.controllers, traces, synthetic)
    for name in CONTROLLERS:
        given = {part: [x for (n, p, _), x in seen.given.items() if (n, p) == (name, part)] for part in PARTS}
        weigh = {place[1:]: g for place, g in predicted.items() if place[0] == name}
        weights = net.controllers[name]
        total = lambda w=weights, g=given, s=weigh: weighed_outputs(w, g["context"], g["queries"], s)
        expected = lstm_rows([numeric_gradient(total, array) for array in weights.arrays()])
        of = getattr(got, name)
        for ours, theirs in zip((of.input_weight, of.hidden_weight, of.bias), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=ERROR, atol=ERROR)
            assert (theirs != 0).any() or (apart and theirs is expected[1])


def test_local_gradients_are_a_contraction_with_the_jacobian() -> None:
    cell, _, traces, synthetic = taught(("key-value", "query", "write"), "mlp")
    got = eqx.filter_jit(local_gradients)(cell.controllers, traces, synthetic)
    for name in CONTROLLERS:
        controller = getattr(cell.controllers, name)
        given = ContextAndQueries(*(getattr(part.inputs, name) for part in (traces.context, traces.queries)))
        outputs = lambda weights, given=given: walk(weights, weights.init_state(), given)[1]
        jacobian = jax.jit(jax.jacrev(outputs))(controller)
        predicted = ContextAndQueries(*(getattr(part, name) for part in (synthetic.context, synthetic.queries)))
        contracted = [
            sum(np.tensordot(getattr(predicted, part), getattr(getattr(jacobian, part), field), 2) for part in PARTS)
            for field in ("input_weight", "hidden_weight", "bias")
        ]
        of = getattr(got, name)
        for ours, theirs in zip((of.input_weight, of.hidden_weight, of.bias), contracted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING)


def test_each_controller_takes_its_own_predictor_alone() -> None:
    cell, _, traces, synthetic = taught(CELLS[0], "mlp")
    zeros = jax.tree.map(jnp.zeros_like, synthetic)
    for name in CONTROLLERS:
        parts = lambda s, n=name: [getattr(s.context, n), getattr(s.queries, n)]
        one = eqx.tree_at(parts, zeros, parts(synthetic))
        got = eqx.filter_jit(local_gradients)(cell.controllers, traces, one)
        for other in CONTROLLERS:
            moved = any(bool((g != 0).any()) for g in jax.tree.leaves(getattr(got, other)))
            assert moved == (other == name)


def test_an_outer_loop_can_differentiate_local_gradients() -> None:
    """In the controllers, their inputs, and the synthetic gradients."""
    cell, _, traces, synthetic = taught(CELLS[0], "mlp")

    def size(controllers, synthetic, shift):
        after = eqx.tree_at(lambda r: r.context.inputs.output, traces, traces.context.inputs.output + shift)
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(local_gradients(controllers, after, synthetic)))

    shift = jnp.zeros_like(traces.context.inputs.output)
    check_grads(jax.jit(size), (cell.controllers, synthetic, shift), order=1, modes=["rev"])
