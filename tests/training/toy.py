"""The smallest learner and task that train: a linear softmax that tells Gaussian blobs in four dimensions apart."""

import equinox as eqx
import jax
import jax.numpy as jnp

from fastslow.learners.base import AbstractLearner, LearnerState
from fastslow.tasks.base import AbstractTask, Examples, FewShotEpisode


class Blobs(AbstractTask):
    """Three classes around centres, which stand for a data set."""

    centres: jax.Array
    noise: float = eqx.field(static=True, default=0.5)

    def sample(self, key, step):
        # One draw for everything: programs with many random draws take long to compile.
        noise = jax.random.normal(key, (9, 5))
        labels = jnp.clip(jnp.floor(1.5 + noise[:, 4]), 0, 2).astype(jnp.int32)
        inputs = self.centres[labels] + self.noise * noise[:, :4]
        return FewShotEpisode(Examples(inputs[:3], labels[:3]), Examples(inputs[3:], labels[3:]))


class Softmax(AbstractLearner):
    """Learns slowly only, by gradient with momentum.

    Attributes:
        rate: length of a step.
        loss_dies: the update whose loss is not a number, for seeds of either kind (`running`, 0 or 1); -1 for none.
        params_die: the same for the parameters.
        traces: grows by one each time that `update` is traced.
    """

    rate: jax.Array
    loss_dies: jax.Array
    params_die: jax.Array
    traces: list = eqx.field(static=True, default_factory=list)

    def init(self, *, key):
        weight = 0.1 * jax.random.normal(key, (3, 4))
        params = {"weight": weight, "bias": jnp.zeros(3)}
        optimiser = {"momentum": jax.tree.map(jnp.zeros_like, params), "count": jnp.zeros((), jnp.int32)}
        return LearnerState(params=params, optimiser=optimiser, running=(weight[0, 0] > 0).astype(jnp.int32))

    def update(self, state, episodes, *, key):
        self.traces.append(1)

        def loss(params):
            return jnp.mean(jax.vmap(lambda episode: self._score(params, episode.query)[0])(episodes))

        value, gradient = jax.value_and_grad(loss)(state.params)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, state.optimiser["momentum"], gradient)
        params = jax.tree.map(lambda p, m: p - self.rate * m, state.params, momentum)
        count = state.optimiser["count"] + 1
        value = jnp.where(count == self.loss_dies[state.running], jnp.nan, value)
        params["bias"] = jnp.where(count == self.params_die[state.running], jnp.inf, params["bias"])
        accuracy = jnp.mean(self.evaluate(state, episodes, key=key)["accuracy"])
        after = LearnerState(params=params, optimiser={"momentum": momentum, "count": count}, running=state.running)
        return after, {"loss": value, "accuracy": accuracy}

    def adapt(self, state, support, *, key):
        return state.params

    def predict(self, adapted, inputs):
        return jax.nn.log_softmax(inputs @ adapted["weight"].T + adapted["bias"][None])

    def evaluate(self, state, episodes, *, key):
        return {"accuracy": jax.vmap(lambda episode: self._score(state.params, episode.query)[1])(episodes)}

    def _score(self, params, query):
        scores = self.predict(params, query.inputs)
        chosen = jnp.take_along_axis(scores, query.labels[:, None], axis=1)
        return -jnp.mean(chosen), jnp.mean((jnp.argmax(scores, axis=1) == query.labels).astype(jnp.float32))


def blobs(noise=0.5):
    return Blobs(centres=jnp.eye(3, 4), noise=noise)


def softmax(kind=Softmax, *, loss_dies=(-1, -1), params_die=(-1, -1)):
    return kind(rate=jnp.asarray(0.05), loss_dies=jnp.asarray(loss_dies), params_die=jnp.asarray(params_die))
