"""Matching networks (Vinyals and others 2016): a query takes the labels of the support items it is similar to."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num

from .._checks import check_choice, check_integer
from .._typing import Key, Scalar
from ..baselines.pixel_neighbours import squared_distances
from ..cells.lstm import LSTM, LSTMState
from ..cells.unroll import unroll
from ..memory.addressing import cosine
from ..models.base import AbstractModelConfig
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from .base import (
    AbstractLearnerConfig,
    Figures,
    LearnerState,
    initial_state,
)
from .few_shot import (
    Statistics,
    check_statistics,
    class_figures,
    columns,
    embed_episodes,
    statistics_alone,
)
from .structure import require_embedding
from .task_learner import QueryLossLearner

Similarity = Literal["cosine", "distance"]
Scale = Literal["learned", "one"]
FLOOR = 1e-8
"""Added to a probability before its logarithm."""
MOST_STEPS = 1000


class Context(eqx.Module):
    """Full context embeddings: items are embedded in the light of their support set.

    Attributes:
        forward, backward: the two directions of the LSTM over the support set, each of the embedding's size.
        query: the LSTM that reads the support set for a query.
        steps: K, its steps.
    """

    forward: LSTM
    backward: LSTM
    query: LSTM
    steps: int = eqx.field(static=True)

    def __init__(self, size: int, steps: int, *, key: Key):
        key_forward, key_backward, key_query = jax.random.split(key, 3)
        self.forward = LSTM(size, size, key=key_forward)
        self.backward = LSTM(size, size, key=key_backward)
        self.query = LSTM(2 * size, size, key=key_query)
        self.steps = steps

    def of_support(self, x: Float[Array, "support features"]) -> Float[Array, "support features"]:
        """`g(x_i) = →h_i + ←h_i + g'(x_i)`."""
        run = lambda cell, rows: unroll(cell, cell.init_state(), rows)[1]
        return run(self.forward, x) + run(self.backward, x[::-1])[::-1] + x

    def of_query(
        self, x: Float[Array, " features"], support: Float[Array, "support features"]
    ) -> Float[Array, " features"]:
        """K steps of `a = softmax_i(h_{k−1}ᵀ g(x_i))`, `ρ = Σ a_i g(x_i)`, `h_k = ĥ_k + f'(x)`."""
        h, c = x, jnp.zeros_like(x)  # ĥ_0 = 0
        for _ in range(self.steps):
            recalled = jax.nn.softmax(support @ h) @ support
            # the recurrent input is [h_{k−1}; ρ_{k−1}]: ρ has columns of its own beside those of f'(x)
            after, hidden = self.query(LSTMState(h, c), jnp.concatenate([x, recalled]))
            h, c = hidden + x, after.cell
        return h


class Parameters(eqx.Module):
    """All that is learned. Attributes: `embed`; `log_scale` of similarities; `context`, `None` without."""

    embed: Any
    log_scale: Scalar
    context: Context | None


class Stored(eqx.Module):
    """A learner that has met a support set.

    Attributes:
        params: as trained.
        support: embedded items.
        labels: of each item.
        statistics: what normalises its queries.
    """

    params: Parameters
    support: Float[Array, "support features"]
    labels: Int[Array, " support"]
    statistics: Any


class MatchingLearner(QueryLossLearner):
    """`P(y; x) = Σ_{i: y_i = y} a_i`, `a = softmax_i(s · similarity(f(x), g(x_i)))`, trained end to end.

    The paper's scale `s = 1` bounds the largest probability, by cosines 1 and 0 to 0.40 with five classes; here it is
    learned from 10. Full context embeddings depend on the order of the support set, which episodes draw at random.
    """

    config: "MatchingConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        key_model, key_context = jax.random.split(key)
        embed = self.model.build(self.spec, key=key_model).embed
        steps = self.config.context_steps
        context = Context(embed.out_size, steps, key=key_context) if steps else None
        params = Parameters(embed, jnp.log(jnp.asarray(10.0, float)), context)
        return initial_state(self.optimizer, params, embed.neutral())

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Stored:
        """Embeds a support set and keeps it.

        Raises:
            UserError: statistics of whole episodes, which need the queries beside the support set.
        """
        given = statistics_alone(self.config.statistics, state.model_state)
        features, used = state.params.embed(support.inputs, given)
        context = state.params.context
        features = features if context is None else context.of_support(features)
        return Stored(state.params, features, support.labels, used)

    def predict(self, adapted: Stored, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        """Log-probabilities; that of a class without an example is the floor's."""
        features, _ = adapted.params.embed(inputs, adapted.statistics)
        answer = partial(self._answer, adapted.params, adapted.support, adapted.labels)
        return jax.nn.log_softmax(jax.vmap(answer)(features)[:, : self.spec.label])

    def _answer(
        self, params: Parameters, support: Array, labels: Int[Array, " support"], x: Float[Array, " features"]
    ) -> Float[Array, " columns"]:
        """`log(P(y; x) + FLOOR)`."""
        x = x if params.context is None else params.context.of_query(x, support)
        distance = self.config.similarity == "distance"
        similar = -squared_distances(x[None], support)[0] if distance else cosine(support, x)
        scale = jnp.exp(params.log_scale) if self.config.scale == "learned" else 1
        attention = jax.nn.softmax(scale * similar)
        return jnp.log(attention @ jax.nn.one_hot(labels, columns(self.spec), dtype=x.dtype) + FLOOR)

    def measured(self, params: Parameters, model_state: Any | None, episodes: FewShotEpisode) -> tuple[Figures, Any]:
        support, query, used = embed_episodes(params.embed, model_state, episodes, self.config.statistics)

        def outputs(support: Array, labels: Array, query: Array) -> Array:
            support = support if params.context is None else params.context.of_support(support)
            return jax.vmap(partial(self._answer, params, support, labels))(query)

        found = jax.vmap(outputs)(support, episodes.support.labels, query)
        return class_figures(found, episodes.query.labels), used


@dataclass(frozen=True)
class MatchingConfig(AbstractLearnerConfig):
    """A query takes the labels of the support items it is similar to."""

    any_way = True

    similarity: Similarity = "cosine"
    """Of a query and an item. distance: minus the squared distance."""
    scale: Scale = "learned"
    """Factor on a similarity. learned: from 10 on; one: 1, the paper's."""
    context_steps: int = 0
    """K, steps in which a query reads the support set for its full context embedding; 0: no context embeddings."""
    statistics: Statistics = "running"
    """What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the
    support set; episode: those of support and queries together, which is transductive."""
    kind: Literal["matching"] = "matching"
    """A query takes the labels of similar support items."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        return {"protocol": self.kind, "transductive": self.statistics == "episode"}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> MatchingLearner:
        """Builds the learner.

        Raises:
            UserError: a number or choice that does not exist, a task without support sets, or a model with more than
                an embedding.
        """
        del batch
        check_choice("similarity", self.similarity, ("cosine", "distance"))
        check_choice("scale", self.scale, ("learned", "one"))
        check_integer("context_steps", self.context_steps, least=0, most=MOST_STEPS, reason="each is in the program")
        check_statistics(self.statistics)
        spec.require("few-shot", self.kind, any_way=self.any_way)
        require_embedding(model, spec, f"learner {self.kind}")
        return MatchingLearner(model, optimizer, self, spec)


__all__ = ["Context", "MatchingConfig", "MatchingLearner", "Stored"]
