"""The paper's optimiser by its equations; Muon has a file of its own."""

import jax.numpy as jnp
import numpy as np

from fastslow.optim.config import OptimiserConfig, build_optimiser


def test_rmsprop_is_manns(double: None) -> None:
    """Decay 0.95, momentum 0.9: `v ← 0.95 v + 0.05 g²`, `m ← 0.9 m + r g / √(v + ε)`, `θ ← θ − m`."""
    rate, params = 1e-4, np.array([1.0, -2.0, 0.5])
    optimiser = build_optimiser(OptimiserConfig("rmsprop", rate, final=1.0, clip=1e9), 10)
    found, v, m = jnp.asarray(params), np.zeros(3), np.zeros(3)
    state = optimiser.init(found)
    for gradient in np.random.default_rng(0).normal(size=(4, 3)):
        updates, state = optimiser.update(jnp.asarray(gradient), state, found)
        found = found + updates
        v = 0.95 * v + 0.05 * gradient**2
        m = 0.9 * m + rate * gradient / np.sqrt(v + 1e-8)
        params = params - m
        np.testing.assert_allclose(found, params, rtol=1e-9)


def test_the_preset_as_printed_has_it() -> None:
    from fastslow.configs.presets import find_preset

    chosen = find_preset("paper-omniglot-stream").config.optimiser
    assert (chosen.method, chosen.learning_rate) == ("rmsprop", 1e-4)


def test_a_long_gradient_is_cut(double: None) -> None:
    """One of norm 50 is scaled to 10; after one of norm 5, which is left as it is, RMSProp's second step shows it."""
    optimiser = build_optimiser(OptimiserConfig("rmsprop", 1.0, final=1.0, clip=10.0), 4)
    params = jnp.zeros(2)
    updates, state = optimiser.update(jnp.asarray([3.0, -4.0]), optimiser.init(params), params)
    short, cut = np.array([3.0, -4.0]), np.array([6.0, -8.0])
    v = 0.05 * short**2
    m = short / np.sqrt(v + 1e-8)
    np.testing.assert_allclose(updates, -m, rtol=1e-6)
    updates, _ = optimiser.update(jnp.asarray([30.0, -40.0]), state, params)
    v = 0.95 * v + 0.05 * cut**2
    np.testing.assert_allclose(updates, -(0.9 * m + cut / np.sqrt(v + 1e-8)), rtol=1e-6)


def test_the_rate_comes_down_by_a_cosine(double: None) -> None:
    """By Adam's steps under a constant gradient, whose length is the rate."""
    optimiser = build_optimiser(OptimiserConfig("adam", 0.1, final=0.5, clip=10.0), 4)
    params = jnp.zeros(2)
    state, rates = optimiser.init(params), []
    for _ in range(6):
        updates, state = optimiser.update(jnp.asarray([30.0, -40.0]), state, params)
        rates.append(float(updates[1]))
    cosine = [0.05 + 0.05 * (1 + np.cos(np.pi * min(step, 4) / 4)) / 2 for step in range(6)]
    np.testing.assert_allclose(rates, cosine, rtol=1e-6)
