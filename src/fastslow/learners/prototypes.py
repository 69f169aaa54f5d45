"""Prototypical networks (Snell, Swersky and Zemel 2017): each class is the mean of its embedded examples."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from .._typing import Key, Scalar
from ..baselines.pixel_neighbours import squared_distances
from ..models.embed import ConvEmbedding, Statistics, blend
from ..models.heads import accuracy, cross_entropy
from ..tasks.base import Examples, FewShotEpisode
from .base import AbstractLearner, LearnerState, Metrics

MOMENTUM = 0.99
"""Weight of the past in running statistics."""


class Prototypes(eqx.Module):
    """A learner that has met a support set.

    Attributes:
        embed: the embedding, as trained.
        statistics: what normalises its queries.
        means: `c_k`, the mean embedding of each class.
        counts: examples of each class.
    """

    embed: ConvEmbedding
    statistics: Statistics
    means: Float[Array, "way features"]
    counts: Float[Array, " way"]


class PrototypicalLearner(AbstractLearner[FewShotEpisode]):
    """Softmax over the negative squared distance to class means, trained end to end.

    Training normalises with the statistics of the whole batch, evaluation with running averages of them: nothing in
    the answer to one query depends on the other queries. Unlike the paper, the embeddings have a fixed length (see
    `ConvEmbedding`), and training episodes have as many classes as test episodes.

    Attributes:
        build: `key → ConvEmbedding`, the embedding as configured.
        optimiser: the slow optimiser.
        way: classes of an episode.
    """

    build: Any = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)
    way: int = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        embed = self.build(key)
        return LearnerState(params=embed, optimiser=self.optimiser.init(embed), running=embed.neutral())

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Metrics]:
        gradients, (metrics, used) = eqx.filter_grad(self._loss, has_aux=True)(state.params, episodes)
        updates, optimiser = self.optimiser.update(gradients, state.optimiser, state.params)
        metrics["gradient_norm"] = optax.tree.norm(gradients)
        params = optax.apply_updates(state.params, updates)
        running = blend(state.running, used, MOMENTUM)
        return LearnerState(params=params, optimiser=optimiser, running=running), metrics

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Prototypes:
        """Takes the mean of each class's embeddings."""
        features, _ = state.params(support.inputs, state.running)
        means, counts = class_means(features, support.labels, self.way)
        return Prototypes(state.params, state.running, means, counts)

    def predict(self, adapted: Prototypes, inputs: Float[Array, "query ..."]) -> Float[Array, "query way"]:
        """Log-probabilities; a class without an example has probability 0."""
        features, _ = adapted.embed(inputs, adapted.statistics)
        return jax.nn.log_softmax(prototype_logits(features, adapted.means, adapted.counts))

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> dict[str, Float[Array, " batch"]]:
        logits, _ = self._logits(state.params, state.running, episodes)
        loss = jax.vmap(cross_entropy)(logits, jax.nn.one_hot(episodes.query.labels, self.way))
        return {"accuracy": jax.vmap(accuracy)(logits, episodes.query.labels), "loss": loss}

    def _loss(self, embed: ConvEmbedding, episodes: FewShotEpisode) -> tuple[Scalar, tuple[Metrics, Statistics]]:
        logits, used = self._logits(embed, None, episodes)
        labels = episodes.query.labels
        loss = jnp.mean(jax.vmap(cross_entropy)(logits, jax.nn.one_hot(labels, self.way)))
        return loss, ({"loss": loss, "accuracy": jnp.mean(jax.vmap(accuracy)(logits, labels))}, used)

    def _logits(
        self, embed: ConvEmbedding, given: Statistics | None, episodes: FewShotEpisode
    ) -> tuple[Float[Array, "batch query way"], Statistics]:
        """Logits of the queries of several episodes, all images embedded in one call, and the statistics used."""
        shots = episodes.support.inputs.shape[1]
        images = jnp.concatenate([episodes.support.inputs, episodes.query.inputs], axis=1)
        features, used = embed(images.reshape(-1, *images.shape[2:]), given)
        features = features.reshape(*images.shape[:2], -1)

        def one(features: Array, labels: Array) -> Array:
            return prototype_logits(features[shots:], *class_means(features[:shots], labels, self.way))

        return jax.vmap(one)(features, episodes.support.labels), used


def class_means(
    features: Float[Array, "items features"], labels: Int[Array, " items"], way: int
) -> tuple[Float[Array, "way features"], Float[Array, " way"]]:
    """Mean features of each class, `c_k` (Snell et al. eq. 1), and its number of examples.

    Args:
        features: of labelled examples.
        labels: `0 … way - 1`.
        way: number of classes; one without an example has mean 0 and count 0.
    """
    one_hot = jax.nn.one_hot(labels, way, dtype=features.dtype)
    counts = jnp.sum(one_hot, axis=0)
    return one_hot.T @ features / jnp.maximum(counts, 1)[:, None], counts


def prototype_logits(
    features: Float[Array, "query features"], means: Float[Array, "way features"], counts: Float[Array, " way"]
) -> Float[Array, "query way"]:
    """`−‖f(x) − c_k‖²` (Snell et al. eq. 2), and minus infinity for a class without an example."""
    return jnp.where(counts[None] > 0, -squared_distances(features, means), -jnp.inf)


__all__ = ["Prototypes", "PrototypicalLearner", "class_means", "prototype_logits"]
