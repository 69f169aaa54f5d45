"""How the released model of paths is measured."""

import numpy as np
from scripts.check_paths import AFTER, CONSTANT, FITTED, UNFITTED, constant_velocity, errors, measure, rows
from tests.estimators.test_paths import model
from tests.sentences import refused
from tests.tasks.test_tracks import OBSERVED, PREDICTED, windows

from fastslow.zoo.saved import load


def test_errors_are_their_twins() -> None:
    found, truth = windows(3)[:, OBSERVED:], windows(3, seed=1)[:, OBSERVED:]
    given = errors(found, truth)
    squares, ways, ends = [], [], []
    for ours, theirs in zip(found, truth, strict=True):
        away = [float(np.hypot(*(a - b))) for a, b in zip(ours, theirs, strict=True)]
        squares += [(a - b) ** 2 for a, b in zip(ours.ravel(), theirs.ravel(), strict=True)]
        ways += away
        ends.append(away[-1])
    np.testing.assert_allclose([given[name] for name in ("MSE", "ADE", "FDE")], [*map(np.mean, (squares, ways, ends))])


def test_constant_velocity_is_that_of_the_last_ten_positions() -> None:
    straight = np.arange(OBSERVED + PREDICTED)[None, :, None] * np.array([0.5, -0.2])
    observed = straight[:, :OBSERVED].copy()
    observed[:, 0] += 3.0  # before the last ten steps
    np.testing.assert_allclose(constant_velocity(observed, PREDICTED), straight[:, OBSERVED:])


def test_each_draw_predicts_other_paths_than_it_learns_from() -> None:
    given = windows(FITTED + 4)
    found = measure(model()[0], given, OBSERVED, draws=2)
    assert list(found) == [UNFITTED, AFTER, CONSTANT]
    for draw in range(2):
        tested = given[np.random.default_rng(draw).permutation(len(given))[FITTED:]]
        expected = errors(constant_velocity(tested[:, :OBSERVED], PREDICTED), tested[:, OBSERVED:])
        for metric, value in expected.items():
            assert found[CONSTANT][metric][draw] == value
    assert found[AFTER]["MSE"] != found[UNFITTED]["MSE"]


def test_a_model_of_something_else_is_refused() -> None:
    for name in ("characters", model()[0]):
        with refused("expected a model of paths that was trained on SinD"):
            rows(load(name), name, 2, None)
