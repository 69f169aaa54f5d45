"""Training by hand with Optax: a task and a model of fastslow, your own loop around them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import fastslow as fs


def main(steps=300, batch=8):
    task = fs.GlyphsConfig(way=5, shot=1, queries=3)
    learner = fs.InContextConfig()
    cell = fs.NMNConfig(memory=fs.KeyValueSlotsConfig(), label_input="write")
    model = fs.NetworkConfig(embed=fs.ConvConfig(channels=16), cell=cell)
    optimizer = optax.adam(1e-3)
    trainable = learner.build(model, task.spec, optimizer, batch=batch)
    state = trainable.init(key=jax.random.key(0))
    episodes = task.build().train

    @eqx.filter_jit(donate="all-except-first")
    def update(step, state):
        key = jax.random.fold_in(jax.random.key(1), step)
        keys = jax.random.split(key, batch)
        drawn = jax.vmap(lambda key: episodes.sample(key, step))(keys)
        return trainable.update(state, drawn, key=key)

    accuracy = []
    for step in range(steps):
        state, figures = update(jnp.asarray(step), state)
        accuracy.append(figures["accuracy"].value)
    return float(accuracy[0]), float(sum(accuracy[-10:]) / len(accuracy[-10:]))


if __name__ == "__main__":
    print("accuracy before and after, chance is 0.2: {:.2f} {:.2f}".format(*main()))
