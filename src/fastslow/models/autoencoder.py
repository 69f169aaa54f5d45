"""The autoencoder whose bottleneck is what nearest neighbours are looked for by (mann section 4.2, Table 2)."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad, check_positive, check_size
from .._typing import Key, Scalar
from ..tasks.base import TaskSpec
from .base import AbstractModelConfig


class Autoencoder(eqx.Module):
    """Dense layers of 200, 200, 32, 200 and 200 units, with leaky ReLU after each of 200.

    The paper names no function after the bottleneck and after the last layer; there is none here.

    Attributes:
        encoder: the layers to the bottleneck.
        decoder: the layers from it to the pixels.
    """

    encoder: tuple[eqx.nn.Linear, ...]
    decoder: tuple[eqx.nn.Linear, ...]

    def __init__(self, pixels: int = 400, hidden: int = 200, features: int = 32, *, key: Key):
        """Builds the network.

        Args:
            pixels: pixels of an image; 20×20 in the paper.
            hidden: units of each hidden layer.
            features: units of the bottleneck.
            key: randomness of the initial weights.

        Raises:
            UserError: a size that is not above 0.
        """
        check_positive("pixels", pixels)
        check_size("hidden", hidden)
        check_size("features", features)
        encoder_key, decoder_key = jax.random.split(key)
        self.encoder = _layers((pixels, hidden, hidden, features), key=encoder_key)
        self.decoder = _layers((features, hidden, hidden, pixels), key=decoder_key)

    def encode(self, image: Float[Array, "..."]) -> Float[Array, " features"]:
        """The bottleneck of one image, or of its pixels in one row."""
        return _chain(self.encoder, image.reshape(-1))

    def decode(self, features: Float[Array, " features"]) -> Float[Array, " pixels"]:
        """The pixels of one image, in one row."""
        return _chain(self.decoder, features)

    def loss(self, image: Float[Array, "..."]) -> Scalar:
        """Mean squared error over the pixels of one image."""
        return jnp.mean((self.decode(self.encode(image)) - image.reshape(-1)) ** 2)


def _layers(sizes: tuple[int, ...], *, key: Key) -> tuple[eqx.nn.Linear, ...]:
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(eqx.nn.Linear(a, b, key=k) for (a, b), k in zip(pairwise(sizes), keys, strict=True))


def _chain(layers: tuple[eqx.nn.Linear, ...], x: Float[Array, " in"]) -> Float[Array, " out"]:
    """Leaky ReLU between layers, nothing after the last."""
    for layer in layers[:-1]:
        x = jax.nn.leaky_relu(layer(x))
    return layers[-1](x)


@dataclass(frozen=True)
class AutoencoderConfig(AbstractModelConfig):
    """Dense layers to a narrow code and back."""

    hidden: int = 200
    """Units of each hidden layer."""
    features: int = 32
    """Units of the bottleneck, the code."""
    kind: Literal["autoencoder"] = "autoencoder"
    """Dense layers to a narrow code and back."""

    def build(self, spec: TaskSpec, *, key: Key) -> Autoencoder:
        """Builds the autoencoder of a task's inputs.

        Raises:
            UserError: the inputs are tokens, or a size is not above 0.
        """
        if spec.tokens is not None:
            raise bad("model", got=self.kind, expected=f"another model, as inputs of task {spec.kind} are tokens")
        return Autoencoder(math.prod(spec.shape), self.hidden, self.features, key=key)
