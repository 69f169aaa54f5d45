import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.reference.mann import FeedForwardWeights, feedforward_step

from fastslow._checks import UserError
from fastslow.cells.feedforward import FeedForward
from fastslow.cells.unroll import unroll

pytestmark = pytest.mark.usefixtures("double")

IN, HIDDEN, STEPS = 3, 5, 4


def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(STEPS, IN))


def biased() -> FeedForward:
    cell = FeedForward(IN, HIDDEN, key=jax.random.key(0))
    return eqx.tree_at(lambda c: c.bias, cell, jnp.linspace(-1.0, 1.0, HIDDEN))


def test_steps_are_the_twin() -> None:
    cell = biased()
    twin = FeedForwardWeights(np.array(cell.input_weight), np.array(cell.bias))
    _, outputs = unroll(cell, cell.init_state(), jnp.asarray(inputs()))
    for x, y in zip(inputs(), outputs, strict=True):
        np.testing.assert_allclose(y, feedforward_step(twin, x), rtol=1e-12)


def test_gradients_are_finite_differences() -> None:
    loss = lambda cell, x: jnp.sum(cell(cell.init_state(), x)[1] ** 2 * jnp.arange(1.0, HIDDEN + 1))
    check_grads(jax.jit(loss), (biased(), jnp.asarray(inputs()[0])), order=1, modes=["rev"])


def test_an_output_knows_nothing_of_the_inputs_before() -> None:
    cell, xs = biased(), jnp.asarray(inputs())
    assert jax.tree.leaves(cell.init_state()) == []
    _, ys = unroll(cell, cell.init_state(), xs)
    _, turned = unroll(cell, cell.init_state(), xs[::-1])
    np.testing.assert_allclose(ys, turned[::-1], rtol=1e-12)


def test_far_inputs_give_plus_and_minus_one() -> None:
    cell = eqx.tree_at(lambda c: c.input_weight, biased(), jnp.ones((HIDDEN, IN)))
    for sign in (1.0, -1.0):
        assert (cell(cell.init_state(), jnp.full(IN, sign * 1e3))[1] == sign).all()


def test_weights_lie_within_their_bounds_and_biases_start_at_zero() -> None:
    cell = FeedForward(IN, 100, key=jax.random.key(1))
    assert cell.out_size == 100
    assert (cell.bias == 0).all()
    # of three hundred uniform draws the largest is near the bound
    assert 0.95 * IN**-0.5 < jnp.max(jnp.abs(cell.input_weight)) <= IN**-0.5
    assert (FeedForward(IN, 100, key=jax.random.key(2)).input_weight != cell.input_weight).all()


@pytest.mark.parametrize(("sizes", "named"), [((0, 3), "in_size"), ((3, 0), "hidden_size")])
def test_sizes_below_one_are_refused(sizes: tuple[int, int], named: str) -> None:
    with pytest.raises(UserError, match=f"{named}: got 0, expected a number above 0"):
        FeedForward(*sizes, key=jax.random.key(0))
