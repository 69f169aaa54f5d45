import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.specs import IMAGES, TOKENS, VECTORS
from tests.sentences import refused

from fastslow.models.flatten import FlattenConfig

KEY = jax.random.key(0)


@pytest.mark.parametrize("given", [IMAGES, VECTORS], ids=["images", "vectors"])
def test_an_input_is_laid_out_row_after_row(given) -> None:
    embed = FlattenConfig().build(given, key=KEY)
    x = np.random.default_rng(0).normal(size=(3, *given.shape)).astype(np.float32)
    rows, tracked = embed(jnp.asarray(x), embed.neutral())
    assert rows.shape == (3, embed.out_size)
    for row, one in zip(rows, x, strict=True):
        assert row.tolist() == list(one.flat)
    assert tracked == embed.neutral()
    assert not jax.tree.leaves((embed, tracked))  # neither trained nor tracked


def test_tokens_are_refused() -> None:
    with refused("embed: got 'flatten', expected lookup, as inputs of task toy are tokens"):
        FlattenConfig().build(TOKENS, key=KEY)
