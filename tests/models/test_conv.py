import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.models.specs import IMAGES, TOKENS, VECTORS, spec
from tests.reference import conv as twin
from tests.reference.rounding import rounding
from tests.sentences import refused

from fastslow.models.conv import EPSILON, ConvBlock, ConvConfig, ConvEmbedding, max_pool

pytestmark = pytest.mark.usefixtures("double")

RNG = np.random.default_rng(0)
ROUNDING = rounding(300, scale=30, precision=np.float64)
"""Sums of up to 105 numbers a block and two blocks; a variance of 1e-3 makes 30 of a difference of 1."""


def block(channels_in: int = 2, channels: int = 3) -> ConvBlock:
    """A block with scales of both signs and a zero, where pooling first is least like pooling last."""
    fresh = ConvBlock(channels_in, channels, key=jax.random.key(0))
    scale, shift = jnp.asarray([1.5, -0.8, 0.0])[:channels], jnp.asarray([0.2, 0.1, 0.3])[:channels]
    return eqx.tree_at(lambda b: (b.scale, b.shift), fresh, (scale, shift))


def embedding() -> ConvEmbedding:
    embed = ConvEmbedding(4, 3, 2, size=6, key=jax.random.key(1))
    scales = lambda e: [b.scale for b in e.blocks]
    return eqx.tree_at(scales, embed, [jnp.asarray([1.5, -0.8, 0.5]), jnp.asarray([-1.0, 1.0, 2.0])])


def weights(embed: ConvEmbedding) -> tuple:
    blocks = [tuple(np.array(w) for w in (b.kernel, b.scale, b.shift)) for b in embed.blocks]
    return blocks, np.array(embed.project.weight), np.array(embed.project.bias)


@pytest.mark.parametrize("given", [False, True], ids=["batch moments", "given moments"])
@pytest.mark.parametrize("size", [(4, 4), (5, 7)], ids=["even", "odd"])
def test_a_block_is_convolution_normalisation_relu_pooling(size: tuple[int, int], given: bool) -> None:
    x = RNG.normal(size=(2, *size, 2))
    moments = (np.array([0.1, -0.2, 0.3]), np.array([0.5, 2.0, 1e-3])) if given else None
    ours = block()
    y, used = eqx.filter_jit(ours)(jnp.asarray(x), None if moments is None else tuple(map(jnp.asarray, moments)))
    arrays = (np.array(w) for w in (ours.kernel, ours.scale, ours.shift))
    expected, seen = twin.conv_block(x, *arrays, moments, EPSILON)
    np.testing.assert_allclose(y, expected, rtol=ROUNDING, atol=ROUNDING)
    for mine, theirs in zip(used, seen, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=ROUNDING, atol=ROUNDING)


def test_the_embedding_is_the_twin() -> None:
    embed, images = embedding(), RNG.uniform(size=(3, 6, 6))
    features, used = eqx.filter_jit(embed)(jnp.asarray(images), None)
    expected, seen = twin.embed(images, *weights(embed), None, EPSILON)
    np.testing.assert_allclose(features, expected, rtol=ROUNDING, atol=ROUNDING)
    for i, (mean, variance) in enumerate(seen):
        np.testing.assert_allclose(used.means[i], mean, rtol=ROUNDING, atol=ROUNDING)
        np.testing.assert_allclose(used.variances[i], variance, rtol=ROUNDING, atol=ROUNDING)
    # every vector has length √features, but for what keeps an empty one from infinity
    x = jnp.asarray(images)[..., None]
    for block in embed.blocks:
        x, _ = block(x, None)
    means = np.mean(np.square(jax.vmap(embed.project)(x.reshape(3, -1))), axis=1)
    lengths = np.sum(np.square(features), axis=1) / features.shape[1]
    np.testing.assert_allclose(lengths, means / (means + EPSILON), rtol=ROUNDING)
    assert (lengths > 0.99).all()


def test_given_statistics_make_each_image_stand_alone() -> None:
    embed, images = embedding(), jnp.asarray(RNG.uniform(size=(3, 6, 6)))
    run = eqx.filter_jit(embed)
    features, used = run(images, None)
    again, same = run(images, used)
    np.testing.assert_allclose(again, features, rtol=ROUNDING, atol=ROUNDING)
    assert eqx.tree_equal(same, used)
    np.testing.assert_allclose(run(images[1:2], used)[0], features[1:2], rtol=ROUNDING, atol=ROUNDING)
    assert np.abs(run(images[1:2], None)[0] - features[1:2]).max() > 1e-3


def test_gradients_are_finite_differences() -> None:
    embed, images = embedding(), jnp.asarray(RNG.uniform(size=(3, 6, 6)))
    check_grads(jax.jit(lambda e, x: e(x, None)[0]), (embed, images), order=1, modes=["rev"], eps=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_blank_images_have_finite_features_and_gradients(value: float) -> None:
    """All pixels equal: inner variances of zero at the first block's middle, a feature vector that may be zero."""
    embed = jax.tree.map(lambda w: w.astype(np.float32), embedding())
    images = jnp.full((3, 6, 6), value, np.float32)

    def loss(embed):
        return jnp.sum(embed(images, None)[0])

    value, gradient = jax.jit(jax.value_and_grad(loss))(embed)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


def test_pooling_takes_the_largest_and_drops_an_odd_edge() -> None:
    x = jnp.arange(15.0).reshape(1, 3, 5, 1)
    assert max_pool(x)[0, :, :, 0].tolist() == [[6.0, 8.0]]


def test_neutral_statistics_fit_the_blocks() -> None:
    embed = embedding()
    neutral = embed.neutral()
    images = jnp.asarray(RNG.uniform(size=(2, 6, 6)))
    assert jax.tree.structure(neutral) == jax.tree.structure(embed(images, None)[1])
    assert all((m == 0).all() for m in neutral.means)
    assert all((v == 1).all() for v in neutral.variances)


def test_its_settings_build_it() -> None:
    embed = ConvConfig(features=5, channels=3, blocks=2).build(IMAGES, key=jax.random.key(0))
    assert embed.out_size == 5
    assert [block.kernel.shape for block in embed.blocks] == [(3, 3, 1, 3), (3, 3, 3, 3)]
    assert embed.project.weight.shape == (5, 3)  # one pixel is left of four by four
    features, _ = jax.eval_shape(embed, jax.ShapeDtypeStruct((2, 4, 4), float), None)
    assert features.shape == (2, 5)


def test_an_odd_image_loses_its_edge() -> None:
    embed = ConvConfig(features=5, channels=3, blocks=2).build(spec((7, 7)), key=jax.random.key(0))
    features, _ = jax.eval_shape(embed, jax.ShapeDtypeStruct((2, 7, 7), float), None)
    assert features.shape == (2, 5)


@pytest.mark.parametrize("named", ["features", "channels", "blocks"])
@pytest.mark.parametrize("value", [0, -1])
def test_sizes_below_one_are_refused(named: str, value: int) -> None:
    with refused(f"{named}: got {value}"):
        ConvConfig(**{named: value}).build(spec((28, 28)), key=jax.random.key(0))


@pytest.mark.parametrize("given", [TOKENS, VECTORS, spec((4, 5)), spec((4, 4, 3))], ids=lambda one: str(one.shape))
def test_other_inputs_than_square_images_are_refused(given) -> None:
    with refused("embed: got 'conv', expected flatten or lookup, as task toy has no square images"):
        ConvConfig().build(given, key=jax.random.key(0))


def test_more_blocks_than_an_image_has_halves_are_refused() -> None:
    ConvConfig(blocks=2).build(IMAGES, key=jax.random.key(0))
    with refused("blocks: got 3, expected fewer, as images have 4 rows"):
        ConvConfig(blocks=3).build(IMAGES, key=jax.random.key(0))
