"""Inner steps: by hand, unrolled or not, and differentiable by all that an outer loop may learn."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.reference.rounding import rounding

from fastslow.learners.inner_loop import inner_loop, inner_rates

pytestmark = pytest.mark.usefixtures("double")

STEPS, ROUNDING = 3, rounding(100, precision=np.float64)


class Params(eqx.Module):
    """What is trained, and what is not."""

    weight: jax.Array
    bias: jax.Array
    count: jax.Array
    name: str = eqx.field(static=True)


def params() -> Params:
    rng = np.random.default_rng(0)
    return Params(jnp.asarray(rng.normal(size=(2, 3))), jnp.asarray(rng.normal(size=2)), jnp.arange(3), "toy")


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(5, 3)), rng.normal(size=(5, 2))


def rates() -> Params:
    """One for each tensor and step, all different."""
    plain = inner_rates(params(), STEPS, 0.1)
    factors = iter((1 + np.arange(2 * STEPS) / 4).reshape(2, STEPS))
    return jax.tree.map(lambda rate: rate * next(factors), plain)


def loss(now: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean((x @ now.weight.T + now.bias[None] - y) ** 2)


def gradient(x: jax.Array, y: jax.Array, now: Params):
    value, slope = eqx.filter_value_and_grad(loss)(now, x, y)
    return slope, {"loss": value, "bias": now.bias}


def run(start: Params, learning: Params, x: jax.Array, y: jax.Array, *, unroll: bool = False):
    return inner_loop(partial(gradient, x, y), start, learning, unroll=unroll)


RUN = eqx.filter_jit(run)


def by_hand() -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Gradient descent on the mean squared error, in NumPy."""
    (x, y), now, learning = data(), params(), rates()
    weight, bias, seen = np.array(now.weight), np.array(now.bias), []
    for step in range(STEPS):
        away = x @ weight.T + bias - y
        seen.append({"loss": (away**2).mean(), "bias": bias.copy()})
        slope = 2 * away / away.size
        weight = weight - float(learning.weight[step]) * slope.T @ x
        bias = bias - float(learning.bias[step]) * slope.sum(axis=0)
    return weight, bias, seen


@pytest.mark.parametrize("unroll", [False, True])
def test_inner_steps_by_hand(unroll: bool) -> None:
    after, seen = RUN(params(), rates(), *map(jnp.asarray, data()), unroll=unroll)
    weight, bias, expected = by_hand()
    np.testing.assert_allclose(after.weight, weight, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(after.bias, bias, rtol=0, atol=ROUNDING)
    # what each step gives beside the gradient is of the parameters before it
    for name in ("loss", "bias"):
        np.testing.assert_allclose(seen[name], np.stack([step[name] for step in expected]), rtol=0, atol=ROUNDING)
    assert seen["loss"][-1] < seen["loss"][0]


def test_what_is_not_trained_stays() -> None:
    after, _ = RUN(params(), rates(), *map(jnp.asarray, data()))
    np.testing.assert_array_equal(after.count, params().count)
    assert after.name == "toy"


def test_rates_are_one_for_each_tensor_and_step() -> None:
    plain = inner_rates(params(), STEPS, 0.1)
    assert plain.count is None
    for rate in (plain.weight, plain.bias):
        np.testing.assert_array_equal(rate, np.full(STEPS, 0.1))
    still, _ = RUN(params(), inner_rates(params(), STEPS, 0.0), *map(jnp.asarray, data()))
    assert eqx.tree_equal(still, params())


@pytest.mark.parametrize("unroll", [False, True])
def test_gradients_through_inner_steps_are_finite_differences(unroll: bool) -> None:
    """In the first parameters, the rates and the data."""
    x, y = map(jnp.asarray, data())

    def outer(weight, bias, learning, x, y):
        start = eqx.tree_at(lambda p: (p.weight, p.bias), params(), (weight, bias))
        return loss(run(start, learning, x, y, unroll=unroll)[0], x[::-1], y)

    check_grads(jax.jit(outer), (params().weight, params().bias, rates(), x, y), order=1, modes=["rev"])


def test_the_second_order_is_in_the_gradient() -> None:
    """One step on `a w² / 2` at a rate of r leaves `(1 − r a) w`: its derivative is `1 − r a`, and not 1."""
    curved = lambda a, w: (a * w, None)
    for rate in (0.3, 0.5):
        after = lambda w, rate=rate: inner_loop(partial(curved, 2.0), w, jnp.full(1, rate))[0]
        np.testing.assert_allclose(jax.grad(after)(jnp.asarray(1.7)), 1 - 2 * rate, rtol=0, atol=ROUNDING)
