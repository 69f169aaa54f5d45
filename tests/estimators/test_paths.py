"""Where road users go: predicted where they are, whichever way they head, with and without examples."""

import pickle
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.base import clone
from tests.learners.tiny import FEED_FORWARD
from tests.sentences import refused
from tests.tasks.test_tracks import OBSERVED, OWN, PREDICTED, table, windows

from fastslow.configs.config import Config
from fastslow.configs.run import Trained, train
from fastslow.estimators import FewShotClassifier, PathPredictor
from fastslow.learners.maml import MAMLConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import NetworkConfig
from fastslow.tasks.base import Examples
from fastslow.training.config import TrainingConfig


@cache
def model() -> tuple[str, Trained]:
    """The folder of a short training, and what it gave."""

    folder = Path(mkdtemp())
    task = replace(OWN, data=str(table(folder)), scale=2.0)
    learner = MAMLConfig(steps=2, rate=0.5, statistics="support")
    training = TrainingConfig(steps=20, batch=2, validate_every=0, select="last")
    network = NetworkConfig(FlattenConfig(), FEED_FORWARD.cell)
    run = folder / "run"
    return str(run), train(Config(task, network, learner, training=training), run)


def by_hand(adapted: Any, observed: np.ndarray) -> np.ndarray:
    """The learner's answers, turned and moved to where each path is, one by one."""
    _, trained = model()
    found = []
    for window in observed:
        last, velocity = window[-1], (window[-1] - window[-11]) / 10
        angle = np.arctan2(velocity[1], velocity[0])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shown = (window - last) @ turn / 2.0
        answer = np.asarray(trained.learner.predict(adapted, jnp.asarray(shown[None], jnp.float32)))[0]
        steps = np.arange(1, PREDICTED + 1)[:, None]
        found.append(last + steps * velocity + 2.0 * answer.reshape(PREDICTED, 2) @ turn.T)
    return np.stack(found)


def state() -> Any:
    """The one seed's."""
    return jax.tree.map(lambda leaf: leaf[0], model()[1].states)


def test_what_was_learned_in_training_answers_without_examples() -> None:
    name, trained = model()
    observed = windows(5)[:, :OBSERVED]
    some = Examples(jnp.zeros((1, OBSERVED, 2)), jnp.zeros((1, 2 * PREDICTED)))
    untouched = jax.tree.map(lambda leaf: leaf[0], trained.learner.after_each(state(), some, 0))
    found = PathPredictor(name).predict(observed)
    np.testing.assert_allclose(found, by_hand(untouched, observed), atol=1e-4)
    assert np.abs(found - observed[:, -1:]).max() > 0.1


def test_whole_paths_are_learned_from() -> None:
    name, trained = model()
    whole, observed = windows(3, seed=1), windows(5)[:, :OBSERVED]
    predictor = PathPredictor(name).fit(whole)
    coordinates = trained.config.task.coordinates
    support = Examples(*coordinates.observed_and_next(jnp.asarray(whole - whole[:, :1], jnp.float32)))
    adapted = trained.learner.adapt(state(), support, key=jax.random.key(0))
    found = predictor.predict(observed)
    np.testing.assert_allclose(found, by_hand(adapted, observed), atol=1e-4)
    assert not np.allclose(found, PathPredictor(name).predict(observed))
    error = lambda predictor: np.mean((predictor.predict(whole[:, :OBSERVED]) - whole[:, OBSERVED:]) ** 2)
    assert error(predictor) < error(PathPredictor(name))


def test_place_and_direction_do_not_matter() -> None:
    """A path that lies elsewhere, by millions of metres, and heads elsewhere, is predicted alike."""
    predictor = PathPredictor(model()[0]).fit(windows(3, seed=1))
    observed = windows(5)[:, :OBSERVED]
    turn, far = np.array([[0.6, -0.8], [0.8, 0.6]]), np.array([5.0e6, -4.0e6])
    expected = predictor.predict(observed) @ turn + far
    np.testing.assert_allclose(predictor.predict(observed @ turn + far), expected, atol=1e-3)


def test_no_answer_depends_on_the_other_paths() -> None:
    predictor = PathPredictor(model()[0])
    observed = windows(40)[:, :OBSERVED]
    np.testing.assert_array_equal(predictor.predict(observed)[7:8], predictor.predict(observed[7:8]))


def test_it_is_copied_and_pickled_as_an_estimator_is() -> None:
    predictor = PathPredictor(model()[0]).fit(windows(3, seed=1))
    observed = windows(5)[:, :OBSERVED]
    again = pickle.loads(pickle.dumps(predictor))  # noqa: S301
    np.testing.assert_array_equal(again.predict(observed), predictor.predict(observed))
    assert not hasattr(clone(predictor), "adapted_")
    assert clone(predictor).get_params() == {"model": model()[0]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((3, OBSERVED)), "X: got shape (3, 12), expected [paths, 12, 2], positions in metres"),
        (np.zeros((0, OBSERVED, 2)), "X: got shape (0, 12, 2)"),
        (np.full((1, OBSERVED, 2), np.nan), "X: got positions that are not finite, expected finite numbers"),
        ([["a"]], "X: got what is no array of numbers"),
    ],
)
def test_positions_that_will_not_do_are_refused(given: Any, said: str) -> None:
    with refused(re.escape(said)):
        PathPredictor(model()[0]).predict(given)


def test_too_short_paths_are_nothing_to_learn_from() -> None:
    predictor = PathPredictor(model()[0])
    with refused(re.escape("X: got shape (3, 12, 2), expected [paths, 16, 2], positions in metres")):
        predictor.fit(windows(3)[:, :OBSERVED])
    assert not hasattr(predictor, "adapted_")


def test_models_of_images_and_of_paths_are_told_apart() -> None:
    with refused("model: got 'characters', expected a model of paths"):
        PathPredictor("characters").predict(np.zeros((1, OBSERVED, 2)))
    with refused("expected a model that names classes"):
        FewShotClassifier(model()[0]).fit(np.zeros((2, 28, 28)), [0, 1])
