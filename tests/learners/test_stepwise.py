"""Fewer or more inner steps than in training."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import FEED_FORWARD, nmn

from fastslow.learners.base import LearnerState, Stepwise
from fastslow.learners.fine_tune import FineTuneConfig
from fastslow.learners.inner_loop import rates_for
from fastslow.learners.maml import MAMLConfig
from fastslow.learners.maml_plus_plus import MAMLPlusPlusConfig
from fastslow.learners.online import OnlineConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import NetworkConfig
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import Examples, TaskSpec
from fastslow.tasks.paths import Path

pytestmark = pytest.mark.usefixtures("double")
KEY, TARGET, STEPS = jax.random.key(0), Path(3, 1.0, "m"), 3
SPEC = TaskSpec("paths", "few-shot", (4, 2), TARGET, label=TARGET.size, metrics=TARGET.metrics)
PLAIN = NetworkConfig(FlattenConfig(), FEED_FORWARD.cell)
MEMORY = NetworkConfig(FlattenConfig(), nmn().cell)
LEARNERS = {
    "maml": (MAMLConfig(steps=STEPS, rate=0.05, statistics="support"), PLAIN),
    "maml++": (MAMLPlusPlusConfig(steps=STEPS, rate=0.05, statistics="support"), PLAIN),
    "fine-tune": (FineTuneConfig(FeedbackConfig("true"), steps=STEPS, rate=0.05), MEMORY),
    "fine-tune-meta": (FineTuneConfig(FeedbackConfig("meta", hidden=6), steps=STEPS, rate=0.05), MEMORY),
    "online": (OnlineConfig(), PLAIN),
    "online-both": (OnlineConfig(FeedbackConfig("both", alpha=0.1, hidden=6, regression=1.0)), MEMORY),
}
every = pytest.mark.parametrize("name", LEARNERS)


def some(seed: int, count: int = 5) -> Examples:
    rng = np.random.default_rng(seed)
    return Examples(jnp.asarray(rng.normal(size=(count, 4, 2))), jnp.asarray(rng.normal(size=(count, TARGET.size))))


@cache
def built(name: str) -> tuple[Stepwise, LearnerState]:
    config, model = LEARNERS[name]
    spec = replace(SPEC, episode="sequence") if name.startswith("online") else SPEC
    learner = config.build(model, spec, optax.sgd(0.1), batch=1)
    state = learner.init(key=KEY)
    # as if trained: every step has a rate of its own
    if hasattr(state.params, "rates"):
        grown = jax.tree.map(lambda r: r * (1 + jnp.arange(r.shape[0], dtype=r.dtype)), state.params.rates)
        state = eqx.tree_at(lambda s: s.params.rates, state, grown)
    return learner, state


@cache
def answers(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """For support and query inputs after 0 to STEPS + 2 steps. Shapes `[step, example, size]`."""
    learner, state = built(name)
    support = some(seed)
    arrays, rest = eqx.partition(learner.after_each(state, support, STEPS + 2), eqx.is_array)
    each = lambda step: eqx.combine(jax.tree.map(lambda leaf: leaf[step], arrays), rest)
    predict = eqx.filter_jit(lambda step, inputs: learner.predict(each(step), inputs))
    given = (support.inputs, some(1).inputs)
    found = [[np.asarray(predict(step, inputs)) for inputs in given] for step in range(STEPS + 3)]
    on_support, on_query = zip(*found, strict=True)
    return np.stack(on_support), np.stack(on_query)


@every
def test_as_many_as_in_training_are_what_adapt_takes(name: str) -> None:
    learner, state = built(name)
    one = learner.predict(learner.adapt(state, some(0), key=KEY), some(1).inputs)
    _, found = answers(name, 0)
    np.testing.assert_allclose(found[1 if name.startswith("online") else STEPS], one, rtol=1e-9, atol=1e-12)


@every
def test_without_a_step_nothing_of_the_support_set_is_learned(name: str) -> None:
    (_, one), (_, other) = answers(name, 0), answers(name, 2)
    np.testing.assert_array_equal(one[0], other[0])
    assert not np.array_equal(one[1], one[0])
    assert not np.array_equal(one[1], other[1])


@pytest.mark.parametrize("name", ["maml", "maml++", "fine-tune", "online"])
def test_each_further_step_descends(name: str) -> None:
    found, _ = answers(name, 0)
    losses = np.mean((found - np.asarray(some(0).labels)) ** 2, axis=(1, 2)).tolist()
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == STEPS + 3


def test_the_last_rates_stay() -> None:
    rates = {"a": jnp.asarray([1.0, 2.0, 3.0]), "b": jnp.asarray([[1.0], [5.0], [7.0]])}
    assert rates_for(rates, 5)["a"].tolist() == [1, 2, 3, 3, 3]
    assert rates_for(rates, 2)["b"].tolist() == [[1], [5]]
    assert rates_for(rates, 0)["a"].shape == (0,)
