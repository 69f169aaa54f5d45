"""The learner of streams: a recurrent network that is shown each label one step late (mann section 2)."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num, PyTree

from .._typing import Key, Scalar
from ..cells.base import AbstractCell, unroll
from ..cells.rewind import AbstractRewindableCell, unroll_batch
from ..models.heads import AbstractHead
from ..tasks.base import Examples, SequenceEpisode
from .base import AbstractLearner, LearnerState, Metrics

TRACKED = (1, 2, 5, 10)
"""Instances whose hits are told of every update, for the curves of mann Figure 2."""


class SequenceNetwork(eqx.Module):
    """Attributes: `cell`, on `[x_t; y_{t-1}]`; `head`, from the cell's output to the numbers of a distribution."""

    cell: AbstractCell
    head: AbstractHead


class Streamed(eqx.Module):
    """A network in the middle of a stream. Attributes: `network`; `state`, its cell's; `shown`, the label before."""

    network: SequenceNetwork
    state: PyTree
    shown: Float[Array, " target"]


class SequenceLearner(AbstractLearner[SequenceEpisode]):
    """Trains a network to name what comes, learning from what came: no weight changes within an episode.

    Attributes:
        build: `key → SequenceNetwork`, as configured.
        optimiser: the slow optimiser.
        target: size of a target.
        instances: how many instances of a class are scored apart.
    """

    build: Any = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)
    target: int = eqx.field(static=True)
    instances: int = eqx.field(static=True, default=10)

    def init(self, *, key: Key) -> LearnerState:
        network = self.build(key)
        # nothing is tracked; the axis is one by which repetitions can be counted once stacked
        return LearnerState(params=network, optimiser=self.optimiser.init(network), running=jnp.zeros(0))

    def update(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> tuple[LearnerState, Metrics]:
        """One slow step. Beside `loss` and `accuracy`, `hits_k` and `seen_k` tell of k-th instances an episode."""

        def loss_of(network: SequenceNetwork) -> tuple[Scalar, Metrics]:
            outputs = self._outputs(network, episodes)
            surprise, hits, counted = _judged(network.head, outputs, episodes)
            # L(θ) = −Σ_t y_t^T log p_t, as a mean over steps                   (mann eq. 25, 26)
            loss = jnp.sum(surprise) / jnp.sum(counted)
            kth = _of_instance(episodes, max(TRACKED), hits.dtype)
            told = {"loss": loss, "accuracy": jnp.sum(hits) / jnp.sum(counted)}
            for k in TRACKED:  # apart, since a batch need not hold a k-th instance
                told[f"hits_{k}"] = jnp.mean(jnp.sum(hits * kth[..., k - 1], axis=1))
                told[f"seen_{k}"] = jnp.mean(jnp.sum(kth[..., k - 1], axis=1))
            return loss, told

        gradients, metrics = eqx.filter_grad(loss_of, has_aux=True)(state.params)
        updates, optimiser = self.optimiser.update(cast(Any, gradients), state.optimiser, state.params)
        metrics["gradient_norm"] = optax.tree.norm(gradients)
        params = optax.apply_updates(state.params, updates)
        return LearnerState(params=params, optimiser=optimiser, running=state.running), metrics

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Streamed:
        """Streams labelled examples, of which `labels` are class numbers shown as one-hot rows."""
        network = state.params
        shown = jax.nn.one_hot(support.labels, self.target)
        rows = _rows(support.inputs, shown)
        after, _ = unroll(network.cell, network.cell.init_state(), rows)
        return Streamed(network, after, shown[-1])

    def predict(self, adapted: Streamed, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        flat = inputs.reshape(inputs.shape[0], -1)
        step = jax.vmap(lambda x: adapted.network.cell(adapted.state, jnp.concatenate([x, adapted.shown]))[1])
        return jax.nn.log_softmax(jax.vmap(adapted.network.head)(step(flat)))

    def evaluate(
        self, state: LearnerState, episodes: SequenceEpisode, *, key: Key
    ) -> dict[str, Float[Array, "batch ..."]]:
        """Figures of each episode.

        Returns:
            `accuracy`, the share of steps named rightly; `loss`, nats a step; `hits` and `seen`, `[batch, instances]`,
            how often the k-th instance of a class was named rightly and how often there was one.
        """
        outputs = self._outputs(state.params, episodes)
        surprise, hits, counted = _judged(state.params.head, outputs, episodes)
        kth = _of_instance(episodes, self.instances, hits.dtype)
        steps = jnp.sum(counted, axis=1)
        return {
            "accuracy": jnp.sum(hits, axis=1) / steps,
            "loss": jnp.sum(surprise, axis=1) / steps,
            "hits": jnp.sum(hits[..., None] * kth, axis=1),
            "seen": jnp.sum(kth, axis=1),
        }

    def _outputs(self, network: SequenceNetwork, episodes: SequenceEpisode) -> Float[Array, "batch time outputs"]:
        rows = jax.vmap(_rows)(episodes.inputs, episodes.targets)
        return jax.vmap(jax.vmap(network.head))(run_batch(network.cell, rows))


def run_batch(cell: AbstractCell, xs: Float[Array, "batch time in"]) -> Float[Array, "batch time out"]:
    """Outputs of a batch of sequences, each from a fresh state."""
    fresh = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (xs.shape[0], *leaf.shape)), cell.init_state())
    if isinstance(cell, AbstractRewindableCell):
        return unroll_batch(cell, fresh, xs)[1]
    return jax.vmap(lambda state, x: unroll(cell, state, x)[1])(fresh, xs)


def _of_instance(episodes: SequenceEpisode, most: int, dtype: Any) -> Float[Array, "batch time instances"]:
    """A one where a step is the k-th instance of its class, for each k up to `most`."""
    return (episodes.instance[..., None] == jnp.arange(1, most + 1)[None, None]).astype(dtype)


def _rows(inputs: Float[Array, "time ..."], targets: Float[Array, "time target"]) -> Float[Array, "time in"]:
    """`[x_t; y_{t-1}]`; the first label is zeros."""
    late = jnp.concatenate([jnp.zeros_like(targets[:1]), targets[:-1]])
    return jnp.concatenate([inputs.reshape(inputs.shape[0], -1), late], axis=1)


def _judged(head: AbstractHead, outputs: Array, episodes: SequenceEpisode) -> tuple[Array, Array, Array]:
    """Surprise and hits of each step, zero at padding, and a one for each step that counts."""
    counted = (episodes.instance > 0).astype(outputs.dtype)
    each = lambda f: jax.vmap(jax.vmap(f))(outputs, episodes.targets) * counted
    return each(head.surprise), each(head.hit), counted


__all__ = ["SequenceLearner", "SequenceNetwork", "Streamed", "run_batch"]
