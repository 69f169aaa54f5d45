"""Heads: from a cell's output to a prediction, and how wrong and how right it is."""

import math
from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._typing import Key, Scalar


class AbstractHead(eqx.Module):
    """A dense layer to the numbers of a distribution."""

    linear: eqx.AbstractVar[eqx.nn.Linear]

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " outputs"]:
        """The numbers of the distribution."""
        return self.linear(x)

    @abstractmethod
    def surprise(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        """`−log p(target)` in nats, the loss of one step."""

    @abstractmethod
    def hit(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        """1 where the likeliest answer is the target, else 0."""


class Categorical(AbstractHead):
    """The decoder `f_D` of classification: a dense layer, then softmax (fast-slow eq. 8; mann eq. 24, 25).

    Attributes:
        linear: from `m_t` to one logit a class.
    """

    linear: eqx.nn.Linear

    def __init__(self, in_size: int, classes: int, *, key: Key):
        self.linear = eqx.nn.Linear(in_size, classes, key=key)

    def surprise(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        return -jnp.sum(target * jax.nn.log_softmax(outputs))

    def hit(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        return (jnp.argmax(outputs) == jnp.argmax(target)).astype(outputs.dtype)


class Strings(AbstractHead):
    """Labels that are strings: one softmax for each place, all independent (mann eq. 26).

    A target is the one-hot rows of its letters, one after the other.

    Attributes:
        linear: to one logit for each letter of each place.
        letters: letters of the alphabet.
    """

    linear: eqx.nn.Linear
    letters: int = eqx.field(static=True)

    def __init__(self, in_size: int, length: int = 5, letters: int = 5, *, key: Key):
        self.linear = eqx.nn.Linear(in_size, length * letters, key=key)
        self.letters = letters

    def surprise(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        return -jnp.sum(self._places(target) * jax.nn.log_softmax(self._places(outputs)))

    def hit(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        right = jnp.argmax(self._places(outputs), axis=1) == jnp.argmax(self._places(target), axis=1)
        return jnp.all(right).astype(outputs.dtype)

    def _places(self, row: Float[Array, " outputs"]) -> Float[Array, "places letters"]:
        return row.reshape(-1, self.letters)


class Gaussian(AbstractHead):
    """A real number: mean and standard deviation (mann section 6.2). There is no likeliest answer that is ever hit.

    Attributes:
        linear: to `μ`, and to what softplus makes `σ` of, above `FLOOR`.
    """

    FLOOR: ClassVar[float] = 1e-3
    linear: eqx.nn.Linear

    def __init__(self, in_size: int, *, key: Key):
        self.linear = eqx.nn.Linear(in_size, 2, key=key)

    def deviation(self, outputs: Float[Array, " outputs"]) -> Scalar:
        """`σ`."""
        return jax.nn.softplus(outputs[1]) + self.FLOOR

    def surprise(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        away = (target[0] - outputs[0]) / self.deviation(outputs)
        return 0.5 * away**2 + jnp.log(self.deviation(outputs)) + 0.5 * math.log(2 * math.pi)

    def hit(self, outputs: Float[Array, " outputs"], target: Float[Array, " target"]) -> Scalar:
        return jnp.zeros_like(outputs[0])


def cross_entropy(logits: Float[Array, "items way"], one_hot: Float[Array, "items way"]) -> Scalar:
    """Mean cross entropy of labelled items, in nats."""
    return -jnp.mean(jnp.sum(one_hot * jax.nn.log_softmax(logits), axis=1))


def accuracy(logits: Float[Array, "items way"], labels: Int[Array, " items"]) -> Scalar:
    """Share of items named rightly, in [0, 1]."""
    return jnp.mean((jnp.argmax(logits, axis=1) == labels).astype(logits.dtype))
