"""Heads: from a cell's output to a prediction."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._typing import Key, Scalar


class Categorical(eqx.Module):
    """The decoder `f_D` of classification: a dense layer, then softmax (fast-slow eq. 8).

    Attributes:
        linear: from `m_t` to one logit a class.
    """

    linear: eqx.nn.Linear

    def __init__(self, in_size: int, classes: int, *, key: Key):
        self.linear = eqx.nn.Linear(in_size, classes, key=key)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " way"]:
        """Logits; their softmax is `ŷ_t`."""
        return self.linear(x)


def cross_entropy(logits: Float[Array, "items way"], one_hot: Float[Array, "items way"]) -> Scalar:
    """Mean cross entropy of labelled items, in nats."""
    return -jnp.mean(jnp.sum(one_hot * jax.nn.log_softmax(logits), axis=1))


def accuracy(logits: Float[Array, "items way"], labels: Int[Array, " items"]) -> Scalar:
    """Share of items named rightly, in [0, 1]."""
    return jnp.mean((jnp.argmax(logits, axis=1) == labels).astype(logits.dtype))
