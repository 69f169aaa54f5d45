"""Long short-term memory: the controller of every network here, and a baseline of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_positive, check_size
from .._typing import Key
from .controllers import AbstractController, AbstractControllerConfig


class LSTMState(eqx.Module):
    """Attributes: `hidden`, the output `h_t`; `cell`, the inner state `c_t`."""

    hidden: Float[Array, " hidden"]
    cell: Float[Array, " hidden"]


class LSTM(AbstractController[LSTMState]):
    """LSTM without peepholes (Gers, Schmidhuber, Cummins 2000), gates in the order input, forget, cell, output.

    `i, f, o = σ(W x + U h + b)`, `g = tanh(W x + U h + b)`, `c_t = f c_{t-1} + i g`, `h_t = o tanh(c_t)`.
    Weights are uniform in ±1/√hidden; the forget gate's bias starts at 1, so that a fresh cell remembers.

    Attributes:
        input_weight: `W` of the four gates, stacked.
        hidden_weight: `U` of the four gates, stacked.
        bias: `b` of the four gates, stacked.
        stacked: the weights that hold several matrices, and how many; an optimizer may treat each on its own.
    """

    input_weight: Float[Array, "gates in"]
    hidden_weight: Float[Array, "gates hidden"]
    bias: Float[Array, " gates"]
    stacked: ClassVar[Mapping[str, int]] = {"input_weight": 4, "hidden_weight": 4}

    def __init__(self, in_size: int, hidden_size: int, *, key: Key):
        check_positive("in_size", in_size)
        check_size("hidden_size", hidden_size)
        key_input, key_hidden = jax.random.split(key)
        bound = hidden_size**-0.5
        gates = 4 * hidden_size
        self.input_weight = jax.random.uniform(key_input, (gates, in_size), minval=-bound, maxval=bound)
        self.hidden_weight = jax.random.uniform(key_hidden, (gates, hidden_size), minval=-bound, maxval=bound)
        self.bias = jnp.zeros(gates).at[hidden_size : 2 * hidden_size].set(1.0)

    @property
    def out_size(self) -> int:
        return self.hidden_weight.shape[1]

    @property
    def recurrent_weight(self) -> Float[Array, "gates hidden"]:
        return self.hidden_weight

    @property
    def has_inner_state(self) -> bool:
        return True

    def init_state(self) -> LSTMState:
        zeros = jnp.zeros(self.out_size, self.bias.dtype)
        return LSTMState(hidden=zeros, cell=zeros)

    def recurrent(self, state: LSTMState) -> Float[Array, " hidden"]:
        return state.hidden

    def activate(self, state: LSTMState, entry: Float[Array, " gates"]) -> tuple[LSTMState, Float[Array, " hidden"]]:
        i, f, g, o = jnp.split(entry, 4)
        cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return LSTMState(hidden=hidden, cell=cell), hidden

    def inner(self, state: LSTMState, hidden: Float[Array, " hidden"]) -> Float[Array, " hidden"]:
        return state.cell


@dataclass(frozen=True)
class LSTMConfig(AbstractControllerConfig):
    """An LSTM, as a network of its own or as a controller."""

    hidden: int = 200
    """Units."""
    kind: Literal["lstm"] = "lstm"

    def build(self, features: int, label: int, *, key: Key) -> LSTM:
        """Builds the cell.

        Args:
            features: size of `x_t`.
            label: size of the label that stands beside it.
            key: randomness of the weights.
        """
        return LSTM(features + label, self.hidden, key=key)
