import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.specs import IMAGES, TOKENS, VECTORS, spec
from tests.sentences import refused

from fastslow.models.lookup import LookupConfig

KEY = jax.random.key(0)


def test_a_token_is_a_row_of_the_table() -> None:
    embed = LookupConfig(features=4).build(TOKENS, key=KEY)
    assert embed.table.shape == (7, 4)
    assert embed.out_size == 4
    rows, tracked = embed(jnp.asarray([6, 0, 6]), embed.neutral())
    np.testing.assert_array_equal(rows, embed.table[np.array([6, 0, 6])])
    assert not jax.tree.leaves(tracked)


def test_the_gradient_reaches_the_rows_that_were_looked_up() -> None:
    embed = LookupConfig(features=4).build(TOKENS, key=KEY)
    gradient = jax.grad(lambda embed: jnp.sum(embed(jnp.asarray([6, 2, 6]), None)[0]))(embed)
    expected = np.zeros((7, 4))
    expected[6], expected[2] = 2, 1
    np.testing.assert_array_equal(gradient.table, expected)


def test_rows_are_drawn_with_a_deviation_of_one_over_the_root_of_their_size() -> None:
    features, tokens = 16, 1000
    embed = LookupConfig(features).build(spec((), tokens=tokens), key=KEY)
    scaled = np.asarray(embed.table, np.float64) * np.sqrt(features)
    # 5 sigma of a mean and of a variance of so many numbers
    assert abs(scaled.mean()) < 5 / np.sqrt(scaled.size)
    assert abs(scaled.var() - 1) < 5 * np.sqrt(2 / scaled.size)


@pytest.mark.parametrize("given", [IMAGES, VECTORS], ids=["images", "vectors"])
def test_other_inputs_than_tokens_are_refused(given) -> None:
    with refused("embed: got 'lookup', expected conv or flatten, as inputs of task toy are no tokens"):
        LookupConfig().build(given, key=KEY)


def test_no_features_are_refused() -> None:
    with refused("features: got 0"):
        LookupConfig(0).build(TOKENS, key=KEY)
