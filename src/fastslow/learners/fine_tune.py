"""Fine-tuning: a few inner steps on the support set, through which the query loss is backpropagated."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num

from .._checks import UserError, bad, check_choice, check_integer
from .._typing import Key, Scalar
from ..models.base import AbstractModelConfig
from ..synthetic.regimes import FeedbackConfig
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from .adapted import (
    AdaptedModel,
    Parameters,
    QueryMemory,
    SupportOrder,
    adapt_inner,
    fast_weights,
    gradients_met,
    read_queries,
)
from .base import (
    AbstractLearnerConfig,
    Figures,
    LearnerState,
    Stepwise,
    initial_state,
    one,
    value,
)
from .few_shot import (
    Statistics,
    check_statistics,
    embed_episodes,
    over_batch,
    query_figures,
    statistics_alone,
)
from .inner_loop import each_step, inner_rates, rates_for
from .inspect import Inspectable, Inspection, inspection
from .parameters import fresh_parameters
from .structure import require_controllers
from .task_learner import TaskLearner, backpropagated
from .taught import gradient_figures

MOST_STEPS = 10_000
"""Most inner steps."""


class Adapted(eqx.Module):
    """A learner that has met a support set. Attributes: `model`; `statistics`, what normalises its queries."""

    model: AdaptedModel
    statistics: Any


class FineTuneLearner(TaskLearner, Stepwise, Inspectable):
    """Trains a network with controllers over episodes; inner steps adapt it within one.

    The regime governs the inner steps on the support set; the query loss is backpropagated through them into the
    initial weights, the predictors and the inner learning rates.
    """

    config: "FineTuneConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        params = self.config.parameters(self.model, self.spec, key=key)
        return initial_state(self.optimizer, params, params.network.embed.neutral())

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        return backpropagated(self.optimizer, state, lambda params: self._loss(params, episodes))

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> Figures:
        figures, _, _ = self._measured(state.params, state.model_state, episodes)
        return {**figures, **self._met(state, episodes)} if self.config.gradients else figures

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Adapted:
        """Takes inner steps on one support set.

        Raises:
            UserError: statistics of whole episodes, which need the queries beside the support set.
        """
        features, labels, used = self._support(state, support)
        return Adapted(self._adapt(state.params, features, labels), used)

    def after_each(self, state: LearnerState, support: Examples, steps: int) -> Adapted:
        features, labels, used = self._support(state, support)
        params = state.params

        def step(model: AdaptedModel, rates: Any) -> AdaptedModel:
            one = jax.tree.map(lambda leaf: leaf[None], rates)
            return self._adapt(replace(params, network=model.network, rates=one), features, labels)

        first = self._adapt(replace(params, rates=rates_for(params.rates, 0)), features, labels)
        return Adapted(each_step(step, first, rates_for(params.rates, steps)), used)

    def predict(self, adapted: Adapted, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        features, _ = adapted.model.network.embed(inputs, adapted.statistics)
        return self.spec.target.answer(read_queries(adapted.model, features))

    def inspect(self, state: LearnerState, episode: FewShotEpisode) -> Inspection:
        params, config = state.params, self.config
        batch = jax.tree.map(lambda leaf: leaf[None], episode)
        support, query, _ = embed_episodes(params.network.embed, state.model_state, batch, config.statistics)
        labels = self.labels(episode.support.labels)
        gradients = gradients_met(params, support[0], labels, config.feedback, config.support_order)
        adapted = self._adapt(params, support[0], labels)
        streamed = config.query_memory == "post-support"
        return inspection(adapted.network, support[0], labels, query[0], gradients, streamed=streamed)

    def _support(self, state: LearnerState, support: Examples) -> tuple[Array, Array, Any]:
        """Features and labels of a support set, and what normalises its queries."""
        given = statistics_alone(self.config.statistics, state.model_state)
        features, used = state.params.network.embed(support.inputs, given)
        return features, self.labels(support.labels), used

    def _adapt(self, params: Parameters, features: Array, labels: Array) -> AdaptedModel:
        config = self.config
        return adapt_inner(params, features, labels, config.feedback, config.support_order, config.query_memory)

    def _measured(
        self, params: Parameters, model_state: Any | None, episodes: FewShotEpisode
    ) -> tuple[Figures, AdaptedModel, Any]:
        """Figures of each episode, its adapted model, and the statistics used; `model_state=None` is training."""
        statistics = self.config.statistics
        support, query, used = embed_episodes(params.network.embed, model_state, episodes, statistics)
        labels = self.labels(episodes.support.labels)
        adapted = jax.vmap(lambda x, y: self._adapt(params, x, y))(support, labels)
        outputs = jax.vmap(read_queries)(adapted, query)
        figures = query_figures(self.spec.target, outputs, self.labels(episodes.query.labels))
        return figures, adapted, used

    def _met(self, state: LearnerState, episodes: FewShotEpisode) -> Figures:
        """Norms and cosines of the gradients at the controllers, mean over inner steps and support items."""
        params, config = state.params, self.config
        support, _, _ = embed_episodes(params.network.embed, state.model_state, episodes, config.statistics)

        def of_one(features: Array, labels: Array) -> Figures:
            met = gradients_met(params, features, labels, config.feedback, config.support_order)
            return gradient_figures(met, jnp.ones((config.steps, len(features)), bool))

        return jax.vmap(of_one)(support, self.labels(episodes.support.labels))

    def _loss(self, params: Parameters, episodes: FewShotEpisode) -> tuple[Scalar, tuple[Figures, Any]]:
        figures, adapted, used = self._measured(params, None, episodes)
        figures = over_batch(figures)
        regression = jnp.mean(adapted.regression)
        figures |= {"support_loss": one(jnp.mean(adapted.loss)), "regression": one(regression)}
        loss = value(figures["loss"])
        return loss + self.config.feedback.regression * regression, (figures, used)


@dataclass(frozen=True)
class FineTuneConfig(AbstractLearnerConfig):
    """Inner steps on the support set, learned through by the outer loop."""

    feedback: FeedbackConfig = field(default_factory=lambda: FeedbackConfig(regime="meta"))
    """Which gradients the controllers' inner steps follow."""
    steps: int = 5
    """Inner steps on the support set."""
    rate: float = 0.4
    """Inner learning rate before training; each tensor and each step then learns its own."""
    support_order: SupportOrder = "independent"
    """During inner steps. stream: one item after the other through one memory; independent: each from the initial
    memory and fresh controllers."""
    query_memory: QueryMemory = "initial"
    """The memory a query is read from. post-support: after the support set was streamed through the adapted network;
    initial: as it was before."""
    statistics: Statistics = "running"
    """What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the
    support set; episode: those of support and queries together, which is transductive."""
    gradients: bool = False
    """Whether each validation measures norms of true and synthetic gradients at the controllers, and their cosine."""
    kind: Literal["fine-tune"] = "fine-tune"
    """Inner gradient steps on the support set, true or synthetic."""

    @property
    def facts(self) -> dict[str, str | int | bool]:
        """What result rows state of the learner."""
        return {
            "protocol": self.kind,
            "regime": self.feedback.regime,
            "transductive": self.statistics == "episode",
            "inner steps": self.steps,
        }

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> FineTuneLearner:
        """Builds the learner.

        Raises:
            UserError: choices that do not go together, a task without support sets, or a cell without controllers.
        """
        del batch
        self._check()
        spec.require("few-shot", self.kind)
        cell = require_controllers(model, spec, f"learner {self.kind}")
        self._check_label(getattr(cell, "label_input", "none"))
        return FineTuneLearner(model, optimizer, self, spec)

    def parameters(self, model: AbstractModelConfig, spec: TaskSpec, *, key: Key) -> Parameters:
        """A fresh network with what its learner adds to it."""
        fresh = fresh_parameters(model, spec, self.feedback, key=key)
        rates = inner_rates(fast_weights(fresh.network), self.steps, self.rate)
        return Parameters(fresh.network, fresh.predictors, rates)

    def _check(self) -> None:
        self.feedback.check()
        check_choice("support_order", self.support_order, ("stream", "independent"))
        check_choice("query_memory", self.query_memory, ("post-support", "initial"))
        check_statistics(self.statistics)
        check_integer("steps", self.steps, most=MOST_STEPS, reason="the backward pass keeps every inner step")
        if not 0 <= self.rate < float("inf"):
            raise bad("rate", got=self.rate, expected="a finite number of at least 0")

    def _check_label(self, label_input: str) -> None:
        if label_input == "input":
            raise UserError(
                "learner fine-tune with label input input: the inner steps would be measured on answers they are "
                "shown; use label input none or write."
            )
        if label_input == "write" and self.support_order == "independent" and self.query_memory == "initial":
            raise UserError(
                "label input write with support order independent and query memory initial: what is written is never "
                "read; use label input none, or query memory post-support."
            )


__all__ = ["Adapted", "FineTuneConfig", "FineTuneLearner"]
