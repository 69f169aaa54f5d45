import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import WAY, WIDTH, as_users_come
from tests.reference import synthetic as twin
from tests.reference.nmn import CONTROLLERS
from tests.synthetic.tiny import by_place, predicted_twin, predictor_twin, predictors

from fastslow._checks import UserError
from fastslow.cells.context import ContextAndQueries
from fastslow.cells.nmn import Controllers
from fastslow.synthetic.predictors import SyntheticGradients, detached, regression_loss

pytestmark = pytest.mark.usefixtures("double")

TRUNK, BRANCHES = 4, 3


def rows(seed: int = 0) -> ContextAndQueries:
    rng = np.random.default_rng(seed)
    per = lambda steps: Controllers(*(jnp.asarray(rng.normal(size=(steps, WIDTH))) for _ in CONTROLLERS))
    return ContextAndQueries(per(TRUNK), per(BRANCHES))


LABELS = np.eye(WAY)[np.arange(TRUNK + BRANCHES) % WAY]


def labels() -> ContextAndQueries:
    return ContextAndQueries(jnp.asarray(LABELS[:TRUNK]), jnp.asarray(LABELS[TRUNK:]))


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_predictions_are_the_twins(kind: str) -> None:
    """Equation 9: each controller by a predictor of its own, on its outputs and the true labels."""
    synthetic = predictors(kind)
    got = by_place(eqx.filter_jit(synthetic)(rows(), labels()))
    twins = {name: predictor_twin(getattr(synthetic.predictors, name)) for name in CONTROLLERS}
    expected = predicted_twin(twins, by_place(rows()), labels())
    assert got.keys() == expected.keys()
    for place in expected:
        np.testing.assert_allclose(got[place], expected[place], rtol=1e-9, err_msg=str(place))


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_a_fresh_predictor_says_almost_nothing(kind: str) -> None:
    fresh = SyntheticGradients(WIDTH, WAY, kind=kind, hidden=50, scale=0.0, key=jax.random.key(0))
    assert all((g == 0).all() for g in jax.tree.leaves(fresh(rows(), labels())))
    loud = SyntheticGradients(WIDTH, WAY, kind=kind, hidden=50, scale=1.0, key=jax.random.key(0))
    usual = SyntheticGradients(WIDTH, WAY, kind=kind, hidden=50, key=jax.random.key(0))
    for large, small in zip(*(jax.tree.leaves(s(rows(), labels())) for s in (loud, usual)), strict=True):
        np.testing.assert_allclose(small, 0.1 * large, rtol=1e-9)


def test_equation_11() -> None:
    predicted, true = rows(1), rows(2)
    np.testing.assert_allclose(
        regression_loss(predicted, true), twin.regression_loss(by_place(predicted), by_place(true)), rtol=1e-12
    )
    assert regression_loss(true, true) == 0


def test_equation_11_moves_the_prediction_and_never_the_target() -> None:
    predicted, true = rows(1), rows(2)
    towards, target = jax.jit(jax.grad(regression_loss, (0, 1)))(predicted, true)
    assert all((g == 0).all() for g in jax.tree.leaves(target))
    steps = TRUNK + BRANCHES
    for g, p, t in zip(*(jax.tree.leaves(tree) for tree in (towards, predicted, true)), strict=True):
        np.testing.assert_allclose(g, 2 * (p - t) / steps, rtol=1e-12)


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_detached_says_the_same_and_takes_no_gradient(kind: str) -> None:
    synthetic = predictors(kind)
    total = lambda s: sum(jnp.sum(g) for g in jax.tree.leaves(s(rows(), labels())))
    assert total(detached(synthetic)) == total(synthetic)
    open_, closed = (eqx.filter_grad(f)(synthetic) for f in (total, lambda s: total(detached(s))))
    assert all((g == 0).all() for g in jax.tree.leaves(closed))
    assert all((g != 0).any() for g in jax.tree.leaves(open_))


def test_an_unknown_kind_is_refused() -> None:
    with as_users_come(), pytest.raises(UserError, match="predictor: got 'gru', wanted one of lstm, mlp"):
        SyntheticGradients(WIDTH, WAY, kind="gru", key=jax.random.key(0))
