"""One suite for every optimizer. A new optimizer is one row of `OPTIMIZERS`."""

import json
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference import optimizers as reference

from fastslow._checks import UserError
from fastslow.configs.json import from_json, to_json
from fastslow.optim.config import AdamConfig, MuonConfig, NadamConfig, OptimizerConfig, RMSPropConfig
from fastslow.optim.schedules import ConstantConfig, CosineConfig, StepDecayConfig

# Each optimizer, and its steps in NumPy as a function of gradients and learning rates.
OPTIMIZERS = {
    "adam": (AdamConfig, reference.adam),
    "nadam": (NadamConfig, reference.nadam),
    "rmsprop": (RMSPropConfig, reference.rmsprop),
    "muon": (MuonConfig, reference.muon),
}
WRONG = (float("inf"), float("-inf"), float("nan"), 0.0, -0.0, -1.0, float("1e999"), 1e39)
every = pytest.mark.parametrize("name", OPTIMIZERS)


def steps_of(config: OptimizerConfig, gradients: list, updates: int) -> list[np.ndarray]:
    optimizer, params, found = config.build(updates), jnp.zeros(gradients[0].shape), []
    state = optimizer.init(params)
    for gradient in gradients:
        step, state = optimizer.update(jnp.asarray(gradient), state, params)
        found.append(np.asarray(step))
    return found


def gradients(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).normal(size=(count, 3, 4)))


@every
def test_steps_follow_the_equations(name: str, double: None) -> None:
    kind, twin = OPTIMIZERS[name]
    config = kind(learning_rate=0.01, clip=None, schedule=ConstantConfig())
    for found, expected in zip(steps_of(config, gradients(6), 6), twin(gradients(6), [0.01] * 6), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@every
def test_a_long_gradient_is_clipped(name: str, double: None) -> None:
    kind, twin = OPTIMIZERS[name]
    short, long = gradients(2)
    config = kind(learning_rate=0.01, clip=4.0, schedule=ConstantConfig())
    assert np.linalg.norm(short) < 4 < np.linalg.norm(50 * long)
    found = steps_of(config, [short, 50 * long], 2)
    expected = twin([short, reference.clipped(50 * long, 4.0)], [0.01] * 2)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert not np.allclose(found, twin([short, 50 * long], [0.01] * 2), rtol=1e-3)


@every
def test_the_schedule_sets_the_learning_rate(name: str, double: None) -> None:
    kind, twin = OPTIMIZERS[name]
    config = kind(learning_rate=0.1, clip=None, schedule=StepDecayConfig(factor=0.5, every=2), warmup=2)
    rates = [0.1 / 3, 0.2 / 3, 0.1, 0.1, 0.05, 0.05]
    found = steps_of(config, gradients(6), 6)
    # the learning rate is a number of 32 bits, and momentum sums steps to ten times their length at most
    rounding = 10 * np.finfo(np.float32).eps * 0.1
    np.testing.assert_allclose(found, twin(gradients(6), rates), rtol=1e-6, atol=rounding)


@every
def test_defaults(name: str) -> None:
    config = OPTIMIZERS[name][0]()
    assert (config.kind, config.learning_rate, config.clip, config.warmup) == (name, 1e-3, 10.0, 0)
    assert config.schedule == CosineConfig(final=0.01)


@every
def test_a_value_that_cannot_be_used_is_refused_in_one_sentence(name: str) -> None:
    kind = OPTIMIZERS[name][0]
    for field in ("learning_rate", "clip", "eps"):
        for value in WRONG:
            if not hasattr(kind(), field):
                continue
            with pytest.raises(UserError, match=rf"^{field}: got [^\n]*, expected a finite number above 0\.$"):
                kind(**{field: value})
    for field in ("b1", "b2", "decay", "momentum"):
        for value in (-0.1, 1.0, float("nan"), float("inf")):
            if not hasattr(kind(), field):
                continue
            with pytest.raises(UserError, match=f"^{field}: got .*, expected a number from 0 to below 1"):
                kind(**{field: value})
    for value in (-1, 2**31, 10**40):
        with pytest.raises(UserError, match=r"^warmup: got .*, expected an integer from 0 to 2147483647"):
            kind(warmup=value)
    with pytest.raises(UserError, match=r"^warmup: got 5, expected fewer updates than the 5 of the training"):
        kind(warmup=5).build(5)
    with pytest.raises(UserError, match=r"^steps: got 0, expected an integer from 1 "):
        kind().build(0)


@dataclass(frozen=True)
class Whole:
    optimizer: OptimizerConfig


@every
def test_json_and_back(name: str) -> None:
    for schedule in (ConstantConfig(), CosineConfig(final=0.5), StepDecayConfig(every=7)):
        whole = Whole(replace(OPTIMIZERS[name][0](), clip=None, schedule=schedule, warmup=3))
        assert from_json(Whole, json.loads(json.dumps(to_json(whole)))) == whole


@every
@pytest.mark.parametrize(
    "change", [{"kind": "sgd"}, {"schedule": {"kind": "linear"}}, {"learning_rate": 1e999}, {"nu": 1}, {"clip": "1"}]
)
def test_json_that_is_no_optimizer_is_refused(name: str, change: dict[str, Any]) -> None:
    data = to_json(Whole(OPTIMIZERS[name][0]()))
    with pytest.raises(UserError, match=r"^Whole: [^\n]*\.$"):
        from_json(Whole, {"optimizer": {**data["optimizer"], **change}})


@every
def test_one_trace_and_no_change_of_types(name: str) -> None:
    optimizer = OPTIMIZERS[name][0](warmup=1).build(9)
    params = {"matrix": jnp.ones((3, 4)), "kernel": jnp.ones((4, 2, 3, 3)), "bias": jnp.ones(3)}
    update = jax.jit(lambda state: optimizer.update(params, state, params))
    before = optimizer.init(params)
    updates, after = update(before)
    described = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert described(after) == described(before)
    assert described(updates) == described(params)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(updates))
