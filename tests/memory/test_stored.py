"""Examples that are held: against a list that is written one example after the other."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastslow.memory.labelled import KEEP, Keep
from fastslow.memory.stored import no_examples, store

CLASSES = 4


def naive(held: list[tuple[float, int]], new: list[tuple[float, int]], slots: int, keep: Keep) -> list:
    for example in new:
        held = [*held, example]
        if len(held) <= slots:
            continue
        out = 0
        if keep == "class-balanced":
            counts = [sum(label == other for _, other in held) for _, label in held]
            out = counts.index(max(counts))
        held = held[:out] + held[out + 1 :]
    return held


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("slots", [1, 3, 10])
def test_what_is_held_is_what_one_write_after_the_other_leaves(keep: Keep, slots: int) -> None:
    rng = np.random.default_rng(slots)
    write = jax.jit(partial(store, keep=keep))
    held, expected = no_examples(slots, (2,), CLASSES), []
    for batch in range(6):
        labels = rng.integers(0, CLASSES, 5)
        numbers, mask = 5.0 * batch + np.arange(5), rng.uniform(size=5) < 0.8
        inputs = jnp.asarray(np.stack([numbers, -numbers], axis=1), jnp.float32)
        held = write(held, inputs, jax.nn.one_hot(labels, CLASSES), jnp.asarray(mask))
        new = [(number, int(label)) for number, label, there in zip(numbers, labels, mask, strict=True) if there]
        expected = naive(expected, new, slots, keep)
        filled = np.asarray(held.filled)
        assert filled.tolist() == [False] * (slots - len(expected)) + [True] * len(expected)
        assert held.inputs[filled].tolist() == [[number, -number] for number, _ in expected]
        assert jnp.argmax(held.targets[filled], axis=1).tolist() == [label for _, label in expected]


def test_a_class_that_came_once_stays_where_the_classes_are_balanced() -> None:
    labels = jnp.asarray([3] + [0, 1, 2] * 30)
    given = jnp.arange(91.0)[:, None], jax.nn.one_hot(labels, CLASSES), jnp.ones(91, bool)
    held = {keep: store(no_examples(4, (1,), CLASSES), *given, keep) for keep in KEEP}
    assert set(jnp.argmax(held["class-balanced"].targets, axis=1).tolist()) == {0, 1, 2, 3}
    assert 3 not in jnp.argmax(held["least-used"].targets, axis=1).tolist()
