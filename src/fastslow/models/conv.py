"""The feature extractor `f_E`: convolution blocks over images, with batch statistics that are named, never implied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad, check_size
from .._typing import Key
from ..tasks.base import TaskSpec
from .convolution import convolve
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig

EPSILON = 1e-5


class Statistics(eqx.Module):
    """Mean and variance of each channel of each block; what batch normalisation normalises with.

    Attributes:
        means, variances: one vector a block.
    """

    means: tuple[Float[Array, " channels"], ...]
    variances: tuple[Float[Array, " channels"], ...]


def max_pool(x: Float[Array, "images height columns channels"]) -> Float[Array, "images half_h half_w channels"]:
    """2×2 max-pooling with stride 2; an odd last row or column is dropped.

    A maximum over two axes of a reshaped array: on a CPU much faster than a window operation and its backward pass.
    """
    images, height, columns, channels = x.shape
    x = x[:, : height // 2 * 2, : columns // 2 * 2]
    return jnp.max(x.reshape(images, height // 2, 2, columns // 2, 2, channels), axis=(2, 4))


def moments(
    x: Float[Array, "images height columns channels"],
) -> tuple[Float[Array, " channels"], Float[Array, " channels"]]:
    """Mean and variance of each channel, in one reading of the data: `E[x²] − E[x]²`, never below zero."""
    mean = jnp.mean(x, (0, 1, 2))
    return mean, jnp.maximum(jnp.mean(x**2, (0, 1, 2)) - mean**2, 0)


class ConvBlock(eqx.Module):
    """3×3 convolution · batch normalisation · ReLU · 2×2 max-pooling (fast-slow section 4.1)."""

    kernel: Float[Array, "3 3 channels_in channels"]
    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]

    output_axes: ClassVar[Mapping[str, int]] = {"kernel": -1}
    not_adapted: ClassVar[tuple[str, ...]] = ("scale", "shift")

    def __init__(self, channels_in: int, channels: int, *, key: Key):
        # He initialisation; a bias would be taken out again by the normalisation
        self.kernel = jax.random.normal(key, (3, 3, channels_in, channels)) * (2 / (9 * channels_in)) ** 0.5
        self.scale = jnp.ones(channels)
        self.shift = jnp.zeros(channels)

    def __call__(
        self,
        x: Float[Array, "images height columns channels_in"],
        given: tuple[Float[Array, " channels"], Float[Array, " channels"]] | None,
    ) -> tuple[Float[Array, "images half_h half_w channels"], tuple[Array, Array]]:
        """Returns the features and the mean and variance they were normalised with (`given`, or the batch's)."""
        x = convolve(x, self.kernel)
        mean, variance = moments(x) if given is None else given
        slope = self.scale * jax.lax.rsqrt(variance + EPSILON)
        # a·x + b and ReLU are monotone, so pooling first gives the same numbers from a quarter of the elements;
        # where a < 0 the largest output comes from the smallest input
        sign = jnp.where(slope < 0, -1.0, 1.0)
        pooled = max_pool(x * sign[None, None, None])
        normal = pooled * (slope * sign)[None, None, None] + (self.shift - mean * slope)[None, None, None]
        return jax.nn.relu(normal), (mean, variance)


class ConvEmbedding(AbstractEmbedding[Statistics]):
    """Convolution blocks, then one linear layer, then normalisation to length √features.

    The paper flattens the last block and uses that; the linear layer (576 → `features`) and the fixed length are
    ours: the controllers' weights are what the fast path changes, and steps of one size fit all only if their inputs
    are of one size.

    Attributes:
        blocks: the convolution blocks.
        project: the linear layer.
    """

    blocks: tuple[ConvBlock, ...]
    project: eqx.nn.Linear

    def __init__(self, features: int = 64, channels: int = 64, blocks: int = 3, size: int = 28, *, key: Key):
        for name, value in (("features", features), ("channels", channels), ("blocks", blocks)):
            check_size(name, value)
        key_project, *keys = jax.random.split(key, blocks + 1)
        self.blocks = tuple(ConvBlock(1 if i == 0 else channels, channels, key=k) for i, k in enumerate(keys))
        self.project = eqx.nn.Linear((size >> blocks) ** 2 * channels, features, key=key_project)

    @property
    def out_size(self) -> int:
        return self.project.weight.shape[0]

    def __call__(
        self, x: Float[Array, "images height columns"], given: Statistics | None
    ) -> tuple[Float[Array, "images features"], Statistics]:
        """Embeds a batch of images.

        Args:
            x: the images, ink = 1, paper = 0.
            given: statistics to normalise with; `None` takes those of these very images.

        Returns:
            The features `x_t` (fast-slow eq. 1), and the statistics used.
        """
        x = x[..., None]
        used = []
        for i, block in enumerate(self.blocks):
            x, statistics = block(x, None if given is None else (given.means[i], given.variances[i]))
            used.append(statistics)
        flat = jax.vmap(self.project)(x.reshape(x.shape[0], -1))
        length = jnp.sqrt(jnp.mean(flat**2, axis=1, keepdims=True) + EPSILON)
        return flat / length, Statistics(tuple(m for m, _ in used), tuple(v for _, v in used))

    def neutral(self) -> Statistics:
        """Statistics of no batch: mean 0, variance 1."""
        channels = [block.scale.shape[0] for block in self.blocks]
        return Statistics(tuple(jnp.zeros(c) for c in channels), tuple(jnp.ones(c) for c in channels))


@dataclass(frozen=True)
class ConvConfig(AbstractEmbeddingConfig):
    """Convolution blocks over images."""

    features: int = 64
    """Size of an embedding, `x_t`."""
    channels: int = 64
    """Filters of each convolution block."""
    blocks: int = 3
    """Convolution blocks; each halves the image."""
    kind: Literal["conv"] = "conv"
    """Images through convolution blocks."""

    def build(self, spec: TaskSpec, *, key: Key) -> ConvEmbedding:
        """Builds the embedding of a task's images.

        Raises:
            UserError: the inputs are no square images, or too small for so many blocks.
        """
        if spec.tokens is not None or len(spec.shape) != 2 or spec.shape[0] != spec.shape[1]:
            raise bad("embed", got=self.kind, expected=f"flatten or lookup, as task {spec.kind} has no square images")
        check_size("blocks", self.blocks)
        if spec.shape[0] >> self.blocks == 0:
            raise bad("blocks", got=self.blocks, expected=f"fewer, as images have {spec.shape[0]} rows")
        return ConvEmbedding(self.features, self.channels, self.blocks, spec.shape[0], key=key)
