"""Metrics: sums over steps and labels, and their reduction, against loops and against what they promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference import metrics as reference

from fastslow._checks import UserError
from fastslow.metrics import ACCURACY, LOG_LIKELIHOOD, LOSS, Axis, Figure, Metric, by_label, over_steps

INSTANCE = Axis("instance", (1, 2, 5, 10))


@pytest.fixture
def steps():
    """Scores, mask and instances of three sequences of twelve steps."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(3, 12)).astype(np.float32)
    return scores, random.random((3, 12)) < 0.7, random.integers(0, 12, (3, 12)).astype(np.int32)


def close(found, expected, terms):
    """Equal but for the rounding of a float32 sum of so many terms, each at most 4."""
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=terms * 4 * np.finfo(np.float32).eps)


def test_scores_are_summed_for_each_label(steps):
    scores, mask, labels = steps
    figure = jax.jit(by_label, static_argnums=3)(*map(jnp.asarray, steps), INSTANCE)
    total, count = reference.by_label(scores, mask, labels, (1, 2, 5, 10))
    assert figure.total.shape == (3, 4)
    close(figure.total, total, 12)
    np.testing.assert_array_equal(np.asarray(figure.count), count)
    assert count.sum() > 0


def test_names_are_found_by_their_position(steps):
    scores, mask, labels = steps
    figure = by_label(*map(jnp.asarray, steps), Axis("task", ("one", "two", "three")))
    total, count = reference.by_label(scores, mask, labels, (0, 1, 2))
    close(figure.total, total, 12)
    np.testing.assert_array_equal(np.asarray(figure.count), count)


def test_scores_are_summed_over_steps(steps):
    scores, mask, _ = steps
    figure = over_steps(jnp.asarray(scores), jnp.asarray(mask))
    total, count = reference.over_steps(scores, mask)
    close(figure.total, total, 12)
    np.testing.assert_array_equal(np.asarray(figure.count), count)


def test_what_the_mask_leaves_out_may_be_anything(steps):
    scores, mask, labels = steps
    spoilt = np.where(mask, scores, np.nan)
    for clean, other in (
        (over_steps(jnp.asarray(scores), jnp.asarray(mask)), over_steps(jnp.asarray(spoilt), jnp.asarray(mask))),
        (
            by_label(jnp.asarray(scores), jnp.asarray(mask), jnp.asarray(labels), INSTANCE),
            by_label(jnp.asarray(spoilt), jnp.asarray(mask), jnp.asarray(labels), INSTANCE),
        ),
    ):
        np.testing.assert_array_equal(np.asarray(clean.total), np.asarray(other.total))


def test_a_value_is_total_by_count_and_nothing_where_nothing_counts():
    figure = Figure(np.array([1.0, 0.0], np.float32), np.array([4.0, 0.0], np.float32))
    np.testing.assert_array_equal(np.asarray(figure.value), [0.25, np.nan])


@pytest.fixture
def counted():
    """Totals and counts of two seeds, thirty episodes, four labels; the third label never counts."""
    random = np.random.default_rng(1)
    count = random.integers(0, 6, (2, 30, 4)).astype(np.float64)
    count[..., 2] = 0
    return random.binomial(count.astype(int), 0.6).astype(np.float64), count


def test_reduction_is_the_linearised_ratio(counted):
    total, count = counted
    reduced = ACCURACY.along(INSTANCE).reduce(Figure(total, count))
    assert list(reduced) == [1, 2, 10]
    for label, place in ((1, 0), (2, 1), (10, 3)):
        expected = reference.linearised(total[..., place], count[..., place])
        np.testing.assert_allclose(reduced[label], expected, rtol=1e-13)
        assert reduced[label].mean() == pytest.approx(total[..., place].sum() / count[..., place].sum(), rel=1e-14)


def test_reduction_has_the_spread_of_the_ratio():
    """The standard error from one evaluation agrees with the spread of the ratio over 4,000 evaluations of 200.

    An estimated deviation of n draws errs by 1 / sqrt(2 n) of itself: 5 % within one evaluation, 1.1 % over all. The
    mean over 100 evaluations errs by 0.5 %; 5 % is four of both errors together.
    """
    random = np.random.default_rng(2)
    count = random.integers(1, 9, (4000, 200)).astype(np.float64)
    total = random.binomial(count.astype(int), 0.7).astype(np.float64)
    spread = (total.sum(axis=1) / count.sum(axis=1)).std(ddof=1)
    errors = [
        ACCURACY.reduce(Figure(total[i : i + 1], count[i : i + 1]))[None].std(ddof=1) / np.sqrt(200) for i in range(100)
    ]
    assert np.mean(errors) == pytest.approx(spread, rel=0.05)


def test_equal_counts_give_each_episode_its_own_mean():
    total = np.random.default_rng(3).normal(size=(2, 5))
    reduced = LOSS.reduce(Figure(total, np.full((2, 5), 8.0)))
    assert list(reduced) == [None]
    np.testing.assert_allclose(reduced[None], total / 8, rtol=1e-13)


@pytest.mark.parametrize(("common", "reported"), [(5, [1, 20]), (4, [1])])
def test_an_optional_label_is_reported_where_it_is_common(common, reported):
    metric = ACCURACY.along(Axis("instance", (1, 20), optional=(20,)))
    count = np.ones((1, 10, 2))
    count[0, common:, 1] = 0
    assert list(metric.reduce(Figure(0.5 * count, count))) == reported


def test_nothing_to_count_and_other_axes_are_refused():
    zero = np.zeros((1, 3))
    with pytest.raises(UserError, match="no episode counts"):
        ACCURACY.reduce(Figure(zero, zero))
    with pytest.raises(UserError, match="accuracy/instance"):
        ACCURACY.along(INSTANCE).reduce(Figure(zero, zero))
    with pytest.raises(UserError, match="accuracy"):
        ACCURACY.reduce(Figure(np.zeros((1, 3, 4)), np.zeros((1, 3, 4))))


def test_keys_and_axes_of_rows():
    assert [metric.key for metric in (ACCURACY, LOG_LIKELIHOOD, LOSS)] == ["accuracy", "log_likelihood", "loss"]
    assert ACCURACY.along(INSTANCE).key == "accuracy/instance"
    assert ACCURACY.along(INSTANCE).at(2) == {"instance": 2}
    assert ACCURACY.at(None) == {}
    assert (ACCURACY.larger_is_better, LOSS.larger_is_better) == (True, False)


@pytest.mark.parametrize("labels", [(), (1, 1), (1, "a"), (True, False)], ids=str)
def test_labels_that_cannot_be_told_apart_are_refused(labels):
    with pytest.raises(UserError, match="labels"):
        Axis("instance", labels)


def test_optional_labels_are_labels_and_a_share_has_its_bounds():
    with pytest.raises(UserError, match="optional"):
        Axis("instance", (1, 2), optional=(3,))
    with pytest.raises(UserError, match="bounds"):
        Metric("accuracy", "share", None, larger_is_better=True)
