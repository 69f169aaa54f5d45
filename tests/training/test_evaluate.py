"""Evaluation: finite data once each, baselines by the same compiled function, sums instead of means."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.training.toy import blobs, softmax

from fastslow._checks import UserError
from fastslow.baselines.base import Baseline
from fastslow.learners.base import LearnerState, Trainable
from fastslow.metrics import ACCURACY, Axis, Figure
from fastslow.tasks.base import AbstractTask
from fastslow.training.config import MOST_EPISODES, TrainingConfig
from fastslow.training.evaluate import evaluate_all, overall
from fastslow.training.loop import fit
from fastslow.training.state import initial_state

BY_PARITY = ACCURACY.along(Axis("parity", ("even", "odd")))


class Items(AbstractTask):
    """Items that are numbers; `sample` draws one of them, `at` gives each."""

    numbers: jax.Array

    def sample(self, key, step):
        return self.numbers[jax.random.randint(key, (), 0, self.numbers.shape[0])]

    def size(self):
        return self.numbers.shape[0]

    def at(self, index):
        return self.numbers[index]


class Counting(Baseline):
    """Scores an item by its number, out of as many as its number plus one, and separately by parity."""

    traces: list = eqx.field(static=True, default_factory=list)

    @property
    def metrics(self):
        return (ACCURACY, BY_PARITY)

    def evaluate(self, episodes, *, key):
        self.traces.append(episodes.shape)
        numbers = episodes.astype(jnp.float32)
        parity = jax.nn.one_hot(episodes % 2, 2)
        return {
            ACCURACY.key: Figure(numbers, numbers + 1),
            BY_PARITY.key: Figure(parity * numbers[:, None], parity * (numbers[:, None] + 1)),
        }


class CountingLearner(Trainable):
    """The same with a state: what is scored is multiplied by a parameter."""

    @property
    def monitor(self):
        return ACCURACY

    @property
    def metrics(self):
        return (ACCURACY,)

    def init(self, *, key):
        params = {"factor": jax.random.uniform(key)}
        return LearnerState(params=params, opt_state=(), model_state=())

    def update(self, state, episodes, *, key):
        figure = self.evaluate(state, episodes, key=key)[ACCURACY.key]
        summed = Figure(jnp.sum(figure.total), jnp.sum(figure.count))
        return state, {"loss": summed, ACCURACY.key: summed}

    def evaluate(self, state, episodes, *, key):
        numbers = episodes.astype(jnp.float32)
        return {ACCURACY.key: Figure(state.params["factor"] * numbers, numbers + 1)}


def seven() -> Items:
    return Items(jnp.asarray([3, 1, 4, 1, 5, 9, 2]))


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("episodes", [3, 7, 1000])
def test_each_item_of_finite_data_counts_once(devices: int, episodes: int) -> None:
    counting = Counting()
    found = evaluate_all(counting, None, seven(), episodes=episodes, batch=4, devices=jax.devices()[:devices])
    assert counting.traces == [(4,)], "two batches of four, one compiled program"
    np.testing.assert_array_equal(found["accuracy"].total, [[3, 1, 4, 1, 5, 9, 2]])
    np.testing.assert_array_equal(found["accuracy"].count, [[4, 2, 5, 2, 6, 10, 3]])
    assert found["accuracy/parity"].total.shape == (1, 7, 2)
    np.testing.assert_array_equal(found["accuracy/parity"].total.sum((0, 1)), [6, 19])


@pytest.mark.parametrize("devices", [1, 2])
def test_states_of_several_seeds_see_the_same_items(devices: int) -> None:
    learner = CountingLearner()
    states = initial_state(learner, seven(), TrainingConfig(seeds=3, batch=4)).learner
    found = evaluate_all(learner, states, seven(), batch=4, devices=jax.devices()[:devices])["accuracy"]
    factors = np.asarray(states.params["factor"])
    assert len(np.unique(factors)) == 3
    np.testing.assert_allclose(found.total, factors[:, None] * np.array([[3, 1, 4, 1, 5, 9, 2]]), rtol=1e-6)


def test_finite_data_are_validated_whole() -> None:
    config = TrainingConfig(steps=2, batch=4, log_every=2, validate_every=2, validation_episodes=3)
    reports = list(fit(CountingLearner(), seven(), config, validation=seven()))
    factor = initial_state(CountingLearner(), seven(), config).learner.params["factor"][0]
    assert reports[-1].validation["accuracy"][0] == pytest.approx(float(factor) * 25 / 32, rel=1e-6)


def test_a_task_without_items_is_refused() -> None:
    with pytest.raises(UserError, match=r"^task: got Items with 0 episodes, expected at least one to measure on\.$"):
        evaluate_all(Counting(), None, Items(jnp.zeros(0, jnp.int32)))


class Guessing(Baseline):
    """Names the class of each query at random."""

    @property
    def metrics(self):
        return (ACCURACY,)

    def evaluate(self, episodes, *, key):
        guesses = jax.random.randint(key, episodes.query.labels.shape, 0, 3)
        right = jnp.sum((guesses == episodes.query.labels).astype(jnp.float32), axis=1)
        return {"accuracy": Figure(right, jnp.full_like(right, 6))}


def test_a_baseline_is_scored_on_the_episodes_that_learners_get() -> None:
    class Reading(Guessing):
        def evaluate(self, episodes, *, key):
            first = episodes.query.inputs[:, 0, 0]
            return {"accuracy": Figure(first, jnp.ones_like(first))}

    class ReadingLearner(type(softmax())):
        def evaluate(self, state, episodes, *, key):
            return Reading().evaluate(episodes, key=key)

    states = initial_state(softmax(), blobs(), TrainingConfig(seeds=2, batch=4)).learner
    baseline = evaluate_all(Reading(), None, blobs(), episodes=9, batch=4)["accuracy"].total
    learner = evaluate_all(softmax(ReadingLearner), states, blobs(), episodes=9, batch=4)["accuracy"].total
    assert baseline.shape == (1, 9)
    np.testing.assert_array_equal(learner, np.concatenate([baseline, baseline]))


def test_a_baselines_key_differs_from_batch_to_batch() -> None:
    found = evaluate_all(Guessing(), None, blobs(), episodes=400, batch=40)["accuracy"]
    each = found.total.reshape(10, 40)
    assert len(np.unique(each, axis=0)) == 10
    # 2,400 guesses, each right with a chance of a third: five standard errors
    assert abs(found.total.sum() / found.count.sum() - 1 / 3) < 5 * np.sqrt(2 / 9 / 2400)


def test_the_value_over_all_episodes_is_a_quotient_of_sums() -> None:
    total, count = jnp.asarray([[1.0, 0.0], [0.0, 0.0]]), jnp.asarray([[1.0, 3.0], [0.0, 0.0]])
    figures = {
        ACCURACY.key: Figure(total, count),
        BY_PARITY.key: Figure(jnp.stack([total, 2 * total], axis=2), jnp.stack([count, 2 * count], axis=2)),
    }
    assert list(overall(figures, ())) == ["accuracy"]
    found = overall(figures, (ACCURACY, BY_PARITY))
    assert list(found) == ["accuracy", "accuracy, parity even", "accuracy, parity odd"]
    for values in found.values():
        np.testing.assert_array_equal(values, [0.25, np.nan])


@pytest.mark.parametrize(("name", "wrong"), [("episodes", 0), ("episodes", MOST_EPISODES + 1), ("batch", 10**35)])
def test_a_number_out_of_its_range_is_named(name: str, wrong: int) -> None:
    with pytest.raises(UserError, match=rf"^{name}: got .*, expected an integer from 1 to "):
        evaluate_all(Counting(), None, seven(), **{name: wrong})
