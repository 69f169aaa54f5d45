"""Prototypical networks (Snell, Swersky and Zemel 2017): each class is the mean of its embedded examples."""

from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num

from .._typing import Key
from ..baselines.pixel_neighbours import squared_distances
from ..models.base import AbstractModelConfig
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from .base import (
    AbstractLearnerConfig,
    Figures,
    LearnerState,
    initial_state,
)
from .few_shot import (
    ABSENT,
    Statistics,
    check_statistics,
    class_figures,
    columns,
    embed_episodes,
    statistics_alone,
)
from .structure import require_embedding
from .task_learner import QueryLossLearner


class Prototypes(eqx.Module):
    """A learner that has met a support set.

    Attributes:
        embed: the embedding, as trained.
        statistics: what normalises its queries.
        means: `c_k`, the mean embedding of each class.
        counts: examples of each class.
    """

    embed: Any
    statistics: Any
    means: Float[Array, "way features"]
    counts: Float[Array, " way"]


class PrototypicalLearner(QueryLossLearner):
    """Softmax over the negative squared distance to class means, trained end to end.

    Unlike the paper, the embeddings have a fixed length (see `ConvEmbedding`).
    """

    config: "PrototypesConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        params = self.model.build(self.spec, key=key)
        return initial_state(self.optimizer, params, params.embed.neutral())

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Prototypes:
        """Takes the mean of each class's embeddings.

        Raises:
            UserError: statistics of whole episodes, which need the queries beside the support set.
        """
        embed = state.params.embed
        features, used = embed(support.inputs, statistics_alone(self.config.statistics, state.model_state))
        return Prototypes(embed, used, *class_means(features, support.labels, self.spec.label))

    def predict(self, adapted: Prototypes, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        """Log-probabilities; a class without an example has probability 0."""
        features, _ = adapted.embed(inputs, adapted.statistics)
        return jax.nn.log_softmax(prototype_logits(features, adapted.means, adapted.counts))

    def measured(self, params: Any, model_state: Any | None, episodes: FewShotEpisode) -> tuple[Figures, Any]:
        support, query, used = embed_episodes(params.embed, model_state, episodes, self.config.statistics)
        way = columns(self.spec)

        def of_one(support: Array, labels: Array, query: Array) -> Array:
            return prototype_logits(query, *class_means(support, labels, way))

        outputs = jax.vmap(of_one)(support, episodes.support.labels, query)
        return class_figures(outputs, episodes.query.labels), used


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
    """`−‖f(x) − c_k‖²` (Snell et al. eq. 2), and `ABSENT` for a class without an example."""
    return jnp.where(counts[None] > 0, -squared_distances(features, means), ABSENT)


@dataclass(frozen=True)
class PrototypesConfig(AbstractLearnerConfig):
    """Each class is the mean of its embedded examples; the nearest mean answers."""

    any_way = True

    statistics: Statistics = "running"
    """What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the
    support set; episode: those of support and queries together, which is transductive."""
    kind: Literal["prototypes"] = "prototypes"
    """The nearest class mean answers."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        return {"protocol": self.kind, "transductive": self.statistics == "episode"}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> PrototypicalLearner:
        """Builds the learner.

        Raises:
            UserError: a task without support sets, or a model with more than an embedding.
        """
        del batch
        check_statistics(self.statistics)
        spec.require("few-shot", self.kind, any_way=self.any_way)
        require_embedding(model, spec, f"learner {self.kind}")
        return PrototypicalLearner(model, optimizer, self, spec)


__all__ = ["Prototypes", "PrototypesConfig", "PrototypicalLearner", "class_means", "prototype_logits"]
