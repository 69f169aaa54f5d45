"""A memory cell inside your own Equinox model: it learns to repeat a sequence after it has seen the whole of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import fastslow as fs

BITS, LENGTH = 4, 6


class Repeater(eqx.Module):
    """Your model: a cell from fastslow, and whatever else you like around it."""

    cell: fs.MANN
    out: eqx.nn.Linear

    def __init__(self, key):
        key_cell, key_out = jax.random.split(key)
        config = fs.MANNConfig(fs.LSTMConfig(hidden=32), fs.LeastUsedConfig(slots=16, width=8, heads=1))
        self.cell = config.build(features=BITS + 1, label=0, key=key_cell)
        self.out = eqx.nn.Linear(self.cell.out_size, BITS, key=key_out)

    def __call__(self, xs):
        _, ys = fs.unroll(self.cell, self.cell.init_state(), xs)
        return jax.vmap(self.out)(ys)


def batch(key, size):
    """Bits, then a flag; the targets are the bits."""
    bits = jax.random.bernoulli(key, shape=(size, LENGTH, BITS)).astype(jnp.float32)
    shown = jnp.pad(bits, ((0, 0), (0, LENGTH), (0, 1)))
    return shown.at[:, LENGTH:, BITS].set(1.0), bits


def loss_of(model, xs, bits):
    return jnp.mean(optax.sigmoid_binary_cross_entropy(jax.vmap(model)(xs)[:, LENGTH:], bits))


def main(steps=2000):
    model = Repeater(jax.random.key(0))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3))
    opt_state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def update(model, opt_state, key):
        loss, gradients = eqx.filter_value_and_grad(loss_of)(model, *batch(key, 16))
        updates, opt_state = optimizer.update(gradients, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    losses = []
    for key in jax.random.split(jax.random.key(1), steps):
        model, opt_state, loss = update(model, opt_state, key)
        losses.append(loss)
    return float(losses[0]), float(losses[-1])


if __name__ == "__main__":
    print("loss before and after: {:.3f} {:.3f}".format(*main()))
