"""MetaNet's network for paths: an LSTM in place of the convolutions, whose matrices can add fast weights."""

from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad, check_size
from .._typing import Key
from ..tasks.base import TaskSpec
from .augmented import AbstractAugmented, Weights, drawn
from .base import AbstractModelConfig


class Gates(eqx.Module):
    """The matrices of an LSTM, gates in the order input, forget, cell, output.

    Attributes:
        of_input: `W` of the four gates, stacked.
        of_hidden: `U` of the four gates, stacked.
    """

    of_input: Float[Array, "*each gates in"]
    of_hidden: Float[Array, "*each gates hidden"]

    def __call__(self, x: Float[Array, " in"], hidden: Float[Array, " hidden"]) -> Float[Array, " gates"]:
        """What enters the gates."""
        return self.of_input @ x + self.of_hidden @ hidden


class AugmentedPaths(AbstractAugmented):
    """An LSTM over the rows of an input, then two dense layers; the paper of MetaNet has none for paths.

    What enters the gates is `W x + U h + W* x + U* h`; the forget gate has 1 more, so that a fresh cell remembers.

    Attributes:
        slow: its own weights.
    """

    slow: Weights

    def features(
        self, x: Float[Array, "items rows in"], fast: tuple[Gates, ...] | None, *, own: bool
    ) -> Float[Array, "items hidden"]:
        (slow,) = self.slow.features
        more = None if fast is None else fast[0]
        return jax.vmap(lambda rows, more: last(rows, slow, more), (0, 0 if own else None))(x, more)


def last(rows: Float[Array, "rows in"], slow: Gates, fast: Gates | None) -> Float[Array, " hidden"]:
    """The last output over some rows."""
    size = slow.of_hidden.shape[1]
    remembers = jnp.zeros(4 * size, rows.dtype).at[size : 2 * size].set(1)

    def step(carry: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], None]:
        hidden, cell = carry
        entry = slow(x, hidden) + remembers + (0 if fast is None else fast(x, hidden))
        i, f, g, o = jnp.split(entry, 4)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(cell), cell), None

    nothing = jnp.zeros(size, rows.dtype)
    return jax.lax.scan(step, (nothing, nothing), rows)[0][0]


@dataclass(frozen=True)
class AugmentedPathsConfig(AbstractModelConfig):
    """An LSTM and dense layers that can add fast weights to their own."""

    units: int = 30
    """Units of the LSTM."""
    hidden: int = 64
    """Units of the hidden layer, and size of a key."""
    kind: Literal["augmented-paths"] = "augmented-paths"
    """An LSTM and dense layers that can add fast weights."""

    def build(self, spec: TaskSpec, *, key: Key) -> AugmentedPaths:
        """Builds the network of a task.

        Raises:
            UserError: a size that is none, or inputs without rows.
        """
        check_size("units", self.units)
        check_size("hidden", self.hidden)
        if spec.tokens is not None or len(spec.shape) != 2:
            raise bad("model", got=self.kind, expected=f"another one, as inputs of task {spec.kind} have no rows")
        keys, (_, inputs) = jax.random.split(key, 4), spec.shape
        gates = 4 * self.units
        lstm = Gates(drawn(keys[0], (gates, inputs), inputs), drawn(keys[1], (gates, self.units), self.units))
        hidden = drawn(keys[2], (self.hidden, self.units), self.units)
        readout = drawn(keys[3], (spec.target.outputs, self.hidden), self.hidden)
        return AugmentedPaths(Weights((lstm,), hidden, readout))


__all__ = ["AugmentedPaths", "AugmentedPathsConfig", "Gates"]
