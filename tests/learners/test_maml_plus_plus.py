"""MAML++: with every part off it is MAML; each part against what its equation says."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import CONV, SPEC, episodes

import fastslow as fs
from fastslow.learners.maml import MAMLConfig
from fastslow.learners.maml_plus_plus import MAMLPlusPlusConfig, step_weights

KEY = jax.random.key(1)
MODEL = fs.ClassifierConfig(CONV)
OFF: dict[str, Any] = {"rates": "fixed", "loss": "last-step", "pairs": "shared", "steps": 2, "rate": 0.3}


def build(**choices: Any) -> fs.Trainable:
    return MAMLPlusPlusConfig(**{**OFF, **choices}).build(MODEL, SPEC, optax.sgd(0.5), batch=2)


def updated(learner: fs.Trainable, updates: int = 1) -> Any:
    state, given = learner.init(key=KEY), episodes(2, 4)
    update = jax.jit(lambda state: learner.update(state, given, key=KEY)[0])
    for _ in range(updates):
        state = update(state)
    return state


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("order", ["first", "second"])
def test_without_its_parts_it_is_maml(order: str) -> None:
    plain = MAMLConfig(steps=2, rate=0.3, order=order).build(MODEL, SPEC, optax.sgd(0.5), batch=2)
    found = updated(build(first_order_updates=5 if order == "first" else 0)).params
    for a, b in zip(jax.tree.leaves(found.model), jax.tree.leaves(updated(plain).params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert all((leaf == 0.3).all() for leaf in jax.tree.leaves(found.rates))
    assert found.pairs is None


@pytest.mark.usefixtures("double")
def test_the_order_changes_after_the_updates_that_are_named() -> None:
    switched, first = (updated(build(first_order_updates=n), 2).params.model for n in (1, 2))
    assert not np.allclose(switched.head.linear.weight, first.head.linear.weight, rtol=1e-6)
    one, other = (updated(build(first_order_updates=n), 1).params.model for n in (1, 2))
    np.testing.assert_array_equal(one.head.linear.weight, other.head.linear.weight)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("epoch", [0, 1, 5, 9, 10, 40])
def test_weights_of_the_steps_are_those_of_the_equation(epoch: int) -> None:
    steps = 5
    early = max(1 / steps - epoch / (10 * steps), 0.03 / steps)
    last = min(1 / steps + epoch * (steps - 1) / (10 * steps), 1 - 0.03 * (steps - 1) / steps)
    expected = [early] * 4 + [last] if epoch < 10 else [0] * 4 + [1]
    found = step_weights(jnp.asarray(epoch), steps)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert jnp.sum(found) == pytest.approx(1)


@pytest.mark.usefixtures("double")
def test_every_steps_loss_counts_as_its_weight_says() -> None:
    """The loss of an update is linear in the weights: with two steps, half of each in the first epoch."""
    given = episodes(2, 4)
    gradients = {}
    for name, choices in {"both": {"loss": "every-step"}, "one": {"steps": 1}, "two": {}}.items():
        learner = build(**choices)
        before = learner.init(key=KEY).params.model.head.linear.weight
        state, _ = jax.jit(lambda s, one=learner: one.update(s, given, key=KEY))(learner.init(key=KEY))
        gradients[name] = np.asarray(before - state.params.model.head.linear.weight) / 0.5
    np.testing.assert_allclose(gradients["both"], (gradients["one"] + gradients["two"]) / 2, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("double")
def test_rates_and_pairs_of_each_step_are_learned_and_used() -> None:
    learner = build(rates="learned", pairs="step")
    state = updated(learner)
    assert all(leaf.shape == (2,) and (leaf != 0.3).all() for leaf in jax.tree.leaves(state.params.rates))
    for pair in jax.tree.leaves(state.params.pairs):
        assert pair.shape[0] == 2
        assert not np.allclose(pair[0], pair[1], rtol=1e-9)
    given = episodes(2, 6)

    def loss(params: Any) -> float:
        other = eqx.tree_at(lambda s: s.params, state, params)
        return float(jnp.sum(learner.evaluate(other, given, key=KEY)["loss"].total))

    for step in (0, 1):
        moved = jax.tree.map(lambda leaf, step=step: leaf.at[step].add(0.1), state.params.pairs)
        assert loss(eqx.tree_at(lambda p: p.pairs, state.params, moved)) != loss(state.params)
