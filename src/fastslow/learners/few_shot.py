"""What learners of few-shot episodes share: embedding a batch of episodes, and the figures of their queries."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from .._checks import bad, check_choice
from ..metrics import Figure
from ..models.embedding import AbstractEmbedding
from ..tasks.base import FewShotEpisode, TaskSpec
from ..tasks.targets import AbstractTarget, Categorical
from .base import Figures, one

Statistics = Literal["running", "support", "episode"]
"""What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the support
set; episode: those of support and queries together, which is transductive."""
STATISTICS: tuple[Statistics, ...] = ("running", "support", "episode")
ABSENT = -1e9
"""Logit of a class without an example: no probability, and a finite number where it is multiplied by 0."""
MOMENTUM = 0.99
"""Weight of the past in running statistics."""


def check_statistics(statistics: str) -> None:
    """Raises `UserError` for statistics that are none."""
    check_choice("statistics", statistics, STATISTICS)


def track(old: PyTree, new: PyTree) -> PyTree:
    """Running statistics after one batch."""
    return jax.tree.map(lambda a, b: MOMENTUM * a + (1 - MOMENTUM) * b, old, new)


def embed_episodes(
    embed: AbstractEmbedding, model_state: Any | None, episodes: FewShotEpisode, statistics: Statistics = "running"
) -> tuple[Float[Array, "batch support features"], Float[Array, "batch query features"], Any]:
    """Features of the support sets and queries of a batch of episodes.

    Args:
        embed: the embedding.
        model_state: running statistics; `None` in training, where those of the whole batch are used.
        episodes: the batch.
        statistics: what to use at evaluation.

    Returns:
        Both features, and the statistics that were used.
    """
    support, query = episodes.support.inputs, episodes.query.inputs
    if model_state is None or statistics == "running":
        return _together(embed, model_state, support, query)

    def alone(support: Array, query: Array) -> tuple[Array, Array, Any]:
        if statistics == "episode":
            s, q, used = _together(embed, None, support[None], query[None])
            return s[0], q[0], used
        features, used = embed(support, None)
        return features, embed(query, used)[0], used

    return jax.vmap(alone)(support, query)


def _together(embed: AbstractEmbedding, given: Any, support: Array, query: Array) -> tuple[Array, Array, Any]:
    """Embeds support and queries of several episodes in one call, so that they share their statistics."""
    episodes, shots = support.shape[:2]
    inputs = jnp.concatenate([support, query], axis=1)
    features, used = embed(inputs.reshape(-1, *inputs.shape[2:]), given)
    features = features.reshape(episodes, inputs.shape[1], -1)
    return features[:, :shots], features[:, shots:], used


def statistics_alone(statistics: Statistics, model_state: Any) -> Any:
    """What a support set is embedded with where its queries are not known.

    Raises:
        UserError: statistics of whole episodes, which need the queries.
    """
    if statistics == "episode":
        expected = "running or support, where the queries are not known while adapting"
        raise bad("statistics", got=statistics, expected=expected, hint="use evaluate for the transductive figure")
    return model_state if statistics == "running" else None


def columns(spec: TaskSpec) -> int:
    """Columns of an answer by a learner for any number of classes: the most that an episode has."""
    return max(spec.label, spec.train_way or 0)


def class_figures(logits: Float[Array, "batch query columns"], labels: Int[Array, "batch query"]) -> Figures:
    """Loss and scores of the queries of each episode, by the numbers of their classes."""
    target = Categorical(logits.shape[2])
    return query_figures(target, logits, target.labels()[labels])


def query_figures(
    target: AbstractTarget, outputs: Float[Array, "batch query outputs"], labels: Float[Array, "batch query size"]
) -> Figures:
    """Loss and scores of the queries of each episode."""
    each = jax.vmap(jax.vmap(target.scores))(outputs, labels)
    each["loss"] = jax.vmap(jax.vmap(target.nll))(outputs, labels)
    return {
        name: Figure(jnp.sum(score, axis=1), jnp.full(score.shape[0], score.shape[1], score.dtype))
        for name, score in each.items()
    }


def over_batch(figures: Figures) -> Figures:
    """Figures of single episodes, summed over the batch."""
    return {name: Figure(jnp.sum(figure.total), jnp.sum(figure.count)) for name, figure in figures.items()}


__all__ = [
    "ABSENT",
    "STATISTICS",
    "Statistics",
    "check_statistics",
    "class_figures",
    "columns",
    "embed_episodes",
    "one",
    "over_batch",
    "query_figures",
    "statistics_alone",
    "track",
]
