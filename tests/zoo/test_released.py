"""Released models give the answers that they gave when they were released."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastslow as fs

STORED = Path(__file__).with_name("released.npz")
"""Log-probabilities in double precision, of the code that the models were released with."""
TOLERANCE = 1e-6


def drawings(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) < 0.3).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "side", "labels", "stride"),
    [("characters", 28, np.arange(10) % 5, 1), ("omniglot-stream", 20, np.arange(12) % 4, 25)],
)
def test_released_models_answer_as_before(name: str, side: int, labels: np.ndarray, stride: int) -> None:
    seeds, queries = ((1, 2), 7) if stride == 1 else ((3, 4), 3)
    model = fs.load(name)
    with jax.enable_x64(True):
        to_double = lambda leaf: leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        state = jax.tree.map(to_double, model.state())
        support = fs.Examples(jnp.asarray(drawings((len(labels), side, side), seeds[0])), jnp.asarray(labels))

        @jax.jit
        def answer(state, support, queries):
            return model.learner.predict(model.learner.adapt(state, support, key=jax.random.key(0)), queries)

        found = np.asarray(answer(state, support, jnp.asarray(drawings((queries, side, side), seeds[1]))))
    with np.load(STORED, allow_pickle=False) as stored:
        np.testing.assert_allclose(found[:, ::stride], stored[name], rtol=0, atol=TOLERANCE)
