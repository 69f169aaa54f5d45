"""Your own learner in fastslow's loop: each query takes the class of the nearest class mean of an embedding."""

import equinox as eqx
import jax
import jax.numpy as jnp

import fastslow as fs
from fastslow.learners.base import initial_state, outer_step
from fastslow.training.loop import fit, run_to_end


class Means(fs.Trainable):
    """The three methods that the loop calls, and the two metrics it asks for."""

    model: fs.ClassifierConfig = eqx.field(static=True)
    spec: fs.TaskSpec = eqx.field(static=True)
    optimizer: object = eqx.field(static=True)
    monitor: fs.Metric = eqx.field(static=True, default=fs.ACCURACY)
    metrics: tuple = eqx.field(static=True, default=(fs.ACCURACY,))

    def init(self, *, key):
        params = self.model.build(self.spec, key=key)
        return initial_state(self.optimizer, params, params.embed.neutral())

    def update(self, state, episodes, *, key):
        (_, figures), gradients = eqx.filter_value_and_grad(self.loss, has_aux=True)(state.params, episodes)
        total = {name: fs.Figure(jnp.sum(f.total), jnp.sum(f.count)) for name, f in figures.items()}
        return outer_step(self.optimizer, state, gradients, state.model_state), total

    def evaluate(self, state, episodes, *, key):
        return self.loss(state.params, episodes)[1]

    def loss(self, params, episodes):
        figures = jax.vmap(lambda episode: self.figures(params, episode))(episodes)
        return jnp.mean(figures["loss"].value), figures

    def figures(self, params, episode):
        count = len(episode.support.labels)
        features, _ = params.embed(jnp.concatenate([episode.support.inputs, episode.query.inputs]), None)
        of_class = jax.nn.one_hot(episode.support.labels, self.spec.label)
        means = of_class.T @ features[:count] / jnp.sum(of_class, axis=0)[:, None]
        logits = -jnp.sum((features[count:, None] - means[None]) ** 2, axis=2)
        right = jnp.argmax(logits, axis=1) == episode.query.labels
        nll = -jnp.take_along_axis(jax.nn.log_softmax(logits), episode.query.labels[:, None], axis=1)
        ones = jnp.asarray(float(len(right)))
        return {"accuracy": fs.Figure(jnp.sum(right.astype(jnp.float32)), ones), "loss": fs.Figure(jnp.sum(nll), ones)}


def main(steps=200):
    task, training = fs.GlyphsConfig(queries=3), fs.TrainingConfig(steps=steps, batch=4, validate_every=steps)
    learner = Means(fs.ClassifierConfig(fs.ConvConfig(channels=16)), task.spec, fs.AdamConfig().build(steps))
    tasks = task.build()
    state = run_to_end(fit(learner, tasks.train, training, validation=tasks.validation))
    return float(state.best.value[0])


if __name__ == "__main__":
    print(f"validation accuracy, chance is 0.2: {main():.2f}")
