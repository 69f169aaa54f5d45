"""Networks each layer of which can add fast weights to its own: what they share, and one of convolutions."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad, check_size
from .._typing import Key
from ..tasks.base import TaskSpec
from .base import AbstractModelConfig
from .convolution import convolve


class Convolution(eqx.Module):
    """3×3 convolution · ReLU. Attributes: `kernel`."""

    kernel: Float[Array, "*each 3 3 channels_in channels"]
    output_axes: ClassVar[Mapping[str, int]] = {"kernel": -1}

    def __call__(
        self, x: Float[Array, "images height columns channels_in"]
    ) -> Float[Array, "images height columns channels"]:
        return jax.nn.relu(convolve(x, self.kernel))


class Weights(eqx.Module):
    """All weights of a network; fast ones may have leading axes, such as one for items.

    Attributes:
        features: of the layers before the dense ones.
        hidden: `fc1`, of the hidden layer.
        readout: `fc2`, of the last layer.
    """

    features: tuple[Any, ...]
    hidden: Float[Array, "*each hidden in"]
    readout: Float[Array, "*each outputs hidden"]


class AbstractAugmented(eqx.Module):
    """Layers that make features, then two dense layers; nothing has a bias.

    With fast weights every layer is augmented: it adds what the fast weights make of its input to what its own make
    (Munkhdalai and Yu 2017, section 2.3).

    Attributes:
        slow: the network's own weights.
    """

    slow: eqx.AbstractVar[Weights]

    @abstractmethod
    def features(
        self, x: Float[Array, "items ..."], fast: tuple[Any, ...] | None, *, own: bool
    ) -> Float[Array, "items in"]:
        """What the dense layers see.

        Args:
            x: the items.
            fast: fast weights of the layers before; `None` for none.
            own: whether each item has fast weights of its own, which then have a leading axis of items.
        """

    def items(self, x: Float[Array, "items ..."], given: Any | None) -> tuple[Array, Any]:
        """Answers for items by the slow weights alone; see `Network.items`. Nothing is normalised or tracked."""
        z = self.features(x, None, own=False)
        return jax.nn.relu(z @ self.slow.hidden.T) @ self.slow.readout.T, ()

    def keys(self, x: Float[Array, "items ..."], fast: Weights) -> Float[Array, "items hidden"]:
        """The hidden layer before its ReLU, by the same fast weights for all items."""
        z = self.features(x, fast.features, own=False)
        return z @ self.slow.hidden.T + z @ fast.hidden.T

    def augmented(self, x: Float[Array, "items ..."], fast: Weights) -> Float[Array, "items outputs"]:
        """Answers for items, each by fast weights of its own; the slow weights meet all items at once.

        Args:
            x: the items.
            fast: every tensor has a leading axis of items.
        """
        slow, z = self.slow, self.features(x, fast.features, own=True)
        z = jax.nn.relu(z @ slow.hidden.T) + jax.nn.relu(jnp.einsum("nki,ni->nk", fast.hidden, z))
        return z @ slow.readout.T + jnp.einsum("nok,nk->no", fast.readout, z)


class Augmented(AbstractAugmented):
    """Blocks of convolution, ReLU and max-pooling, then two dense layers. Attributes: `slow`, its own weights."""

    slow: Weights

    def features(
        self, x: Float[Array, "items height columns"], fast: tuple[Convolution, ...] | None, *, own: bool
    ) -> Float[Array, "items in"]:
        x = x[..., None]
        for i, layer in enumerate(self.slow.features):
            more = 0 if fast is None else each(fast[i], x) if own else fast[i](x)
            x = pool_up(layer(x) + more)
        return x.reshape(x.shape[0], -1)


def each(layer: Convolution, x: Float[Array, "items height columns channels_in"]) -> Array:
    """A layer whose kernel has a leading axis, one for each item."""
    return jax.vmap(lambda layer, image: layer(image[None])[0])(layer, x)


def pool_up(x: Float[Array, "images height columns channels"]) -> Float[Array, "images half_h half_w channels"]:
    """2×2 max-pooling with stride 2 of numbers that are not negative; an odd last row or column is pooled alone."""
    images, height, columns, channels = x.shape
    x = jnp.pad(x, ((0, 0), (0, height % 2), (0, columns % 2), (0, 0)))
    return jnp.max(x.reshape(images, -(-height // 2), 2, -(-columns // 2), 2, channels), axis=(2, 4))


@dataclass(frozen=True)
class AugmentedConfig(AbstractModelConfig):
    """Convolutions and dense layers that can add fast weights to their own."""

    channels: int = 64
    """Filters of each convolution."""
    blocks: int = 5
    """Convolutions; after each the image is halved, rounded up."""
    hidden: int = 64
    """Units of the hidden layer, and size of a key."""
    kind: Literal["augmented"] = "augmented"
    """Layers that can add fast weights."""

    def build(self, spec: TaskSpec, *, key: Key) -> Augmented:
        """Builds the network of a task.

        Raises:
            UserError: a size that is none, inputs that are no images, or more blocks than halve an image.
        """
        for name in ("channels", "blocks", "hidden"):
            check_size(name, getattr(self, name))
        if spec.tokens is not None or len(spec.shape) != 2:
            expected = f"another one, as task {spec.kind} has no images"
            raise bad("model", got=self.kind, expected=expected)
        halvings = (max(spec.shape) - 1).bit_length()
        if self.blocks > max(halvings, 1):
            expected = f"at most {max(halvings, 1)}, after which one pixel is left of an image"
            raise bad("blocks", got=self.blocks, expected=expected)
        key_hidden, key_readout, *keys = jax.random.split(key, self.blocks + 2)
        inputs = [1] + [self.channels] * (self.blocks - 1)
        kernels = [drawn(k, (3, 3, n, self.channels), 9 * n) for k, n in zip(keys, inputs, strict=True)]
        height, columns = (-(-side // 2**self.blocks) for side in spec.shape)
        flat = height * columns * self.channels
        hidden = drawn(key_hidden, (self.hidden, flat), flat)
        readout = drawn(key_readout, (spec.target.outputs, self.hidden), self.hidden)
        return Augmented(Weights(tuple(map(Convolution, kernels)), hidden, readout))


def drawn(key: Key, shape: tuple[int, ...], fan_in: int) -> Array:
    """Weights of variance 1 / inputs, as the authors' library draws them."""
    return jax.random.normal(key, shape) * fan_in**-0.5


__all__ = ["AbstractAugmented", "Augmented", "AugmentedConfig", "Convolution", "Weights", "drawn", "pool_up"]
