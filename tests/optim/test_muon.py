"""Muon: which parts of the parameters are matrices; its equations are checked with those of all optimizers."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.reference.optimizers import orthogonal

from fastslow.cells.lstm import LSTM
from fastslow.learners.inner_loop import inner_rates
from fastslow.models.conv import ConvBlock
from fastslow.optim.config import MuonConfig
from fastslow.optim.schedules import ConstantConfig

RATE, RMS = 0.01, 0.2


def step(matrix: np.ndarray) -> np.ndarray:
    """The first step for a gradient, without its sign: Nesterov's momentum only scales it, which is divided out."""
    return RATE * RMS * np.sqrt(max(matrix.shape)) * orthogonal(matrix)


def first_step(params: optax.Params, gradients: optax.Updates) -> optax.Updates:
    optimizer = MuonConfig(learning_rate=RATE, clip=None, schedule=ConstantConfig()).build(10)
    return optimizer.update(gradients, optimizer.init(params), params)[0]


def test_a_matrix_moves_along_its_orthogonal_factor(double: None) -> None:
    gradient = np.random.default_rng(0).normal(size=(3, 5))
    found = first_step(jnp.zeros((3, 5)), jnp.asarray(gradient))
    np.testing.assert_allclose(found, -step(gradient), rtol=1e-6)
    values = np.linalg.svd(found, compute_uv=False) / (RATE * RMS * np.sqrt(5))
    assert np.all((values > 0.6) & (values < 1.3))


def test_each_gate_of_an_lstm_is_a_matrix_of_its_own(double: None) -> None:
    lstm = LSTM(7, 4, key=jax.random.key(0))
    lstm = jax.tree.map(lambda leaf: leaf.astype(float), lstm)
    rng = np.random.default_rng(1)
    gradients = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), lstm)
    found = first_step(lstm, gradients)
    for name in ("input_weight", "hidden_weight"):
        expected = np.concatenate([-step(gate) for gate in np.split(np.asarray(getattr(gradients, name)), 4)])
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-6)
    assert jax.tree.structure(found) == jax.tree.structure(lstm)


class Pair(eqx.Module):
    """Two matrices in one weight, with a matrix and a vector beside it."""

    stacked: ClassVar = {"both": 2}
    alone: jax.Array
    both: jax.Array
    bias: jax.Array


def test_any_module_may_say_that_a_weight_holds_several_matrices(double: None) -> None:
    rng = np.random.default_rng(3)
    gradients = Pair(*(jnp.asarray(rng.normal(size=size)) for size in ((4, 5), (6, 5), (3,))))
    found = first_step({"pair": jax.tree.map(jnp.zeros_like, gradients)}, {"pair": gradients})["pair"]
    np.testing.assert_allclose(found.alone, -step(np.asarray(gradients.alone)), rtol=1e-6)
    expected = np.concatenate([-step(matrix) for matrix in np.split(np.asarray(gradients.both), 2)])
    np.testing.assert_allclose(found.both, expected, rtol=1e-6)
    assert not np.allclose(found.both, -step(np.asarray(gradients.both)), rtol=0.1)


def test_what_is_no_matrix_moves_as_nesterovs_adam_has_it(double: None) -> None:
    gradient = np.array([3.0, -2.0, 1e-3])
    ahead = 1 + 0.9 * 0.1 / (1 - 0.9**2)
    found = first_step(jnp.zeros(3), jnp.asarray(gradient))
    np.testing.assert_allclose(found, -RATE * ahead * np.sign(gradient), rtol=1e-3)


def test_kernels_of_a_convolution_are_matrices_of_outputs_by_the_rest(double: None) -> None:
    gradient = np.random.default_rng(2).normal(size=(4, 2, 3, 3))
    found = first_step(jnp.zeros(gradient.shape), jnp.asarray(gradient))
    np.testing.assert_allclose(np.reshape(found, (4, 18)), -step(gradient.reshape(4, 18)), rtol=1e-6)


def test_outputs_may_be_another_axis_than_the_first(double: None) -> None:
    block = ConvBlock(2, 4, key=jax.random.key(0))
    gradient = np.random.default_rng(3).normal(size=(3, 3, 2, 4))
    zeros = jax.tree.map(jnp.zeros_like, block)
    found = first_step({"of": zeros}, {"of": eqx.tree_at(lambda b: b.kernel, zeros, jnp.asarray(gradient))})["of"]
    np.testing.assert_allclose(np.reshape(found.kernel, (18, 4)).T, -step(gradient.reshape(18, 4).T), rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 4, 5])
def test_numbers_in_the_places_of_weights_are_no_matrices(steps: int, double: None) -> None:
    """Inner learning rates stand in a tree shaped like the controllers."""
    rates = inner_rates(LSTM(2, 3, key=jax.random.key(0)), steps, 0.1)
    gradients = jax.tree.map(lambda leaf: jnp.arange(1.0, steps + 1), rates)
    found = first_step(rates, gradients)
    ahead = 1 + 0.9 * 0.1 / (1 - 0.9**2)
    for leaf in jax.tree.leaves(found):
        np.testing.assert_allclose(leaf, -RATE * ahead * np.ones(steps), rtol=1e-3)


def test_a_linear_map_is_found() -> None:
    expected = jax.random.normal(jax.random.key(0), (3, 3))
    optimizer = MuonConfig(learning_rate=0.3).build(200)
    params = eqx.nn.Linear(3, 3, key=jax.random.key(1))
    loss = lambda params: jnp.mean((params.weight - expected) ** 2) + jnp.mean(params.bias**2)

    @eqx.filter_jit
    def update(params: eqx.nn.Linear, state: optax.OptState) -> tuple[eqx.nn.Linear, optax.OptState]:
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return eqx.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(200):
        params, state = update(params, state)
    assert loss(params) < 1e-3
