"""The baseline without meta-learning: its loss against a twin, its inner steps, and what it refuses."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import CONV, LSTM, NUMBERED, SPEC, WAY, episodes, nmn, numbered
from tests.reference.rounding import rounding
from tests.sentences import refused

from fastslow.learners.base import LearnerState
from fastslow.learners.fine_tune import FineTuneConfig
from fastslow.learners.pretrained import PretrainedConfig, PretrainedLearner
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import FewShotEpisode
from fastslow.tasks.glyphs import GlyphsConfig
from fastslow.tasks.omniglot import OmniglotConfig

KEY = jax.random.key(0)
FIGURE = rounding(300, scale=10, precision=np.float64)
"""Some 300 operations one after the other on numbers below 10."""


@pytest.fixture(scope="module")
def learner() -> PretrainedLearner:
    return PretrainedConfig(steps=3, rate=0.5).build(nmn(), NUMBERED, optax.sgd(0.1), batch=2)


@pytest.fixture
def state(double: None, learner: PretrainedLearner) -> LearnerState:
    return learner.init(key=KEY)


def double_of(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf, tree)


@pytest.fixture
def batch(double: None) -> FewShotEpisode:
    return double_of(numbered(episodes(2)))


def test_the_loss_names_every_drawing_among_all_classes(
    learner: PretrainedLearner, state: LearnerState, batch: FewShotEpisode
) -> None:
    """Cross entropy in NumPy, from the outputs of the network with the statistics of the whole batch."""
    _, figures = jax.jit(lambda s, e: learner.update(s, e, key=KEY))(state, batch)
    x = jnp.concatenate([batch.support.inputs, batch.query.inputs], axis=1)
    outputs = np.asarray(state.params.items(x.reshape(-1, *x.shape[2:]), None)[0])
    labels = np.concatenate([batch.support.labels, batch.query.labels], axis=1)
    numbers = np.concatenate([np.asarray(batch.classes)[b][labels[b]] for b in range(2)])
    assert outputs.shape == (len(numbers), WAY + 2)
    powers = np.exp(outputs)
    expected = -np.log(powers[np.arange(len(numbers)), numbers] / powers.sum(axis=1))
    np.testing.assert_allclose(figures["loss"].value, expected.mean(), rtol=0, atol=FIGURE)
    assert figures["loss"].count == len(numbers)
    np.testing.assert_allclose(figures["accuracy"].value, np.mean(outputs.argmax(axis=1) == numbers), atol=FIGURE)


def test_which_label_a_class_has_in_an_episode_makes_no_difference(
    learner: PretrainedLearner, state: LearnerState, batch: FewShotEpisode
) -> None:
    turn = lambda examples: eqx.tree_at(lambda e: e.labels, examples, (examples.labels + 1) % WAY)
    other = jax.vmap(FewShotEpisode)(turn(batch.support), turn(batch.query), jnp.roll(batch.classes, 1, axis=1))
    update = jax.jit(lambda s, e: learner.update(s, e, key=KEY)[0].params)
    jax.tree.map(np.testing.assert_array_equal, update(state, other), update(state, batch))


def test_a_task_gets_a_head_of_zeros_and_plain_steps(
    learner: PretrainedLearner, state: LearnerState, batch: FewShotEpisode
) -> None:
    """The steps of learner fine-tune in regime true, whose own tests have a twin, from a head of zeros."""
    support = jax.tree.map(lambda leaf: leaf[0], batch.support)
    config = FineTuneConfig(FeedbackConfig(), steps=3, rate=0.5)
    tuned = config.build(nmn(), SPEC, optax.sgd(0.1), batch=2)
    theirs = tuned.init(key=KEY)
    head = jax.tree.map(jnp.zeros_like, theirs.params.network.head)
    network = eqx.tree_at(lambda n: n.head, state.params, head)
    theirs = eqx.tree_at(lambda s: (s.params.network, s.model_state), theirs, (network, state.model_state))
    expected = tuned.predict(tuned.adapt(theirs, support, key=KEY), batch.query.inputs[0])
    found = learner.predict(learner.adapt(state, support, key=KEY), batch.query.inputs[0])
    np.testing.assert_allclose(found, expected, rtol=0, atol=FIGURE)
    assert np.ptp(found) > 1e6 * FIGURE


def test_episodes_without_their_classes(learner: PretrainedLearner, state: LearnerState) -> None:
    with refused("classes: got none, expected episodes with the numbers of their classes, as task marks has"):
        learner.update(state, double_of(episodes(2)), key=KEY)


def test_a_task_with_numbered_classes() -> None:
    """Omniglot's training classes, and those generated beside them, each four times by rotation."""
    assert OmniglotConfig().spec.train_classes == 4 * 1150
    assert OmniglotConfig(rotations=False, generated=10).spec.train_classes == 1160
    assert GlyphsConfig().spec.train_classes is None


@pytest.mark.parametrize(
    ("config", "model", "spec", "told"),
    [
        (PretrainedConfig(), nmn(), SPEC, "learner: got 'pretrained', .* task marks draws them without end"),
        (PretrainedConfig(steps=0), nmn(), NUMBERED, "steps: got 0"),
        (PretrainedConfig(rate=-1.0), nmn(), NUMBERED, "rate: got -1.0"),
        (PretrainedConfig(), nmn("write", "key-value"), NUMBERED, "label_input: got 'write', expected none"),
        (PretrainedConfig(), LSTM, NUMBERED, "cell: got 'lstm', expected a cell with controllers"),
        (PretrainedConfig(), CONV, NUMBERED, "model: got 'conv', expected one with embed and cell and head"),
        (PretrainedConfig(), nmn(), replace(NUMBERED, episode="sequence"), "learner: got 'pretrained', expected one"),
    ],
)
def test_what_does_not_fit_is_refused(config: Any, model: Any, spec: Any, told: str) -> None:
    with refused(told):
        config.build(model, spec, optax.sgd(0.1), batch=2)
