"""In-context learning: the support set is streamed through the cell, and the memory alone adapts to it."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num, PyTree

from .._checks import UserError, check_choice
from .._typing import Key, Scalar
from ..cells.context import ContextAndQueries
from ..cells.controlled import AbstractControlledCell
from ..cells.unroll import unroll
from ..models.base import AbstractModelConfig
from ..models.network import Network
from ..synthetic.feedback import Feedback, feedback, together
from ..synthetic.predictors import SyntheticGradients
from ..synthetic.regimes import FeedbackConfig
from ..synthetic.segment import Segment, with_mask
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from .adapted import controlled
from .base import (
    AbstractLearnerConfig,
    Figures,
    LearnerState,
    initial_state,
    norm,
    one,
    outer_step,
    value,
)
from .few_shot import (
    Statistics,
    check_statistics,
    embed_episodes,
    over_batch,
    query_figures,
    statistics_alone,
    track,
)
from .inspect import Inspectable, Inspection, compare_gradients, inspection
from .parameters import Parameters, fresh_parameters
from .structure import require, require_controllers
from .task_learner import TaskLearner
from .taught import stepped

OuterStep = Literal["own", "summed"]


class Adapted(eqx.Module):
    """A network that has read a support set.

    Attributes:
        network: as it was trained.
        state: of its cell after the support set.
        statistics: what normalises its queries.
    """

    network: Network
    state: Any
    statistics: Any


class InContextLearner(TaskLearner, Inspectable):
    """Trains a network to answer queries from what it has read; no weight changes within an episode.

    In regime `true` any cell will do that takes labels. In the others, which take no inner steps here, the regime
    governs the outer update of the controllers.
    """

    config: "InContextConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        params = fresh_parameters(self.model, self.spec, self.config.feedback, key=key)
        return initial_state(self.optimizer, params, params.network.embed.neutral())

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        gradients_of = self._by_regime if self.config.feedback.predicts else self._by_backpropagation
        gradients, local, (figures, used) = gradients_of(state.params, episodes)
        after = stepped(outer_step(self.optimizer, state, gradients, track(state.model_state, used)), local)
        return after, {**figures, "gradient_norm": norm(gradients)}

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> Figures:
        return self._measured(state.params.network, state.model_state, episodes)[0]

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Adapted:
        """Streams one support set through the cell.

        Raises:
            UserError: statistics of whole episodes, which need the queries beside the support set.
        """
        network = state.params.network
        features, used = network.embed(support.inputs, statistics_alone(self.config.statistics, state.model_state))
        return Adapted(network, read(network, features, self.labels(support.labels)), used)

    def predict(self, adapted: Adapted, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        features, _ = adapted.network.embed(inputs, adapted.statistics)
        return jax.nn.log_softmax(answer(adapted.network, adapted.state, features))

    def inspect(self, state: LearnerState, episode: FewShotEpisode) -> Inspection | None:
        params, network = state.params, state.params.network
        if not isinstance(network.cell, AbstractControlledCell):
            return None
        batch = jax.tree.map(lambda leaf: leaf[None], episode)
        support, query, _ = embed_episodes(network.embed, state.model_state, batch, self.config.statistics)
        labels = self.labels(episode.support.labels), self.labels(episode.query.labels)
        segment = _segment(network, support[0], query[0], *labels)
        gradients = compare_gradients(network, params.predictors, segment)
        one_row = jax.tree.map(lambda leaf: leaf[None], gradients)
        return inspection(network, support[0], labels[0], query[0], one_row, streamed=True)

    def _measured(
        self, network: Network, model_state: Any | None, episodes: FewShotEpisode
    ) -> tuple[Figures, Any, PyTree]:
        """Figures of each episode, what the embedding normalised with, and the cell's states after the support set."""
        support, query, used = embed_episodes(network.embed, model_state, episodes, self.config.statistics)
        states = jax.vmap(partial(read, network))(support, self.labels(episodes.support.labels))
        outputs = jax.vmap(partial(answer, network))(states, query)
        return query_figures(self.spec.target, outputs, self.labels(episodes.query.labels)), used, states

    def _by_backpropagation(self, params: Parameters, episodes: FewShotEpisode) -> tuple[PyTree, None, Any]:
        def loss_of(params: Parameters) -> tuple[Scalar, Any]:
            figures, used, states = self._measured(params.network, None, episodes)
            figures = over_batch(figures)
            own_loss = jax.vmap(params.network.cell.own_loss, axis_size=episodes.support.labels.shape[0])(states)
            return value(figures["loss"]) + jnp.mean(own_loss), (figures, used)

        gradients, aux = eqx.filter_grad(loss_of, has_aux=True)(params)
        return gradients, None, aux

    def _by_regime(self, params: Parameters, episodes: FewShotEpisode) -> tuple[PyTree, Any, Any]:
        """The optimizer's gradients, and the controllers' step of its own where there is one."""
        network = params.network
        weights, rest = eqx.partition(network.embed, eqx.is_inexact_array)

        def embed(weights: Any) -> tuple[tuple[Array, Array], Any]:
            support, query, used = embed_episodes(eqx.combine(weights, rest), None, episodes)
            return (support, query), used

        (support, query), vjp, used = jax.vjp(embed, weights, has_aux=True)
        labels = self.labels(episodes.support.labels), self.labels(episodes.query.labels)
        taught, to_predictors = jax.vmap(partial(self._of_one, params))(support, query, *labels)
        summed = self.config.outer_step == "summed"
        mean = lambda tree: jax.tree.map(lambda g: jnp.mean(g, 0), tree)
        given = mean(together(taught) if summed else taught.gradients)
        # rows are [features; label]; the loss is the mean over episodes
        of_features = lambda rows: rows[..., : network.embed.out_size] / support.shape[0]
        rows = taught.gradients.inputs
        to_embed = vjp((of_features(rows.context), of_features(rows.queries)))[0]
        trained = eqx.filter(network, eqx.is_inexact_array)
        gradient = eqx.tree_at(lambda n: (n.embed, n.cell, n.head), trained, (to_embed, given.cell, given.head))
        figures = over_batch(query_figures(self.spec.target, taught.outputs.queries, labels[1]))
        figures["regression"] = one(jnp.mean(taught.regression))
        return Parameters(gradient, mean(to_predictors)), None if summed else mean(taught.local), (figures, used)

    def _of_one(
        self, params: Parameters, support: Array, query: Array, support_labels: Array, query_labels: Array
    ) -> tuple[Feedback, PyTree]:
        """What one episode teaches, and the gradient of eq. 11 in the predictors."""
        network = params.network
        segment = _segment(network, support, query, support_labels, query_labels)

        def regression(predictors: SyntheticGradients | None) -> tuple[Scalar, Feedback]:
            taught = feedback(controlled(network), network.head, predictors, segment, self.config.feedback)
            return self.config.feedback.regression * taught.regression, taught

        gradients, taught = eqx.filter_grad(regression, has_aux=True)(params.predictors)
        return taught, gradients


def _segment(network: Network, support: Array, query: Array, support_labels: Array, query_labels: Array) -> Segment:
    rows = ContextAndQueries(network.rows(support, support_labels), network.rows(query))
    return with_mask(rows, ContextAndQueries(support_labels, query_labels), context=False, queries=True)


def read(network: Network, features: Float[Array, "support features"], labels: Float[Array, "support size"]) -> Any:
    """The cell's state after a labelled support set."""
    return unroll(network.cell, network.cell.init_state(), network.rows(features, labels))[0]


def answer(network: Network, state: Any, features: Float[Array, "query features"]) -> Float[Array, "query outputs"]:
    """The head's outputs for queries, each read from the same state and changing nothing."""
    return jax.vmap(lambda row: network.head(network.cell(state, row)[1]))(network.rows(features))


@dataclass(frozen=True)
class InContextConfig(AbstractLearnerConfig):
    """The support set goes through the cell, label by label; no weight changes."""

    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    """Which gradients the controllers' outer update follows."""
    outer_step: OuterStep = "own"
    """How a local synthetic gradient makes the outer step. own: a step of its own of size α beside the optimizer's, as
    eq. 10 has it; summed: added to what the optimizer gets, which may hide its size (Adam does)."""
    statistics: Statistics = "running"
    """What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the
    support set; episode: those of support and queries together, which is transductive."""
    kind: Literal["in-context"] = "in-context"
    """The memory alone learns a support set; any cell that takes labels."""

    @property
    def facts(self) -> dict[str, str | int | bool]:
        """What result rows state of the learner."""
        transductive = self.statistics == "episode"
        return {"protocol": self.kind, "regime": self.feedback.regime, "transductive": transductive}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> InContextLearner:
        """Builds the learner.

        Raises:
            UserError: choices that do not go together, a task without support sets, or a cell that is not shown labels.
        """
        del batch
        self._check()
        spec.require("few-shot", self.kind)
        cell = require(model, spec, f"learner {self.kind}", "embed", "cell", "head").cell
        if self.feedback.predicts:
            require_controllers(model, spec, f"regime {self.feedback.regime}")
        if getattr(cell, "label_input", "input") == "none":
            raise UserError(
                "learner in-context with label input none: without labels the memory cannot learn which class is "
                "which; use label input write or input, or learner fine-tune."
            )
        return InContextLearner(model, optimizer, self, spec)

    def _check(self) -> None:
        self.feedback.check()
        check_choice("outer_step", self.outer_step, ("own", "summed"))
        check_statistics(self.statistics)
        if self.feedback.regime == "meta":
            raise UserError(
                "regime meta with learner in-context: meta takes inner steps on weights and this learner takes none; "
                "use learner fine-tune, or regime true, both or synthetic."
            )
        if self.outer_step == "summed" and not (self.feedback.predicts and self.feedback.reach == "local"):
            raise UserError(
                "outer step summed: it changes the outer step in regimes both and synthetic with reach local, and "
                "nothing else; use outer step own."
            )


__all__ = ["Adapted", "InContextConfig", "InContextLearner"]
