"""Labelled slots: what is kept against one write after the other, and what is read against a naive twin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.any_way import answer, kept

from fastslow.memory.labelled import KEEP, Keep, LabelledSlots, kept_items, read

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("slots", [0, 1, 3, 7, 20, 30])
def test_what_is_kept_is_what_one_write_after_the_other_leaves(keep: Keep, slots: int) -> None:
    rng = np.random.default_rng(slots)
    for _ in range(20):
        labels = rng.integers(0, 5, 20)
        found = kept_items(jnp.asarray(labels), slots, keep)
        assert sorted(found.tolist()) == sorted(kept(labels, slots, keep == "class-balanced"))


def test_class_balanced_eviction_keeps_every_class_that_has_a_slot() -> None:
    labels = np.array([3, 2, 1, 0, 0, 0, 0, 0, 0, 0])
    assert set(labels[kept_items(jnp.asarray(labels), 4, "class-balanced")]) == {0, 1, 2, 3}
    assert set(labels[kept_items(jnp.asarray(labels), 4, "least-used")]) == {0}


@pytest.mark.parametrize("without", [None, 4])
@pytest.mark.parametrize("slots", [0, 1, 6])
def test_a_read_agrees_with_a_naive_twin(slots: int, without: int | None) -> None:
    rng = np.random.default_rng(1)
    keys, values = rng.normal(size=(slots, 5)), rng.normal(size=(slots, 5))
    labels, items, query = rng.integers(0, 4, slots), np.arange(slots)[::-1] + 4, rng.normal(size=5)
    memory = LabelledSlots(jnp.asarray(keys), jnp.asarray(values), jnp.asarray(labels), jnp.asarray(items))
    excluded = None if without is None else jnp.asarray(without)
    content, vote = read(memory, jnp.asarray(query), jnp.asarray(7.0), 4, jnp.asarray(-3.0), excluded)
    # a decoder of zeros and a gain of 1 leave the vote alone; the content is seen through a controller, so by hand
    naive = [row for row in zip(keys, values, labels, items, strict=True) if row[3] != without]
    zeros = {"in": np.zeros((20, 10)), "bias": np.zeros(20)}
    fast = {"output": zeros, "decoder": np.zeros((4, 5))}
    _, expected = answer({"temperature": 7.0, "gain": 1.0, "absent": -3.0}, fast, naive, query, 4)
    np.testing.assert_allclose(vote, expected, rtol=1e-12)
    powers = np.array([np.exp(7 * (k @ query) / np.linalg.norm(k) / np.linalg.norm(query)) for k, *_ in naive])
    by_hand = sum((p * v for p, (_, v, *_) in zip(powers / powers.sum(), naive, strict=True)), np.zeros(5))
    np.testing.assert_allclose(content, by_hand, rtol=0, atol=1e-12)


def test_gradients_are_finite_where_the_only_slot_is_not_read() -> None:
    def total(keys: jax.Array) -> jax.Array:
        memory = LabelledSlots(keys, keys, jnp.zeros(1, int), jnp.zeros(1, int))
        content, vote = read(memory, jnp.ones(3), jnp.asarray(10.0), 2, jnp.asarray(-3.0), jnp.asarray(0))
        return jnp.sum(content) + jnp.sum(vote)

    assert np.isfinite(jax.grad(total)(jnp.ones((1, 3)))).all()
    assert total(jnp.ones((1, 3))) == pytest.approx(2 * -3.0)
