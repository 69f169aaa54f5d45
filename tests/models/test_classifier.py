"""Networks without a state: embedding and head, or an embedding alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tests.models.specs import IMAGES, TOKENS, WAY
from tests.reference.rounding import operations_of, rounding
from tests.sentences import refused

from fastslow.models.classifier import ClassifierConfig
from fastslow.models.conv import ConvConfig
from fastslow.models.embedder import EmbedderConfig
from fastslow.models.lookup import LookupConfig

KEY = jax.random.key(0)
CONV = ConvConfig(features=6, channels=2, blocks=1)


def test_a_classifier_is_a_head_on_an_embedding() -> None:
    built = ClassifierConfig(CONV).build(IMAGES, key=KEY)
    x = jnp.asarray(np.random.default_rng(0).random((3, *IMAGES.shape)), jnp.float32)
    outputs, used = eqx.filter_jit(built.items)(x, None)
    features, expected_used = built.embed(x, None)
    rounded = rounding(operations_of(built), scale=10)
    assert outputs.shape == (3, WAY)
    for row, output in zip(features, outputs, strict=True):
        np.testing.assert_allclose(output, built.head(row), rtol=rounded, atol=rounded)
    for ours, theirs in zip(jax.tree.leaves(used), jax.tree.leaves(expected_used), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rounded, atol=rounded)
    alone, _ = eqx.filter_jit(built.items)(x[1:2], used)
    np.testing.assert_allclose(alone, outputs[1:2], rtol=rounded, atol=rounded)


def test_tokens_have_a_classifier_too() -> None:
    built = ClassifierConfig(LookupConfig(4)).build(TOKENS, key=KEY)
    outputs, _ = built.items(jnp.asarray([1, 6]), built.embed.neutral())
    np.testing.assert_allclose(outputs[0], built.head(built.embed.table[1]), rtol=0, atol=rounding(4, scale=4))


def test_an_embedder_is_its_embedding() -> None:
    built = EmbedderConfig(CONV).build(IMAGES, key=KEY)
    assert eqx.tree_equal(built.embed, CONV.build(IMAGES, key=KEY))
    assert not hasattr(built, "head")
    assert not hasattr(built, "cell")


def test_an_embedding_that_does_not_fit_is_refused() -> None:
    for config in (ClassifierConfig(), EmbedderConfig()):
        with refused("embed: got 'conv', expected flatten or lookup, as task toy has no square images"):
            config.build(TOKENS, key=KEY)
