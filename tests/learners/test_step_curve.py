"""Errors after each step, of the tracks learned from, of others, and of these by group."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.targets import path_errors

from fastslow.baselines.constant_motion import ConstantMotion
from fastslow.learners.step_curve import StepCurve
from fastslow.metrics import Axis
from fastslow.tasks.base import Examples, FewShotEpisode
from fastslow.tasks.tracks import TracksConfig

pytestmark = pytest.mark.usefixtures("double")
OBSERVED, PREDICTED, STEPS = 12, 3, 2
CONFIG = TracksConfig(observed=OBSERVED, predicted=PREDICTED, scale=2.0)
KEY, GROUPS = jax.random.key(0), Axis("motion", ("moving", "standing"))
BATCH, SUPPORT, QUERY = 3, 2, 4


def some(count: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    return Examples(
        jnp.asarray(rng.normal(size=(count, OBSERVED, 2))), jnp.asarray(rng.normal(size=(count, 2 * PREDICTED)))
    )


def episodes() -> FewShotEpisode:
    """A batch, each query in a group."""
    each = [
        FewShotEpisode(some(SUPPORT, 2 * n), some(QUERY, 2 * n + 1), groups=jnp.asarray(groups, jnp.int32))
        for n, groups in enumerate([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]])
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


class Guess:
    """Answers with the number of its step; once, if it does not step."""

    def predict(self, adapted: Any, inputs: jax.Array) -> jax.Array:
        return jnp.full((inputs.shape[0], 2 * PREDICTED), 1.0) * adapted


class Stepping(Guess):
    def after_each(self, state: Any, support: Examples, steps: int) -> jax.Array:
        return jnp.arange(steps + 1.0)


class Once(Guess):
    def adapt(self, state: Any, support: Examples, *, key: Any) -> jax.Array:
        return jnp.asarray(1.0)


def error_of(labels: np.ndarray, guess: float, which: int) -> np.ndarray:
    """One error of each path, in metres."""
    true = 2 * np.asarray(labels).reshape(-1, PREDICTED, 2)
    return np.array([path_errors(np.full((PREDICTED, 2), 2 * guess), each)[which] for each in true])


def measured(learner: Any) -> dict[str, Any]:
    curve = StepCurve(learner, CONFIG.target, STEPS, GROUPS)
    found = curve.evaluate(None, episodes(), key=KEY)
    assert found.keys() == {metric.key for metric in curve.metrics}
    return found


@pytest.mark.parametrize(("name", "which"), [("MSE", 0), ("ADE", 1), ("FDE", 2)])
def test_each_step_is_measured_on_both_parts(name: str, which: int) -> None:
    found, drawn = measured(Stepping()), episodes()
    for key, part in ((f"{name}/steps", drawn.query), (f"{name}_of_tracks_learned_from/steps", drawn.support)):
        assert found[key].total.shape == (BATCH, STEPS + 1)
        for episode in range(BATCH):
            for step in range(STEPS + 1):
                expected = error_of(part.labels[episode], step, which)
                np.testing.assert_allclose(found[key].total[episode, step], expected.sum(), rtol=1e-9)
                assert found[key].count[episode, step] == len(expected)


def test_after_all_steps_each_group_is_measured_by_itself() -> None:
    drawn, figure = episodes(), measured(Stepping())["MSE_after_all_steps/motion"]
    assert figure.count.tolist() == [[2, 2], [0, 4], [3, 1]]
    for episode in range(BATCH):
        errors = error_of(drawn.query.labels[episode], STEPS, 0)
        for group in range(2):
            chosen = errors[np.asarray(drawn.groups[episode]) == group]
            np.testing.assert_allclose(figure.total[episode, group], chosen.sum(), rtol=1e-9)


def test_what_adapts_once_stands_at_one_step() -> None:
    drawn, figure = episodes(), measured(Once())["MSE/steps"]
    assert figure.count.tolist() == [[0, QUERY, 0]] * BATCH
    np.testing.assert_allclose(figure.total[0, 1], error_of(drawn.query.labels[0], 1.0, 0).sum(), rtol=1e-9)


@pytest.mark.parametrize("origin", ["scene", "position", "velocity"])
@pytest.mark.parametrize("moves", [False, True])
def test_constant_motion_is_a_straight_line_or_a_place(origin: str, moves: bool) -> None:
    config = TracksConfig(observed=OBSERVED, predicted=PREDICTED, origin=origin)
    x = np.asarray(some(4, 2).inputs)
    if origin != "scene":
        x = x - x[:, -1:]
    found = ConstantMotion(config, moves).predict(None, jnp.asarray(x))
    velocity = (x[:, -1] - x[:, -11]) / 10
    for path, v, row in zip(x, velocity, found.reshape(4, PREDICTED, 2), strict=True):
        for frame, place in enumerate(row, start=1):
            expected = path[-1] + (frame * v if moves else 0)
            reference = frame * v if origin == "velocity" else 0
            np.testing.assert_allclose(place, expected - reference, atol=1e-9)
