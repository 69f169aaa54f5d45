import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import WAY, WIDTH, nmn
from tests.reference import synthetic as twin
from tests.reference.nmn import CONTROLLERS
from tests.reference.rounding import rounding
from tests.sentences import refused
from tests.synthetic.tiny import by_place, predicted_twin, predictor_twin, predictors

from fastslow.cells.context import ContextAndQueries
from fastslow.cells.lstm import LSTM
from fastslow.cells.nmn import Controllers
from fastslow.synthetic.predictors import SyntheticGradients, detached, regression_loss

pytestmark = pytest.mark.usefixtures("double")

CONTEXT, QUERIES = 4, 3
ROUNDING = rounding(500, precision=np.float64)
"""Five steps of an LSTM of up to eleven products a unit, and a read-out."""


def rows(seed: int = 0) -> ContextAndQueries:
    rng = np.random.default_rng(seed)
    per = lambda steps: Controllers(*(jnp.asarray(rng.normal(size=(steps, WIDTH))) for _ in CONTROLLERS))
    return ContextAndQueries(per(CONTEXT), per(QUERIES))


LABELS = np.eye(WAY)[np.arange(CONTEXT + QUERIES) % WAY]


def labels() -> ContextAndQueries:
    return ContextAndQueries(jnp.asarray(LABELS[:CONTEXT]), jnp.asarray(LABELS[CONTEXT:]))


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_predictions_are_the_twins(kind: str) -> None:
    """Equation 9: each controller by a predictor of its own, on its outputs and the true labels."""
    synthetic = predictors(kind)
    got = by_place(eqx.filter_jit(synthetic)(rows(), labels()))
    twins = {name: predictor_twin(getattr(synthetic.predictors, name)) for name in CONTROLLERS}
    expected = predicted_twin(twins, by_place(rows()), labels())
    assert got.keys() == expected.keys()
    for place in expected:
        np.testing.assert_allclose(got[place], expected[place], rtol=ROUNDING, atol=ROUNDING, err_msg=str(place))


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_predictions_of_a_fresh_predictor_are_small(kind: str) -> None:
    fresh = SyntheticGradients(nmn().controllers, WAY, kind=kind, hidden=50, scale=0.0, key=jax.random.key(0))
    assert all((g == 0).all() for g in jax.tree.leaves(fresh(rows(), labels())))
    full = SyntheticGradients(nmn().controllers, WAY, kind=kind, hidden=50, scale=1.0, key=jax.random.key(0))
    usual = SyntheticGradients(nmn().controllers, WAY, kind=kind, hidden=50, key=jax.random.key(0))
    for large, small in zip(*(jax.tree.leaves(s(rows(), labels())) for s in (full, usual)), strict=True):
        np.testing.assert_allclose(small, 0.1 * large, rtol=ROUNDING, atol=ROUNDING)


def test_equation_11() -> None:
    predicted, true = rows(1), rows(2)
    np.testing.assert_allclose(
        regression_loss(predicted, true), twin.regression_loss(by_place(predicted), by_place(true)), rtol=ROUNDING
    )
    assert regression_loss(true, true) == 0


def test_equation_11_moves_the_prediction_and_never_the_target() -> None:
    predicted, true = rows(1), rows(2)
    towards, target = jax.jit(jax.grad(regression_loss, (0, 1)))(predicted, true)
    assert all((g == 0).all() for g in jax.tree.leaves(target))
    steps = CONTEXT + QUERIES
    for g, p, t in zip(*(jax.tree.leaves(tree) for tree in (towards, predicted, true)), strict=True):
        np.testing.assert_allclose(g, 2 * (p - t) / steps, rtol=ROUNDING)


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_detached_predicts_the_same_and_takes_no_gradient(kind: str) -> None:
    synthetic = predictors(kind)
    total = lambda s: sum(jnp.sum(g) for g in jax.tree.leaves(s(rows(), labels())))
    assert total(detached(synthetic)) == total(synthetic)
    open_, closed = (eqx.filter_grad(f)(synthetic) for f in (total, lambda s: total(detached(s))))
    assert all((g == 0).all() for g in jax.tree.leaves(closed))
    assert all((g != 0).any() for g in jax.tree.leaves(open_))


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_widths_are_those_of_the_controllers(kind: str) -> None:
    """Each predictor reads its controller's output and the label, and predicts as many numbers as the output has."""
    sizes = [2, 3, 5]
    keys = jax.random.split(jax.random.key(0), 3)
    controllers = Controllers(*(LSTM(4, size, key=key) for size, key in zip(sizes, keys, strict=True)))
    synthetic = SyntheticGradients(controllers, WAY, kind=kind, hidden=7, key=jax.random.key(0))
    for name, size in zip(CONTROLLERS, sizes, strict=True):
        predictor = getattr(synthetic.predictors, name)
        entry = predictor.hidden.weight if kind == "mlp" else predictor.recurrence.input_weight
        assert entry.shape == (7 if kind == "mlp" else 28, size + WAY)
        assert predictor.readout.weight.shape == (size, 7)
    rows = ContextAndQueries(*(Controllers(*(jnp.ones((steps, size)) for size in sizes)) for steps in (2, 1)))
    asked = ContextAndQueries(jnp.ones((2, WAY)), jnp.ones((1, WAY)))
    assert jax.tree.map(jnp.shape, synthetic(rows, asked)) == jax.tree.map(jnp.shape, rows)


def test_an_unknown_kind_is_refused() -> None:
    with refused("predictor: got 'gru', expected one of lstm, mlp"):
        SyntheticGradients(nmn().controllers, WAY, kind="gru", key=jax.random.key(0))
