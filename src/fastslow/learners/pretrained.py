"""The baseline without meta-learning: ordinary training on all classes, then gradient steps on a support set."""

from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num

from .._checks import Described, bad, check_integer, check_real
from .._typing import Key, Scalar
from ..models.base import AbstractModelConfig
from ..models.head import Head
from ..models.network import Network
from ..synthetic.regimes import FeedbackConfig
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from ..tasks.targets import Categorical
from .adapted import AdaptedModel, Parameters, adapt_inner, fast_weights, read_queries
from .base import AbstractLearnerConfig, Figures, LearnerState, initial_state, value
from .few_shot import (
    Statistics,
    check_statistics,
    embed_episodes,
    over_batch,
    query_figures,
    statistics_alone,
)
from .inner_loop import inner_rates
from .structure import require_controllers
from .task_learner import TaskLearner, backpropagated

MOST_STEPS = 10_000
BACKPROPAGATION = FeedbackConfig(regime="true", regression=0.0, reach="local", alpha=1.0)


class Adapted(eqx.Module):
    """A network that has met a support set. Attributes: `model`; `statistics`, what normalises its queries."""

    model: AdaptedModel
    statistics: Any


class PretrainedLearner(TaskLearner):
    """Trains a network to name all training classes; a new task gets a new head and plain gradient steps.

    fast-slow's Table 1 has a row "baseline NMN" and does not say how that network meets new classes; this is a reading.
    No gradient passes through those steps. Every item is read from the initial memory and fresh controllers. The steps
    change the controllers and the new head, whose weights start at zero.

    Attributes:
        classes: that training has.
    """

    config: "PretrainedConfig" = eqx.field(static=True)
    classes: int = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        network = self.model.build(with_all_classes(self.spec, self.classes), key=key)
        return initial_state(self.optimizer, network, network.embed.neutral())

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        return backpropagated(self.optimizer, state, lambda network: self._loss(network, episodes))

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> Figures:
        network = state.params
        support, query, _ = embed_episodes(network.embed, state.model_state, episodes, self.config.statistics)

        def outputs(support: Array, labels: Array, query: Array) -> Array:
            return read_queries(self._adapt(network, support, labels), query)

        found = jax.vmap(outputs)(support, episodes.support.labels, query)
        return query_figures(self.spec.target, found, self.labels(episodes.query.labels))

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Adapted:
        """Takes gradient steps on one support set.

        Raises:
            UserError: statistics of whole episodes, which need the queries beside the support set.
        """
        given = statistics_alone(self.config.statistics, state.model_state)
        features, used = state.params.embed(support.inputs, given)
        return Adapted(self._adapt(state.params, features, support.labels), used)

    def predict(self, adapted: Adapted, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        features, _ = adapted.model.network.embed(inputs, adapted.statistics)
        return self.spec.target.answer(read_queries(adapted.model, features))

    def _adapt(self, network: Network, features: Array, labels: Int[Array, " support"]) -> AdaptedModel:
        head = Head(network.cell.out_size, self.spec.target, key=jax.random.key(0))
        network = eqx.tree_at(lambda n: n.head, network, jax.tree.map(jnp.zeros_like, head))
        rates = inner_rates(fast_weights(network), self.config.steps, self.config.rate)
        params = Parameters(network, None, rates)
        return adapt_inner(params, features, self.labels(labels), BACKPROPAGATION, "independent", "initial")

    def _loss(self, network: Network, episodes: FewShotEpisode) -> tuple[Scalar, tuple[Figures, Any]]:
        """Mean cross entropy over all drawings of the batch, in all classes."""
        given = episodes.classes
        if given is None:
            expected = f"episodes with the numbers of their classes, as task {self.spec.kind} has train_classes"
            raise bad("classes", got=Described("none"), expected=expected)
        support, query, used = embed_episodes(network.embed, None, episodes)
        numbers = lambda examples: jax.vmap(jnp.take)(given, examples.labels)
        features = jnp.concatenate([support, query], axis=1)
        classes = jnp.concatenate([numbers(episodes.support), numbers(episodes.query)], axis=1)
        still = AdaptedModel(network, network.cell.init_state(), jnp.zeros(()), jnp.zeros(()))
        outputs = jax.vmap(lambda rows: read_queries(still, rows))(features)
        target = Categorical(self.classes)
        figures = over_batch(query_figures(target, outputs, jax.nn.one_hot(classes, self.classes)))
        return value(figures["loss"]), (figures, used)


def with_all_classes(spec: TaskSpec, classes: int) -> TaskSpec:
    """The task of naming each training class."""
    return TaskSpec(spec.kind, spec.episode, spec.shape, Categorical(classes), spec.label, spec.metrics)


@dataclass(frozen=True)
class PretrainedConfig(AbstractLearnerConfig):
    """Ordinary training on all classes, then gradient steps on the support set."""

    any_way = True

    steps: int = 20
    """k, gradient steps on the support set."""
    rate: float = 1.0
    """Learning rate of these steps, on the mean loss."""
    statistics: Statistics = "running"
    """What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the
    support set; episode: those of support and queries together, which is transductive."""
    kind: Literal["pretrained"] = "pretrained"
    """All training classes by one head; a new head and gradient steps for a new task."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        transductive = self.statistics == "episode"
        return {"protocol": "fine-tune", "regime": "true", "inner steps": self.steps, "transductive": transductive}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> PretrainedLearner:
        """Builds the learner.

        Raises:
            UserError: a number or choice that does not exist, a task without support sets or with training classes
                that have no numbers, or a cell without controllers.
        """
        del batch
        check_integer("steps", self.steps, most=MOST_STEPS, reason="each takes time at every task")
        check_real("rate", self.rate)
        check_statistics(self.statistics)
        spec.require("few-shot", self.kind, any_way=self.any_way)
        if spec.train_classes is None:
            expected = f"a learner without a head for each training class, as task {spec.kind} draws them without end"
            raise bad("learner", got=self.kind, expected=expected)
        cell = require_controllers(model, spec, f"learner {self.kind}")
        label_input = getattr(cell, "label_input", "none")
        if label_input != "none":
            raise bad("label_input", got=label_input, expected=f"none, as learner {self.kind} shows no labels")
        return PretrainedLearner(model, optimizer, self, spec, spec.train_classes)


__all__ = ["Adapted", "PretrainedConfig", "PretrainedLearner", "with_all_classes"]
