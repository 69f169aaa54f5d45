"""The interval over episodes and seeds, against its formula in loops and against what it promises."""

import math

import numpy as np
import pytest
from scipy import stats

from fastslow._checks import UserError
from fastslow.results.statistics import interval

SHARE = (0.0, 1.0)


def test_one_seed_is_students_interval_over_episodes() -> None:
    figures = np.random.default_rng(0).uniform(0.4, 0.8, (1, 40)).astype(np.float32)
    mean, low, high = interval(figures, bounds=SHARE)
    expected = stats.ttest_1samp(figures[0].astype(float), 0).confidence_interval(0.95)
    np.testing.assert_allclose([mean, low, high], [figures[0].astype(float).mean(), expected.low, expected.high])


def test_several_seeds_follow_the_crossed_formula() -> None:
    figures = np.random.default_rng(1).uniform(0.3, 0.7, (3, 25))
    total = sum(sum(row) for row in figures) / 75
    by_seed = [sum(row) / 25 for row in figures]
    by_episode = [sum(figures[s][e] for s in range(3)) / 3 for e in range(25)]
    a = sum((x - total) ** 2 for x in by_seed) / 2 / 3
    b = sum((x - total) ** 2 for x in by_episode) / 24 / 25
    reach = stats.t.ppf(0.975, (a + b) ** 2 / (a**2 / 2 + b**2 / 24)) * math.sqrt(a + b)
    np.testing.assert_allclose(interval(figures, bounds=SHARE), [total, total - reach, total + reach])


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        seed, episode = random.normal(0, 0.02, (5, 1)), random.normal(0, 0.1, (1, 60))
        _, low, high = interval(0.5 + seed + episode + random.normal(0, 0.05, (5, 60)), bounds=None)
        hits += low <= 0.5 <= high
    assert 0.92 <= hits / 300 <= 0.99


def test_seeds_that_differ_widen_it() -> None:
    same = np.tile(np.random.default_rng(3).uniform(0.4, 0.6, 50), (3, 1))
    apart = same + np.array([[-0.1], [0.0], [0.1]])
    narrow, wide = interval(same, bounds=SHARE), interval(apart, bounds=SHARE)
    assert wide[2] - wide[1] > 3 * (narrow[2] - narrow[1])


def test_it_stays_within_its_bounds() -> None:
    figures = np.array([[1.0, 1.0, 0.8]])
    assert interval(figures, bounds=SHARE)[2] == 1.0
    assert interval(figures, bounds=None)[2] > 1.0
    assert interval(np.ones((2, 4)), bounds=SHARE) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("figures", [np.ones((1, 1)), np.array([[0.5, np.nan]]), np.array([[0.5, np.inf]])], ids=str)
def test_what_has_no_interval_is_refused(figures: np.ndarray) -> None:
    with pytest.raises(UserError, match="values"):
        interval(figures, bounds=None)
