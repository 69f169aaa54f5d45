"""Coordinate-wise networks: from the gradients of each weight to a fast weight, by the same small network for all.

The rules of MetaNet (Munkhdalai and Yu 2017). Their last layers start a hundred times smaller than the authors' library
draws them. Most gradients are near zero, and all their weights get the same fast weight; at the authors' scale it makes
the first loss some 10⁶ with 64 filters.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._typing import Key, Scalar
from ..cells.lstm import LSTM
from ..models.augmented import Weights

SHARPNESS = 7.0
"""p = 7: of gradients below e⁻⁷ in size the logarithm is not read."""
LEAST = 1.2e-7
"""Added to a gradient's size before its logarithm."""
START = 0.01
"""Factor on the last layer's weights at first."""
BLOCK = 8192
"""Coordinates that are mapped at once: what is computed of so many stays in a core's cache."""


def preprocessed(g: Float[Array, " coordinates"]) -> Float[Array, "2 coordinates"]:
    """`(max(log(abs(g) + 1.2e-7)/7, −1), clip(e⁷ g, −1, 1))`."""
    size = jnp.maximum(jnp.log(jnp.abs(g) + LEAST) / SHARPNESS, -1)
    return jnp.stack([size, jnp.clip(np.exp(SHARPNESS) * g, -1, 1)])


class CoordinateMLP(eqx.Module):
    """`MLP(pre(g))`, 2–20–20–1 with ReLU: from a weight's gradient to its fast weight.

    Attributes:
        first, second, last: the layers.
        leading: axes of what it reads before that of coordinates.
    """

    first: eqx.nn.Linear
    second: eqx.nn.Linear
    last: eqx.nn.Linear
    leading: ClassVar[int] = 0

    def __init__(self, hidden: int, *, key: Key):
        key_first, key_second, key_last = jax.random.split(key, 3)
        self.first = linear(2, hidden, key=key_first)
        self.second = linear(hidden, hidden, key=key_second)
        self.last = linear(hidden, 1, START, key=key_last)

    def __call__(self, g: Float[Array, " coordinates"]) -> Float[Array, " coordinates"]:
        def of_one(x: Float[Array, " 2"]) -> Scalar:
            return self.last(jax.nn.relu(self.second(jax.nn.relu(self.first(x)))))[0]

        return jax.vmap(of_one, -1)(preprocessed(g))


class CoordinateLSTM(eqx.Module):
    """`o = w · LSTM(pre(g)) + b` after the last chunk: from a weight's gradients to its fast weight.

    Attributes:
        cell: the LSTM, from zeros before the first chunk.
        last: `w` and `b`.
        leading: axes of what it reads before that of coordinates.
    """

    cell: LSTM
    last: eqx.nn.Linear
    leading: ClassVar[int] = 1

    def __init__(self, hidden: int, *, key: Key):
        key_cell, key_last = jax.random.split(key)
        self.cell = LSTM(2, hidden, key=key_cell)
        self.last = linear(hidden, 1, START, key=key_last)

    def __call__(self, g: Float[Array, "chunks coordinates"]) -> Float[Array, " coordinates"]:
        # coordinates are the last axis of the state, too, along which the arithmetic is quick
        step = lambda state, g: (jax.vmap(self.cell, -1, -1)(state, preprocessed(g))[0], None)
        widened = lambda leaf: jnp.broadcast_to(leaf[:, None], (*leaf.shape, g.shape[1]))
        state, _ = jax.lax.scan(step, jax.tree.map(widened, self.cell.init_state()), g)
        return jax.vmap(self.last, -1)(state.hidden)[:, 0]


class Rules(eqx.Module):
    """What makes fast weights of gradients.

    Attributes:
        features: the rule for the layers that make features, such as convolutions.
        dense: the rule for dense layers.
    """

    features: CoordinateMLP | CoordinateLSTM
    dense: CoordinateMLP | CoordinateLSTM

    def __call__(self, gradients: Weights) -> Weights:
        hidden, readout = of_each(self.dense, (gradients.hidden, gradients.readout))
        return Weights(of_each(self.features, gradients.features), hidden, readout)


def linear(inputs: int, outputs: int, scale: float = 1.0, *, key: Key) -> eqx.nn.Linear:
    """A dense layer as the authors' library draws it: variance 1 / inputs, no bias at first; times `scale`."""
    layer = eqx.nn.Linear(inputs, outputs, key=key)
    weight = scale * jax.random.normal(key, (outputs, inputs)) * inputs**-0.5
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, jnp.zeros(outputs)))


def of_each(rule: Any, gradients: Any) -> Any:
    """The fast weights that a rule makes of all coordinates of some tensors."""
    leaves, tree = jax.tree.flatten(gradients)
    shapes = [leaf.shape[rule.leading :] for leaf in leaves]
    flat = jnp.concatenate([leaf.reshape(*leaf.shape[: rule.leading], -1) for leaf in leaves], axis=-1)
    cuts = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    found = jnp.split(in_blocks(rule, flat), cuts)
    return tree.unflatten([part.reshape(shape) for part, shape in zip(found, shapes, strict=True)])


def in_blocks(rule: Any, g: Float[Array, "*chunks coordinates"]) -> Float[Array, " coordinates"]:
    """Applies a rule block by block; the gradient computes each block again, in place of keeping it."""
    count = g.shape[-1]
    blocks = -(-count // BLOCK)
    size = -(-count // blocks)
    padded = jnp.pad(g, [(0, 0)] * (g.ndim - 1) + [(0, blocks * size - count)])
    cut = jnp.moveaxis(padded.reshape(*g.shape[:-1], blocks, size), -2, 0)
    return jax.lax.map(jax.checkpoint(lambda g: rule(g)), cut).reshape(-1)[:count]


__all__ = ["CoordinateLSTM", "CoordinateMLP", "Rules", "preprocessed"]
