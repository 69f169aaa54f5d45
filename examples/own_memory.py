"""Your own memory: one row that is blended with what is written, in an NMN of fastslow."""

from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

import fastslow as fs
from fastslow.memory.slots import Reading, SlotsState


class Blend(fs.AbstractSlots):
    """One row, `M_t = (1 − rate) M_{t−1} + rate · m'_t`; the rate is trained."""

    logit: jax.Array
    width: int = eqx.field(static=True)

    def init_state(self):
        return SlotsState(keys=jnp.zeros((1, 0)), values=jnp.zeros((1, self.width)), usage=jnp.zeros(1))

    def read(self, state, query):
        return Reading(content=state.values[0], scores=jnp.ones(1))

    def write(self, state, reading, query, update):
        rate = jax.nn.sigmoid(self.logit)
        values = (1 - rate) * state.values + rate * update[None]
        return SlotsState(keys=state.keys, values=values, usage=state.usage)


@dataclass(frozen=True)
class BlendConfig(fs.AbstractSlotsConfig):
    """What the settings of a cell hold in place of another memory."""

    kind: Literal["blend"] = "blend"

    def build(self, width, *, key):
        return Blend(logit=jnp.zeros(()), width=width)


def main(steps=50):
    cell = fs.NMNConfig(width=16, memory=BlendConfig()).build(features=4, label=0, key=jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (steps, 4))
    state, ys = fs.unroll(cell, cell.init_state(), xs)
    gradient = jax.grad(lambda logit: _mean(cell, logit, xs))(cell.memory.logit)
    return ys.shape, state.memory.values.shape, float(gradient)


def _mean(cell, logit, xs):
    cell = eqx.tree_at(lambda c: c.memory.logit, cell, logit)
    return jnp.mean(fs.unroll(cell, cell.init_state(), xs)[1] ** 2)


if __name__ == "__main__":
    print("outputs {}, memory {}, gradient of the rate {:.2g}".format(*main()))
