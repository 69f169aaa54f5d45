"""Cells and memories that are in no paper, to hold the interfaces to what they promise."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from fastslow.cells.operations import Affine
from fastslow.cells.reversible import AbstractReversibleCell
from fastslow.memory.base import AbstractMemory

FEATURES, WIDTH = 3, 4


def normal(*shape: int, seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape) / np.sqrt(shape[-1]))


class NetState(eqx.Module):
    """Attributes: `memory`, the matrices; `hidden`; `loss`, added up over the steps; `count` of the steps."""

    memory: list[jax.Array]
    hidden: jax.Array
    loss: jax.Array
    count: jax.Array


class NetResiduals(eqx.Module):
    """Attributes: the vectors of the write to each layer; `hidden` and `loss` before the step."""

    errors: list[jax.Array]
    keys: list[jax.Array]
    hidden: jax.Array
    loss: jax.Array


class NetCell(AbstractReversibleCell[NetState, NetResiduals]):
    """A memory that is a network: a list of matrices of several sizes, each changed by an outer product in each step.

    What it does not recall is added to a loss that its state carries. Everything is trained: the first matrices, the
    maps, one without bias, and two arrays that a step reads itself.

    Attributes:
        enter: from the input.
        initial: the first matrices.
        recurrent, key: the maps of a step.
        rate, scale: the arrays that a step reads itself.
        error: added to a state that is recovered; 0 in a cell that is right.
    """

    enter: jax.Array
    initial: list[jax.Array]
    recurrent: eqx.nn.Linear
    key: jax.Array
    rate: jax.Array
    scale: jax.Array
    error: float = eqx.field(static=True, default=0.0)

    @property
    def out_size(self):
        return WIDTH + 1

    def own_loss(self, state):
        return state.loss

    def init_state(self):
        return NetState(list(self.initial), jnp.zeros(WIDTH), jnp.zeros(()), jnp.zeros((), int))

    def project(self, x):
        return self.enter @ x

    def maps(self):
        return {"recurrent": Affine(self.recurrent.weight, self.recurrent.bias), "key": Affine(self.key)}

    def step(self, state, projected, operations):
        hidden = jnp.tanh(operations.affine("recurrent", state.hidden, projected))
        keys, errors = [jnp.tanh(operations.affine("key", hidden * self.scale))], []
        for layer in state.memory:
            found = jnp.tanh(layer @ keys[-1])
            errors.append(jax.nn.sigmoid(self.rate) * (jnp.sin(found) - found * hidden[0]))
            keys.append(found)
        layers = [
            layer + error[:, None] * key[None]
            for layer, error, key in zip(state.memory, errors, keys[:-1], strict=True)
        ]
        loss = state.loss + sum(jnp.sum(error**2) for error in errors)
        after = NetState(layers, hidden + layers[0].T @ keys[1], loss, state.count + 1)
        y = jnp.append(after.hidden * keys[0], loss)
        return after, y, NetResiduals(errors, keys[:-1], state.hidden, state.loss)

    def inverse(self, after, residuals):
        layers = [
            layer - error[:, None] * key[None] + self.error
            for layer, error, key in zip(after.memory, residuals.errors, residuals.keys, strict=True)
        ]
        return NetState(layers, residuals.hidden, residuals.loss, after.count - 1)


def net_cell(error: float = 0.0) -> NetCell:
    return NetCell(
        enter=normal(WIDTH, FEATURES, seed=0),
        initial=[normal(5, WIDTH, seed=1), normal(2, 5, seed=2), normal(3, 2, seed=3)],
        recurrent=eqx.nn.Linear(WIDTH, WIDTH, key=jax.random.key(0)),
        key=normal(WIDTH, WIDTH, seed=5),
        rate=jnp.asarray(0.3),
        scale=normal(WIDTH, seed=6),
        error=error,
    )


class AddedRows(AbstractMemory[jax.Array, tuple[jax.Array, jax.Array]]):
    """Rows to which a key is added where it is found; the first rows and the sharpness are trained.

    Attributes:
        initial: the first rows.
        sharpness: by which similarities are multiplied.
    """

    initial: jax.Array
    sharpness: jax.Array

    @property
    def width(self):
        return self.initial.shape[1]

    @property
    def heads(self):
        return 1

    @property
    def interface_size(self):
        return self.width

    def init_state(self):
        return self.initial

    def access(self, state, interface):
        place = jax.nn.softmax(self.sharpness * (state @ interface))
        after = state + place[:, None] * jnp.sin(interface)[None]
        return after, (place @ after)[None], (place, jnp.sin(interface))

    def inverse(self, after, residuals):
        return after - residuals[0][:, None] * residuals[1][None]


def added_rows() -> AddedRows:
    return AddedRows(normal(5, 3, seed=7), jnp.asarray(1.5))


class RingState(eqx.Module):
    """Attributes: `rows`; `place`, the row that is written next."""

    rows: jax.Array
    place: jax.Array


class Ring(AbstractMemory[RingState, jax.Array]):
    """Writes a vector over the oldest row, and reads by products; its state holds an integer.

    Attributes:
        slots: rows.
        width: columns.
        heads: one.
    """

    slots: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    heads: int = eqx.field(static=True, default=1)

    @property
    def interface_size(self):
        return 2 * self.width

    def init_state(self):
        return RingState(jnp.zeros((self.slots, self.width)), jnp.zeros((), jnp.int32))

    def access(self, state, interface):
        vector, key = interface[: self.width], interface[self.width :]
        place = state.place % self.slots
        rows = state.rows.at[place].set(jnp.tanh(vector))
        return RingState(rows, state.place + 1), (jax.nn.softmax(rows @ key) @ rows)[None], state.rows[place]

    def inverse(self, after, residuals):
        place = (after.place - 1) % self.slots
        return RingState(after.rows.at[place].set(residuals), after.place - 1)


def tally(values: Any) -> jax.Array:
    """One number to which every number of every array contributes in its own measure."""
    leaves = [leaf for leaf in jax.tree.leaves(values) if eqx.is_inexact_array(leaf)]
    return sum(
        jnp.sum(jnp.sin(leaf) * jnp.arange(1.0, leaf.size + 1, dtype=leaf.dtype).reshape(leaf.shape)) for leaf in leaves
    )
