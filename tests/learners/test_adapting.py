import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fastslow.learners.adapting import Fitted, fit_support, initial_rates, read_queries
from fastslow.learners.regimes import AdaptConfig, FeedbackConfig
from fastslow.models.heads import cross_entropy
from tests.learners.tiny import FEATURES, WAY, WIDTH, network

from fastslow.cells.base import unroll
from fastslow.synthetic.predictors import SyntheticGradients

pytestmark = pytest.mark.usefixtures("double")

QUERIES = 4
BIND = AdaptConfig(protocol="bind", query_memory="post-support")
TRUE = FeedbackConfig(regime="true")
# the paths that differ in code; predictors without kinks, for finite differences
TAUGHT = {
    "both-through": FeedbackConfig(regime="both", reach="through", predictor="lstm", regression=1.0),
    "synthetic-local": FeedbackConfig(regime="synthetic", predictor="lstm", regression=1.0),
    "meta": FeedbackConfig(regime="meta", predictor="lstm"),
}


def rows(seed: int, count: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, FEATURES)))


def labels() -> jax.Array:
    return jnp.eye(WAY)


def synthetic(path: FeedbackConfig) -> SyntheticGradients:
    return SyntheticGradients(WIDTH, WAY, kind=path.predictor, hidden=6, scale=1.0, key=jax.random.key(4))


@eqx.filter_jit
def fit(net, said, rates, adapt: AdaptConfig, path: FeedbackConfig, features: jax.Array) -> Fitted:
    return fit_support(net, said, rates, features, labels(), adapt, path)


READ = eqx.filter_jit(read_queries)


@pytest.mark.parametrize("memory", ["soft", "key-value"])
def test_bind_changes_the_memory_and_no_weight(memory: str) -> None:
    net = network("write", memory, key=jax.random.key(0))
    fitted = fit(net, None, None, BIND, TRUE, rows(1, WAY))
    assert eqx.tree_equal(fitted.network, net)
    shown = jnp.concatenate([rows(1, WAY), labels()], axis=1)
    streamed, _ = unroll(net.cell, net.cell.init_state(), shown)
    assert eqx.tree_equal(fitted.state, streamed, rtol=1e-10, atol=1e-12)
    assert (fitted.state.memory.values != net.cell.init_state().memory.values).any()


def test_queries_are_read_apart_and_change_nothing() -> None:
    net = network("write", "key-value", key=jax.random.key(0))
    fitted = fit(net, None, None, BIND, TRUE, rows(1, WAY))
    queries, order = rows(2, QUERIES), jnp.asarray([2, 0, 3, 1])
    together = READ(fitted, queries)
    np.testing.assert_allclose(READ(fitted, queries[order]), together[order], rtol=1e-12)
    np.testing.assert_allclose(READ(fitted, queries[2:3]), together[2:3], rtol=1e-12)
    np.testing.assert_allclose(READ(fitted, queries), together, rtol=0)
    # by hand: one step from the state after the support set, no label shown
    shown = jnp.concatenate([queries[0], jnp.zeros(WAY)])
    np.testing.assert_allclose(net.head(net.cell(fitted.state, shown)[1]), together[0], rtol=1e-10)


@pytest.mark.parametrize("taught", TAUGHT)
def test_fast_steps_of_no_length_are_no_adaptation(taught: str) -> None:
    net, path = network(key=jax.random.key(1)), TAUGHT[taught]
    adapt = AdaptConfig(steps=2, rate=0.0)
    fitted = fit(net, synthetic(path), initial_rates(net, adapt), adapt, path, rows(1, WAY))
    assert eqx.tree_equal(fitted.network, net)
    assert eqx.tree_equal(fitted.state, net.cell.init_state())


@pytest.mark.parametrize("order", ["independent", "stream"])
def test_fast_steps_by_hand(order: str) -> None:
    """Regime true: plain gradient descent on the support loss, each tensor and step at a rate of its own."""
    net, adapt = network(key=jax.random.key(1)), AdaptConfig(steps=2, rate=0.3, support_order=order)
    rates = initial_rates(net, adapt)
    leaves, shape = jax.tree.flatten(rates)
    assert all(r.shape == (2,) and (r == 0.3).all() for r in leaves)
    rates = jax.tree.unflatten(shape, [r * jnp.asarray([1 + 0.1 * i, 2 - 0.1 * i]) for i, r in enumerate(leaves)])
    features = rows(1, WAY)

    def loss(fast) -> jax.Array:
        cell = eqx.tree_at(lambda c: c.controllers, net.cell, fast.controllers)
        state, logits = cell.init_state(), []
        for x in features:
            after, m = cell(state, x)
            state = after if order == "stream" else state
            logits.append(fast.head(m))
        return cross_entropy(jnp.stack(logits), labels())

    fast = net.fast()
    for step in range(2):
        gradient = jax.jit(jax.grad(loss))(fast)
        fast = jax.tree.map(lambda w, g, r, step=step: w - r[step] * g, fast, gradient, rates)
    fitted = fit(net, None, rates, adapt, TRUE, features)
    assert eqx.tree_equal(fitted.network.fast(), fast, rtol=1e-9, atol=1e-12)
    assert eqx.tree_equal(fitted.network.embed, net.embed)
    assert eqx.tree_equal(fitted.network.cell.memory, net.cell.memory)


@pytest.mark.parametrize("taught", TAUGHT)
def test_a_support_set_shown_twice_over_makes_the_same_fast_steps(taught: str) -> None:
    """Each item apart, the fast step is a mean over items: other numbers of shots do not change its size."""
    net, path = network(key=jax.random.key(1)), TAUGHT[taught]
    adapt = AdaptConfig(steps=2, rate=0.3)
    rates, features = initial_rates(net, adapt), rows(1, WAY)
    once = fit(net, synthetic(path), rates, adapt, path, features)
    twice = fit_support(
        net, synthetic(path), rates, jnp.tile(features, (2, 1)), jnp.tile(labels(), (2, 1)), adapt, path
    )
    assert not eqx.tree_equal(once.network.fast(), net.fast())
    assert eqx.tree_equal(twice.network.fast(), once.network.fast(), rtol=1e-9, atol=1e-12)


def test_queries_are_read_from_the_memory_that_was_chosen() -> None:
    net = network(key=jax.random.key(1))
    for kind in ("initial", "post-support"):
        adapt = AdaptConfig(steps=1, rate=0.3, query_memory=kind)
        fitted = fit(net, None, initial_rates(net, adapt), adapt, TRUE, rows(1, WAY))
        cell = fitted.network.cell
        streamed, _ = unroll(cell, cell.init_state(), rows(1, WAY))
        expected = cell.init_state() if kind == "initial" else streamed
        assert eqx.tree_equal(fitted.state, expected, rtol=1e-10, atol=1e-12)


def outer(parts: tuple, adapt: AdaptConfig, path: FeedbackConfig) -> jax.Array:
    """The query loss, as a function of all that an outer loop may learn."""
    net, said, rates, features, queries = parts
    fitted = fit_support(net, said, rates, features, labels(), adapt, path)
    return cross_entropy(read_queries(fitted, queries), jnp.eye(WAY)[jnp.arange(QUERIES) % WAY])


@pytest.mark.parametrize("taught", TAUGHT)
def test_gradients_through_the_fast_steps_are_finite_differences(taught: str) -> None:
    """Second order: weights, first memory, rates, features; the query loss reaches predictors in regime meta alone."""
    path = TAUGHT[taught]
    adapt = AdaptConfig(steps=2, rate=0.3, support_order="stream", query_memory="post-support")
    net, said = network(key=jax.random.key(1)), synthetic(path)
    parts = net, said, initial_rates(net, adapt), rows(1, WAY), rows(2, QUERIES)
    loss = jax.jit(lambda parts: outer(parts, adapt, path))
    gradient = jax.jit(jax.grad(lambda parts: outer(parts, adapt, path)))(parts)

    reached = [bool((g != 0).any()) for g in jax.tree.leaves(gradient[1])]
    assert all(reached) if path.regime == "meta" else not any(reached)
    assert all((g != 0).any() for g in jax.tree.leaves((gradient[0].cell, gradient[0].head, gradient[2:])))

    rng = np.random.default_rng(0)
    leaves, shape = jax.tree.flatten(parts)
    closed = {id(leaf) for leaf in jax.tree.leaves(() if path.regime == "meta" else said)}
    for i, (leaf, g) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        if id(leaf) in closed:
            continue
        way = rng.normal(size=leaf.shape)
        moved = lambda step, i=i, way=way: jax.tree.unflatten(
            shape, [x + step * way if i == j else x for j, x in enumerate(leaves)]
        )
        expected = (loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5
        np.testing.assert_allclose(np.sum(g * way), expected, rtol=1e-5, atol=1e-9)
