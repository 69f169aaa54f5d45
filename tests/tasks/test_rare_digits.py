"""The stream with rare digits: when a rare batch comes, what is in it, and what is measured."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastslow._checks import UserError
from fastslow.tasks.rare_digits import BLOCK, DigitsTask, RareDigitsConfig, RareDigitsTask

LABELS = np.arange(200) % 10


def images(labels: np.ndarray) -> jax.Array:
    """Each of one grey value, by which its label is known."""
    return jnp.asarray(np.broadcast_to(20 * labels[:, None, None], (len(labels), 28, 28)), jnp.uint8)


@pytest.fixture(scope="module")
def stream() -> RareDigitsTask:
    rare = LABELS >= 5
    found = jnp.asarray(np.flatnonzero(rare)), jnp.asarray(np.flatnonzero(~rare))
    return RareDigitsTask(images(LABELS), jnp.asarray(LABELS, jnp.uint8), *found, 4, 6, 3)


def test_every_fourth_batch_is_rare_and_smaller(stream: RareDigitsTask) -> None:
    draw = jax.jit(lambda key, step: stream.sample(key, step))
    seen = {False: set(), True: set()}
    for step in range(24):
        episode = draw(jax.random.key(step), jnp.asarray(step))
        rare = step % 4 == 3
        assert episode.mask.tolist() == [True] * (3 if rare else 6) + [False] * (3 if rare else 0)
        labels = np.asarray(jnp.argmax(episode.targets, axis=1))
        assert ((labels >= 5) == rare).all()
        np.testing.assert_allclose(episode.inputs.x[:, 0, 0] * 255 / 20, labels, rtol=1e-6)
        assert (episode.axis_index == (0 if rare else 1)).all()
        np.testing.assert_array_equal(episode.inputs.label[1:], episode.targets[:-1])
        assert not episode.inputs.label[0].any()
        seen[rare] |= set(labels.tolist())
    assert seen == {False: {0, 1, 2, 3, 4}, True: {5, 6, 7, 8, 9}}


def test_each_digit_is_measured_once() -> None:
    labels = np.arange(2 * BLOCK + 7) % 10
    task = DigitsTask(images(labels), jnp.asarray(labels, jnp.uint8), (1, 8))
    assert task.size() == 3
    blocks = [task.at(jnp.asarray(index)) for index in range(3)]
    assert [int(block.mask.sum()) for block in blocks] == [BLOCK, BLOCK, 7]
    shown = np.concatenate([np.asarray(jnp.argmax(block.targets, axis=1))[block.mask] for block in blocks])
    np.testing.assert_array_equal(shown, labels)
    groups = np.concatenate([np.asarray(block.axis_index)[block.mask] for block in blocks])
    np.testing.assert_array_equal(groups == 0, np.isin(labels, (1, 8)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rare": ()}, "rare: got (), expected some of the ten digits, each once, not all."),
        ({"rare": tuple(range(10))}, "not all."),
        ({"rare": (1, 1)}, "each once"),
        ({"rare": (1, 12)}, "rare: got (1, 12), expected digits from 0 to 9."),
        ({"rare_batch": 17}, "rare_batch: got 17, expected at most 16, the digits of a frequent one."),
        ({"every": 0}, "every: got 0, expected an integer from 1 to 1000000"),
    ],
)
def test_settings_that_make_no_stream_are_refused(change: dict, said: str) -> None:
    with pytest.raises(UserError) as raised:
        replace(RareDigitsConfig(), **change).build()
    assert said in str(raised.value)
