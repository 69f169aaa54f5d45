"""Inner steps of a network with controllers: by hand, in what they read, and through them to the outer loop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.tiny import FEATURES, SPEC, WAY, network
from tests.reference.numeric import ERROR
from tests.reference.rounding import rounding

from fastslow.learners.adapted import (
    AdaptedModel,
    Parameters,
    adapt_inner,
    fast_weights,
    read_queries,
    with_fast_weights,
)
from fastslow.learners.inner_loop import inner_rates
from fastslow.models.network import Network
from fastslow.synthetic.predictors import SyntheticGradients
from fastslow.synthetic.regimes import FeedbackConfig

pytestmark = pytest.mark.usefixtures("double")

QUERIES, STEPS = 4, 2
TRUE = FeedbackConfig(regime="true")
# the paths that differ in code; predictors without kinks, for finite differences
TAUGHT = {
    "both-through": FeedbackConfig(regime="both", reach="through", predictor="lstm", regression=1.0),
    "synthetic-local": FeedbackConfig(regime="synthetic", predictor="lstm", regression=1.0),
    "meta": FeedbackConfig(regime="meta", predictor="lstm"),
}
ROUNDING = rounding(3000, precision=np.float64)
"""Two inner steps over three items, each three controllers of up to ten products a unit, there and back."""


def rows(seed: int, count: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, FEATURES)))


def labels() -> jax.Array:
    return jnp.eye(WAY)


def parameters(path: FeedbackConfig = TRUE, rate: float = 0.3, steps: int = STEPS) -> Parameters:
    net, predictors = network(key=jax.random.key(1)), None
    if path.predicts:
        given = {"kind": path.predictor, "hidden": 6, "scale": 1.0, "key": jax.random.key(4)}
        predictors = SyntheticGradients(net.cell.controllers, WAY, **given)
    return Parameters(net, predictors, inner_rates(fast_weights(net), steps, rate))


@eqx.filter_jit
def fit(
    params: Parameters,
    path: FeedbackConfig,
    features: jax.Array,
    shown: jax.Array,
    order: str = "independent",
    memory: str = "initial",
) -> AdaptedModel:
    return adapt_inner(params, features, shown, path, order, memory)


def mean_nll(outputs: jax.Array, expected: jax.Array) -> jax.Array:
    return jnp.mean(jax.vmap(SPEC.target.nll)(outputs, expected))


def streamed(net: Network, features: jax.Array):
    """The state after the support set, step by step."""
    state = net.cell.init_state()
    for row in net.rows(features, labels()):
        state, _ = net.cell(state, row)
    return state


def test_fast_weights_are_the_controllers_and_the_head() -> None:
    net = network(key=jax.random.key(0))
    fast = fast_weights(net)
    assert eqx.tree_equal((fast.controllers, fast.head), (net.cell.controllers, net.head))
    assert eqx.tree_equal(with_fast_weights(net, fast), net)
    moved = with_fast_weights(net, jax.tree.map(lambda w: w + 1, fast))
    assert eqx.tree_equal(fast_weights(moved), jax.tree.map(lambda w: w + 1, fast))
    assert eqx.tree_equal((moved.embed, moved.cell.memory), (net.embed, net.cell.memory))


@pytest.mark.parametrize("taught", TAUGHT)
def test_inner_steps_of_no_length_are_no_adaptation(taught: str) -> None:
    params = parameters(TAUGHT[taught], rate=0.0)
    adapted = fit(params, TAUGHT[taught], rows(1, WAY), labels())
    assert eqx.tree_equal(adapted.network, params.network)
    assert eqx.tree_equal(adapted.state, params.network.cell.init_state())


@pytest.mark.parametrize("order", ["independent", "stream"])
def test_inner_steps_by_hand(order: str) -> None:
    """Regime true: plain gradient descent on the support loss, each tensor and step at a rate of its own."""
    params, features = parameters(), rows(1, WAY)
    net = params.network
    leaves, shape = jax.tree.flatten(params.rates)
    assert all(r.shape == (STEPS,) and (r == 0.3).all() for r in leaves)
    rates = jax.tree.unflatten(shape, [r * jnp.asarray([1 + 0.1 * i, 2 - 0.1 * i]) for i, r in enumerate(leaves)])

    def loss(fast) -> jax.Array:
        cell = eqx.tree_at(lambda c: c.controllers, net.cell, fast.controllers)
        state, outputs = cell.init_state(), []
        for x in net.rows(features, labels()):
            after, m = cell(state, x)
            state = after if order == "stream" else state
            outputs.append(fast.head(m))
        return mean_nll(jnp.stack(outputs), labels())

    fast, losses = fast_weights(net), []
    for step in range(STEPS):
        value, gradient = jax.jit(jax.value_and_grad(loss))(fast)
        losses.append(value)
        fast = jax.tree.map(lambda w, g, r, step=step: w - r[step] * g, fast, gradient, rates)
    adapted = fit(Parameters(net, None, rates), TRUE, features, labels(), order)
    assert eqx.tree_equal(fast_weights(adapted.network), fast, rtol=ROUNDING, atol=ROUNDING)
    assert eqx.tree_equal(adapted.network.embed, net.embed)
    assert eqx.tree_equal(adapted.network.cell.memory, net.cell.memory)
    np.testing.assert_allclose(adapted.loss, losses[-1], rtol=ROUNDING)
    assert adapted.regression == 0


@pytest.mark.parametrize("taught", TAUGHT)
def test_a_support_set_twice_over_makes_the_same_inner_steps(taught: str) -> None:
    """With independent items an inner step is a mean over items: the number of shots does not change its size."""
    path = TAUGHT[taught]
    params, features = parameters(path), rows(1, WAY)
    once = fit(params, path, features, labels())
    twice = fit(params, path, jnp.tile(features, (2, 1)), jnp.tile(labels(), (2, 1)))
    assert not eqx.tree_equal(fast_weights(once.network), fast_weights(params.network))
    same = fast_weights(twice.network), fast_weights(once.network)
    assert eqx.tree_equal(*same, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("memory", ["initial", "post-support"])
def test_queries_are_read_from_the_memory_that_was_chosen(memory: str) -> None:
    adapted = fit(parameters(), TRUE, rows(1, WAY), labels(), memory=memory)
    net = adapted.network
    expected = net.cell.init_state() if memory == "initial" else streamed(net, rows(1, WAY))
    assert eqx.tree_equal(adapted.state, expected, rtol=ROUNDING, atol=ROUNDING)
    outputs = eqx.filter_jit(read_queries)(adapted, rows(2, QUERIES))
    for row, output in zip(net.rows(rows(2, QUERIES)), outputs, strict=True):
        by_hand = net.head(net.cell(expected, row)[1])
        np.testing.assert_allclose(output, by_hand, rtol=ROUNDING, atol=ROUNDING)


def outer(parts: tuple, path: FeedbackConfig) -> jax.Array:
    """The query loss, as a function of all that an outer loop may learn."""
    params, features, queries = parts
    adapted = adapt_inner(params, features, labels(), path, "stream", "post-support")
    return mean_nll(read_queries(adapted, queries), jnp.eye(WAY)[jnp.arange(QUERIES) % WAY])


@pytest.mark.parametrize("taught", TAUGHT)
def test_gradients_through_the_inner_steps_are_finite_differences(taught: str) -> None:
    """Second order: weights, first memory, rates, features; the query loss reaches predictors in regime meta alone."""
    path = TAUGHT[taught]
    parts = parameters(path), rows(1, WAY), rows(2, QUERIES)
    loss = jax.jit(lambda parts: outer(parts, path))
    gradient = jax.jit(jax.grad(lambda parts: outer(parts, path)))(parts)

    params = gradient[0]
    reached = [bool((g != 0).any()) for g in jax.tree.leaves(params.predictors)]
    assert all(reached) if path.regime == "meta" else not any(reached)
    trained = (params.network.cell, params.network.head, params.rates, gradient[1:])
    assert all((g != 0).any() for g in jax.tree.leaves(trained))

    rng = np.random.default_rng(0)
    leaves, shape = jax.tree.flatten(parts)
    # in the other regimes predictors are constants for the outer loop, though the loss depends on them
    constant = {id(leaf) for leaf in jax.tree.leaves(() if path.regime == "meta" else parts[0].predictors)}
    step = 1e-5
    for i, (leaf, g) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        if id(leaf) in constant:
            continue
        way = rng.normal(size=leaf.shape)
        way /= np.linalg.norm(way)
        moved = lambda step, i=i, way=way: jax.tree.unflatten(
            shape, [x + step * way if i == j else x for j, x in enumerate(leaves)]
        )
        expected = (loss(moved(step)) - loss(moved(-step))) / (2 * step)
        # along a way of length 1; rounding of the loss as for `ERROR`, and third derivatives of up to a hundred
        np.testing.assert_allclose(np.sum(g * way), expected, rtol=0, atol=ERROR + 100 * step**2)
