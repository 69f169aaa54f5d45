"""Slots written by a fixed similarity, against a memory that is written slot by slot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.sentences import refused

from fastslow.memory.slots import KeyValueSlots
from fastslow.memory.threshold import ThresholdSlots, ThresholdSlotsConfig

pytestmark = pytest.mark.usefixtures("double")

SLOTS, WIDTH = 3, 4


@pytest.mark.parametrize("threshold", [-1.0, 0.3, 0.8, 1.0])
def test_a_like_key_is_overwritten_and_any_other_goes_to_the_least_used_slot(threshold: float) -> None:
    key_value = KeyValueSlots(SLOTS, WIDTH, "random", key=jax.random.key(0))
    memory = ThresholdSlots(key_value, threshold)
    state = memory.init_state()
    keys, values = np.array(state.keys), np.array(state.values)
    usage, ways = np.zeros(SLOTS), set()
    rng = np.random.default_rng(1)
    step = jax.jit(lambda s, q, u: (memory.read(s, q), memory.write(s, memory.read(s, q), q, u)))
    centers = rng.normal(size=(2, WIDTH))
    for t in range(40):
        query, update = centers[t % 2] + 0.4 * rng.normal(size=WIDTH), rng.normal(size=WIDTH)
        cosines = keys @ query / np.linalg.norm(keys, axis=1) / np.linalg.norm(query)
        # a rounding error must not decide
        if abs(cosines.max() - threshold) < 1e-9:
            continue
        powers = np.exp(10 * cosines)
        scores = powers / powers.sum()
        alike = cosines.max() >= threshold
        slot = int(np.argmax(cosines)) if alike else int(np.argmin(usage))
        reading, state = step(state, jnp.asarray(query), jnp.asarray(update))
        np.testing.assert_allclose(reading.content, scores @ values, rtol=1e-9, atol=1e-12)
        keys[slot], values[slot] = query, update
        usage = 0.99 * usage + scores
        usage[slot] += 1
        ways.add(alike)
        np.testing.assert_allclose(state.keys, keys, rtol=1e-12)
        np.testing.assert_allclose(state.values, values, rtol=1e-12)
    assert ways == {-1.0: {True}, 0.3: {True, False}, 0.8: {True, False}, 1.0: {False}}[threshold]


def test_a_threshold_that_is_no_cosine_is_refused() -> None:
    with refused("threshold: got 1.5, expected a cosine, from -1 to 1"):
        ThresholdSlotsConfig(threshold=1.5).build(WIDTH, key=jax.random.key(0))
