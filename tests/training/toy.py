"""The smallest learner and task that train: a linear softmax that tells Gaussian blobs in four dimensions apart."""

import equinox as eqx
import jax
import jax.numpy as jnp

from fastslow.learners.base import LearnerState, Trainable
from fastslow.metrics import ACCURACY, Figure
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


class Softmax(Trainable):
    """Learns by gradient with momentum.

    Attributes:
        rate: length of a step.
        loss_diverges: the update whose loss is not a number, for seeds of either kind (`model_state`, 0 or 1); -1 for
            none.
        params_diverge: the same for the parameters.
        traces: grows by one each time that `update` is traced.
    """

    rate: jax.Array
    loss_diverges: jax.Array
    params_diverge: jax.Array
    traces: list = eqx.field(static=True, default_factory=list)

    @property
    def monitor(self):
        return ACCURACY

    @property
    def metrics(self):
        return (ACCURACY,)

    def init(self, *, key):
        weight = 0.1 * jax.random.normal(key, (3, 4))
        params = {"weight": weight, "bias": jnp.zeros(3)}
        opt_state = {"momentum": jax.tree.map(jnp.zeros_like, params), "count": jnp.zeros((), jnp.int32)}
        return LearnerState(params=params, opt_state=opt_state, model_state=(weight[0, 0] > 0).astype(jnp.int32))

    def update(self, state, episodes, *, key):
        self.traces.append(1)

        def loss(params):
            return jnp.mean(jax.vmap(lambda episode: self._score(params, episode.query)[0])(episodes))

        value, gradient = jax.value_and_grad(loss)(state.params)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, state.opt_state["momentum"], gradient)
        params = jax.tree.map(lambda p, m: p - self.rate * m, state.params, momentum)
        count = state.opt_state["count"] + 1
        value = jnp.where(count == self.loss_diverges[state.model_state], jnp.nan, value)
        params["bias"] = jnp.where(count == self.params_diverge[state.model_state], jnp.inf, params["bias"])
        figure = self.evaluate(state, episodes, key=key)["accuracy"]
        accuracy = Figure(jnp.sum(figure.total), jnp.sum(figure.count))
        after = LearnerState(
            params=params, opt_state={"momentum": momentum, "count": count}, model_state=state.model_state
        )
        return after, {"loss": Figure(value, jnp.ones(())), "accuracy": accuracy}

    def evaluate(self, state, episodes, *, key):
        right = jax.vmap(lambda episode: self._score(state.params, episode.query)[1])(episodes)
        return {"accuracy": Figure(right, jnp.full_like(right, 6))}

    def _score(self, params, query):
        scores = jax.nn.log_softmax(query.inputs @ params["weight"].T + params["bias"][None])
        chosen = jnp.take_along_axis(scores, query.labels[:, None], axis=1)
        return -jnp.mean(chosen), jnp.sum((jnp.argmax(scores, axis=1) == query.labels).astype(jnp.float32))


def blobs(noise=0.5):
    return Blobs(centres=jnp.eye(3, 4), noise=noise)


def softmax(kind=Softmax, *, loss_diverges=(-1, -1), params_diverge=(-1, -1)):
    return kind(
        rate=jnp.asarray(0.05), loss_diverges=jnp.asarray(loss_diverges), params_diverge=jnp.asarray(params_diverge)
    )
