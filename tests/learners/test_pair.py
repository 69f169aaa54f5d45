"""Two networks side by side: what a batch of one kind leaves alone, and what shared predictors share."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.streams import batch
from tests.learners.tiny import nmn
from tests.sentences import refused

from fastslow.learners.base import LearnerState
from fastslow.learners.online import OnlineConfig
from fastslow.learners.pair import PairConfig, PairLearner
from fastslow.metrics import ACCURACY, Axis
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import NetworkConfig
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import TaskSpec
from fastslow.tasks.targets import Categorical

pytestmark = pytest.mark.usefixtures("double")
SIDE, WAY, TIME, KEY = 3, 4, 5, jax.random.key(0)
KINDS = ACCURACY.along(Axis("agent", ("one", "other")))
SPEC = TaskSpec("streams", "sequence", (SIDE, SIDE), Categorical(WAY), label=WAY, metrics=(KINDS,))
BOTH = FeedbackConfig("both", alpha=0.5, hidden=6, regression=1.0)
MODEL = NetworkConfig(FlattenConfig(), nmn().cell)
MOMENTUM = optax.sgd(0.01, momentum=0.9)


def some(kinds: list[int], seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, WAY, (1, len(kinds)))
    x = rng.normal(size=(1, len(kinds), SIDE, SIDE))
    found = batch(x, np.eye(WAY)[classes], np.ones((1, len(kinds))))
    return eqx.tree_at(lambda e: e.axis_index, found, jnp.asarray([kinds], jnp.int32))


def built(predictors: str, feedback: FeedbackConfig = BOTH) -> tuple[PairLearner, LearnerState]:
    learner = PairConfig(feedback, predictors).build(MODEL, SPEC, MOMENTUM, batch=1)
    return learner, eqx.filter_jit(lambda: learner.init(key=KEY))()


def network(state: Any, number: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[number], state)


@pytest.mark.parametrize("which", [0, 1])
def test_a_batch_is_one_update_of_the_network_of_its_kind(which: int) -> None:
    learner, state = built("separate")
    given = some([which] * TIME)
    after, figures = jax.jit(lambda s: learner.update(s, given, key=KEY))(state)
    alone = OnlineConfig(BOTH).build(MODEL, SPEC, MOMENTUM, batch=1)
    expected, told = jax.jit(lambda s: alone.update(s, given, key=KEY))(network(state, which))
    for a, b in zip(jax.tree.leaves(network(after, which)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert eqx.tree_equal(network(after, 1 - which), network(state, 1 - which))
    np.testing.assert_allclose(figures["loss"].total, told["loss"].total, rtol=1e-9)


def test_shared_predictors_are_one_set_and_all_else_is_apart() -> None:
    learner, state = built("shared")
    predictors = lambda state, number: network(state, number).params.predictors
    assert eqx.tree_equal(predictors(state, 0), predictors(state, 1))
    assert not eqx.tree_equal(network(state, 0).params.network, network(state, 1).params.network)
    after, _ = jax.jit(lambda s: learner.update(s, some([0] * TIME), key=KEY))(state)
    assert not eqx.tree_equal(predictors(after, 0), predictors(state, 0))
    assert eqx.tree_equal(predictors(after, 0), predictors(after, 1))
    assert eqx.tree_equal(network(after, 1).params.network, network(state, 1).params.network)
    # the optimizer's momentum of the predictors go along, those of the network do not
    momenta = [network(after.opt_state[0].trace, number) for number in range(2)]
    assert eqx.tree_equal(momenta[0].predictors, momenta[1].predictors)
    assert not np.any([np.any(leaf) for leaf in jax.tree.leaves(momenta[1].network)])
    assert np.any([np.any(leaf) for leaf in jax.tree.leaves(momenta[0].network)])


def test_each_example_is_answered_by_the_network_of_its_kind() -> None:
    learner, state = built("separate")
    mixed = some([0, 1, 1, 0, 1])
    found = learner.evaluate(state, mixed, key=KEY)
    for number in range(2):
        alone = learner.one.evaluate(network(state, number), mixed, key=KEY)
        for part in ("total", "count"):
            whole, own = (getattr(figures[KINDS.key], part) for figures in (found, alone))
            np.testing.assert_array_equal(whole[:, number], own[:, number])
    assert found[ACCURACY.key].count.tolist() == [5]


def test_what_does_not_fit_is_refused() -> None:
    plain = TaskSpec("toy", "sequence", (SIDE, SIDE), Categorical(WAY), label=WAY, metrics=(ACCURACY,))
    with refused("learner: got 'pair', expected another one, as it needs a task whose batches are of two kinds"):
        PairConfig(BOTH).build(MODEL, plain, MOMENTUM, batch=1)
    with refused("predictors: got 'shared', expected separate, as regime true has none"):
        PairConfig(FeedbackConfig("true")).build(MODEL, SPEC, MOMENTUM, batch=1)
