"""Fewer or more inner steps than in training."""

from dataclasses import replace

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


def answers(name: str, support: Examples, inputs: jax.Array, steps: int) -> list[np.ndarray]:
    learner, state = built(name)
    arrays, rest = eqx.partition(learner.after_each(state, support, steps), eqx.is_array)
    each = lambda step: eqx.combine(jax.tree.map(lambda leaf: leaf[step], arrays), rest)
    return [np.asarray(learner.predict(each(step), inputs)) for step in range(steps + 1)]


@every
def test_as_many_as_in_training_are_what_adapt_takes(name: str) -> None:
    learner, state = built(name)
    support, query = some(0), some(1)
    one = learner.predict(learner.adapt(state, support, key=KEY), query.inputs)
    found = answers(name, support, query.inputs, STEPS)
    assert len(found) == STEPS + 1
    np.testing.assert_allclose(found[1 if name.startswith("online") else STEPS], one, rtol=1e-9, atol=1e-12)


@every
def test_without_a_step_nothing_of_the_support_set_is_learned(name: str) -> None:
    query = some(1)
    one, other = (answers(name, some(seed), query.inputs, 1) for seed in (0, 2))
    np.testing.assert_array_equal(one[0], other[0])
    assert not np.array_equal(one[1], one[0])
    assert not np.array_equal(one[1], other[1])


@pytest.mark.parametrize("name", ["maml", "maml++", "fine-tune", "online"])
def test_each_further_step_descends(name: str) -> None:
    support = some(0)
    losses = [
        float(np.mean((found - support.labels) ** 2)) for found in answers(name, support, support.inputs, STEPS + 2)
    ]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == STEPS + 3


def test_the_last_rates_stay() -> None:
    rates = {"a": jnp.asarray([1.0, 2.0, 3.0]), "b": jnp.asarray([[1.0], [5.0], [7.0]])}
    assert rates_for(rates, 5)["a"].tolist() == [1, 2, 3, 3, 3]
    assert rates_for(rates, 2)["b"].tolist() == [[1], [5]]
    assert rates_for(rates, 0)["a"].shape == (0,)
