"""A controller without a past: one hidden layer."""

from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_positive, check_size
from .._typing import Key
from .controllers import AbstractController, AbstractControllerConfig


class NoState(eqx.Module):
    """The state of what has none."""


class FeedForward(AbstractController[NoState]):
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
            UserError: a size that is not above 0.
        """
        check_positive("in_size", in_size)
        check_size("hidden_size", hidden_size)
        bound = in_size**-0.5
        self.input_weight = jax.random.uniform(key, (hidden_size, in_size), minval=-bound, maxval=bound)
        self.bias = jnp.zeros(hidden_size)

    @property
    def out_size(self) -> int:
        return self.bias.shape[0]

    @property
    def recurrent_weight(self) -> Float[Array, "hidden feed"]:
        return self.input_weight[:, :0]

    @property
    def has_inner_state(self) -> bool:
        return False

    def init_state(self) -> NoState:
        return NoState()

    def recurrent(self, state: NoState) -> Float[Array, " feed"]:
        return jnp.zeros(0, self.bias.dtype)

    def activate(self, state: NoState, entry: Float[Array, " hidden"]) -> tuple[NoState, Float[Array, " hidden"]]:
        return state, jnp.tanh(entry)

    def inner(self, state: NoState, hidden: Float[Array, " hidden"]) -> Float[Array, " hidden"]:
        return hidden


@dataclass(frozen=True)
class FeedForwardConfig(AbstractControllerConfig):
    """A feed-forward network, on its own or as a controller."""

    hidden: int = 200
    """Units."""
    kind: Literal["feed-forward"] = "feed-forward"

    def build(self, features: int, label: int, *, key: Key) -> FeedForward:
        """Builds the cell.

        Args:
            features: size of `x_t`.
            label: size of the label that stands beside it.
            key: randomness of the weights.
        """
        return FeedForward(features + label, self.hidden, key=key)
