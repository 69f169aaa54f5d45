"""A controller without a past: one hidden layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_positive
from .._typing import Key
from .base import AbstractSplitCell


class NoState(eqx.Module):
    """The state of what has none."""


class FeedForward(AbstractSplitCell[NoState]):
    """`h_t = tanh(W x_t + b)`; weights are uniform in ±1/√in.

    The paper says no more of its feed-forward controller and network than that they are; one layer with tanh is our
    choice.

    Attributes:
        input_weight: `W`.
        bias: `b`.
    """

    input_weight: Float[Array, "hidden in"]
    bias: Float[Array, " hidden"]

    def __init__(self, in_size: int, hidden_size: int, *, key: Key):
        """Draws the weights.

        Args:
            in_size: size of `x_t`.
            hidden_size: units.
            key: randomness of the weights.

        Raises:
            UserError: a size that is none.
        """
        check_positive("in_size", in_size)
        check_positive("hidden_size", hidden_size)
        bound = in_size**-0.5
        self.input_weight = jax.random.uniform(key, (hidden_size, in_size), minval=-bound, maxval=bound)
        self.bias = jnp.zeros(hidden_size)

    @property
    def hidden_size(self) -> int:
        """Width of the output."""
        return self.bias.shape[0]

    def init_state(self) -> NoState:
        return NoState()

    def project(self, x: Float[Array, " in"]) -> Float[Array, " hidden"]:
        """`W x + b`."""
        return self.input_weight @ x + self.bias

    def advance(self, state: NoState, projected: Float[Array, " hidden"]) -> tuple[NoState, Float[Array, " hidden"]]:
        return state, jnp.tanh(projected)
