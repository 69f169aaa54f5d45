"""The loss mask: which steps make a segment's loss, and where predictors speak of the summed loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.rounding import rounding
from tests.synthetic.tiny import MASKS, segment_of

from fastslow.cells.context import ContextAndQueries
from fastslow.synthetic.segment import Segment, with_mask
from fastslow.tasks.targets import Categorical, Gaussian

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES, ROUNDING = 3, 2, rounding(50, precision=np.float64)


def outputs(width: int) -> tuple[np.ndarray, ContextAndQueries]:
    rows = np.random.default_rng(0).normal(size=(SUPPORT + QUERIES, width))
    return rows, ContextAndQueries(jnp.asarray(rows[:SUPPORT]), jnp.asarray(rows[SUPPORT:]))


@pytest.mark.parametrize("mask", MASKS)
def test_the_loss_is_the_mean_over_the_steps_of_the_mask(mask: str) -> None:
    segment, (rows, given) = segment_of(SUPPORT, QUERIES, mask), outputs(2)
    counted, classes = np.concatenate(MASKS[mask](SUPPORT, QUERIES)), np.arange(SUPPORT + QUERIES) % 2
    each = [np.log(np.exp(row).sum()) - row[c] for row, c in zip(rows, classes, strict=True)]
    expected = sum(nll for nll, counts in zip(each, counted, strict=True) if counts) / counted.sum()
    np.testing.assert_allclose(segment.loss(Categorical(2).nll, given), expected, rtol=ROUNDING)
    assert float(segment.steps) == counted.sum()


def test_any_nll_will_do() -> None:
    rows, given = outputs(2)
    values = ContextAndQueries(jnp.ones((SUPPORT, 1)), jnp.full((QUERIES, 1), 2.0))
    mask = ContextAndQueries(jnp.asarray([True, False, False]), jnp.asarray([False, True]))
    gaussian, means, deviations = Gaussian(), rows[[0, 4], 0], np.log1p(np.exp(rows[[0, 4], 1])) + Gaussian.FLOOR
    nll = 0.5 * ((np.array([1, 2]) - means) / deviations) ** 2 + np.log(deviations) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(Segment(given, values, mask).loss(gaussian.nll, given), nll.mean(), rtol=ROUNDING)


@pytest.mark.parametrize("mask", MASKS)
def test_steps_outside_of_the_mask_change_neither_loss_nor_gradient(mask: str) -> None:
    segment, (_, given) = segment_of(SUPPORT, QUERIES, mask), outputs(2)
    moved = jax.tree.map(lambda row, counts: row + jnp.where(counts, 0, 9.0)[:, None], given, segment.loss_mask)
    loss, slopes = jax.value_and_grad(lambda given: segment.loss(Categorical(2).nll, given))(given)
    other, other_slopes = jax.value_and_grad(lambda given: segment.loss(Categorical(2).nll, given))(moved)
    assert loss == other
    for rows, other_rows, counts in zip(*map(jax.tree.leaves, (slopes, other_slopes, segment.loss_mask)), strict=True):
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_array_equal((rows != 0).any(axis=1), counts)


@pytest.mark.parametrize("mask", MASKS)
def test_rows_of_the_mask_alone_are_multiplied(mask: str) -> None:
    segment, (_, given) = segment_of(SUPPORT, QUERIES, mask), outputs(4)
    both = ContextAndQueries({"wide": given.context, "narrow": given.context[:, :1]}, {"wide": given.queries})
    scaled = segment.times(both, jnp.asarray(5.0))
    for part in ("context", "queries"):
        counted = np.asarray(getattr(segment.loss_mask, part))
        for name, rows in getattr(both, part).items():
            expected = np.where(counted[:, None], 5.0, 1.0) * rows
            np.testing.assert_array_equal(getattr(scaled, part)[name], expected)


@pytest.mark.parametrize(("context", "queries"), [(True, False), (False, True), (True, True)])
def test_whole_parts_may_make_the_loss(context: bool, queries: bool) -> None:
    given = segment_of(SUPPORT, QUERIES)
    segment = with_mask(given.inputs, given.labels, context=context, queries=queries)
    assert segment.loss_mask.context.tolist() == [context] * SUPPORT
    assert segment.loss_mask.queries.tolist() == [queries] * QUERIES
    assert float(segment.steps) == SUPPORT * context + QUERIES * queries
