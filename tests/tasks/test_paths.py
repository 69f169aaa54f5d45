"""The target of a path: loss and distances against their twin."""

import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference import targets as twin
from tests.sentences import refused

from fastslow.tasks.paths import Path

pytestmark = pytest.mark.usefixtures("double")
FRAMES = 6
TRUE, FOUND = np.random.default_rng(0).normal(size=(2, FRAMES, 2))


def test_distances_are_in_metres_and_the_loss_in_units_of_the_network() -> None:
    target, row = Path(FRAMES, 3.0, "m"), jnp.asarray(TRUE.ravel())
    scores = target.scores(jnp.asarray(FOUND.ravel()), row)
    mse, ade, fde = twin.path_errors(3 * FOUND, 3 * TRUE)
    np.testing.assert_allclose([scores["MSE"], scores["ADE"], scores["FDE"]], [mse, ade, fde], rtol=1e-12)
    nll = target.nll(jnp.asarray(FOUND.ravel()), row)
    np.testing.assert_allclose(nll, mse / 9, rtol=1e-12)


def test_it_says_what_it_is_measured_by() -> None:
    target = Path(FRAMES, 1.0, "px")
    assert [(metric.name, metric.unit) for metric in target.metrics] == [("MSE", "px²"), ("ADE", "px"), ("FDE", "px")]
    assert not any(metric.larger_is_better for metric in target.metrics)
    assert (target.outputs, target.size, target.chance, target.monitor.name) == (12, 12, None, "MSE")


def test_labels_and_answers_are_numbers_as_they_are() -> None:
    target = Path(FRAMES, 1.0, "m")
    rows = jnp.asarray(TRUE.reshape(1, -1))
    assert (target.shown(rows) == rows).all()
    assert (target.answer(rows) == rows).all()
    with refused("labels: got targets of Path, expected targets that are classes"):
        target.labels()


@pytest.mark.parametrize(
    ("frames", "scale", "said"), [(0, 1.0, "frames: got 0, expected"), (5, 0.0, "scale: got 0.0, expected")]
)
def test_what_is_no_path_is_refused(frames: int, scale: float, said: str) -> None:
    with refused(said):
        Path(frames, scale, "m")
