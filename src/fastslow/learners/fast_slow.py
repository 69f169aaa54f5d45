"""Memory and fast weights together: inner steps read what a support set wrote, and change how it is written."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num, PyTree

from .._checks import check_choice, check_integer, check_real
from .._typing import Key
from ..memory.labelled import attention
from ..models.any_way import AnyWay, FastWeights
from ..models.base import AbstractModelConfig
from ..synthetic.logits import LogitPredictor
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
from .inner_loop import inner_loop, inner_rates
from .inspect import ControllerGradients, Inspectable, Inspection, compared
from .structure import require
from .task_learner import QueryLossLearner

Gradient = Literal["synthetic", "synthetic-alone", "true"]
GRADIENTS: tuple[Gradient, ...] = ("synthetic", "synthetic-alone", "true")
MOST_STEPS = 1000


class Parameters(eqx.Module):
    """All that the outer loop learns.

    Attributes:
        network: embedding, controllers, decoder's start.
        predictor: of the gradient at the logits; `None` where it is the true one.
        rates: inner learning rates by tensor, `[steps]` each, or `[steps, 1]` for all columns of the decoder.
    """

    network: AnyWay
    predictor: LogitPredictor | None
    rates: FastWeights


class AdaptedNetwork(eqx.Module):
    """A network that has met a support set.

    Attributes:
        network: as trained.
        fast: its fast weights after the last inner step.
        memory: what the support set wrote by them: a `LabelledSlots`.
        support: its feature vectors and labels.
        present: which classes have an example.
        statistics: what normalises its queries.
        met: the gradients at the logits that its inner steps met; `None` without steps.
    """

    network: AnyWay
    fast: FastWeights
    memory: Any
    support: tuple[Array, Array]
    present: Array
    statistics: Any
    met: ControllerGradients | None


class FastSlowLearner(QueryLossLearner, Inspectable):
    """Writes a support set, takes inner steps on its items read from that memory, and writes it again.

    In an inner step each item is read without its own slot, as a query will find none of its own. The gradient at the
    logits is `p − y` plus the predictor's answer, or one of the two; it is pulled back through decoder, output
    controller, read and write controller. The predictor is trained by the query loss alone, through the inner steps.
    """

    config: "FastSlowConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        key_model, key_predictor = jax.random.split(key)
        network, config = self.model.build(self.spec, key=key_model), self.config
        predictor = (
            None if config.gradient == "true" or not config.steps else LogitPredictor(config.hidden, key=key_predictor)
        )
        fast = FastWeights(network.controllers.output, network.controllers.write, network.start[None])
        rates = inner_rates(fast, max(config.steps, 1), config.rate)
        return initial_state(self.optimizer, Parameters(network, predictor, rates), network.embed.neutral())

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> AdaptedNetwork:
        """Learns one support set.

        Raises:
            UserError: statistics of whole episodes, which need the queries beside the support set.
        """
        given = statistics_alone(self.config.statistics, state.model_state)
        features, used = state.params.network.embed(support.inputs, given)
        return self._adapted(state.params, features, support.labels, used)

    def predict(self, adapted: AdaptedNetwork, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        """Log-probabilities; a class without an example has probability 0."""
        features, _ = adapted.network.embed(inputs, adapted.statistics)
        return jax.nn.log_softmax(_answers(adapted, features)[:, : self.spec.label])

    def inspect(self, state: LearnerState, episode: FewShotEpisode) -> Inspection | None:
        network = state.params.network
        batch = jax.tree.map(lambda leaf: leaf[None], episode)
        support, query, used = embed_episodes(network.embed, state.model_state, batch, self.config.statistics)
        adapted = self._adapted(state.params, support[0], episode.support.labels, used)
        if adapted.met is None or network.slots == 0:
            return None
        memory, count = adapted.memory, len(support[0])
        asked, given = network.queries(query[0]), network.queries(support[0])
        attended = partial(attention, memory, temperature=jnp.exp(network.log_temperature))
        own = jnp.arange(count, dtype=memory.items.dtype)
        scores = [jax.vmap(lambda q, i: attended(q, without=i))(given, own), jax.vmap(lambda q: attended(q))(asked)]
        filled = jnp.arange(count + len(asked), dtype=own.dtype)[:, None] >= memory.items[None]
        return Inspection(
            outputs=_answers(adapted, query[0])[:, : self.spec.label],
            initial=jnp.zeros_like(memory.values),
            scores=jnp.concatenate(scores),
            memory=jnp.where(filled[:, :, None], memory.values[None], 0),
            gradients=adapted.met,
            support=count,
            streamed=True,
        )

    def _adapted(
        self, params: Parameters, features: Array, labels: Int[Array, " support"], statistics: Any
    ) -> AdaptedNetwork:
        network, classes = params.network, columns(self.spec)
        queries = network.queries(features)
        present = jnp.any(labels[:, None] == jnp.arange(classes, dtype=labels.dtype)[None], axis=0)
        fast = network.fast_weights(queries, labels, classes)
        met = None
        if self.config.steps:
            gradient = partial(self._gradient, params, queries, labels, present)
            fast, met = inner_loop(gradient, fast, params.rates)
        memory = network.written(fast, queries, labels)
        return AdaptedNetwork(network, fast, memory, (features, labels), present, statistics, met)

    def _gradient(
        self, params: Parameters, queries: Array, labels: Array, present: Array, fast: FastWeights
    ) -> tuple[PyTree, ControllerGradients]:
        """What an inner step follows: a mean over the support set, for the decoder times the number of its classes.

        Only the items of its own class raise a column, so that a mean over all items would make its step smaller the
        more classes there are, and a network that is trained with thirty would be asked with five.
        """
        network, count = params.network, labels.shape[0]

        def logits(fast: FastWeights) -> tuple[Array, Array]:
            memory = network.written(fast, queries, labels)
            each = lambda query, item: network.answer(fast, memory, query, item)
            found, log_vote = jax.vmap(each)(queries, jnp.arange(count, dtype=labels.dtype))
            return found, log_vote

        found, pull, log_vote = jax.vjp(logits, fast, has_aux=True)
        found = jnp.where(present, found, ABSENT)
        y = jax.nn.one_hot(labels, found.shape[1], dtype=found.dtype)
        at_logits = true = jax.nn.softmax(found) - y
        predicted = None
        if params.predictor is not None:
            predicted = jax.vmap(params.predictor, (0, 0, 0, None))(found, y, log_vote, present)
            at_logits = predicted + (0 if self.config.gradient == "synthetic-alone" else true)
        slopes = pull(at_logits / count)[0]
        slopes = eqx.tree_at(lambda s: s.decoder, slopes, slopes.decoder * jnp.sum(present, dtype=found.dtype))
        return slopes, compared({"logits": true}, None if predicted is None else {"logits": predicted})

    def measured(self, params: Parameters, model_state: Any | None, episodes: FewShotEpisode) -> tuple[Figures, Any]:
        support, query, used = embed_episodes(params.network.embed, model_state, episodes, self.config.statistics)

        def outputs(features: Array, labels: Array, query: Array) -> Array:
            return _answers(self._adapted(params, features, labels, None), query)

        found = jax.vmap(outputs)(support, episodes.support.labels, query)
        return class_figures(found, episodes.query.labels), used


def _answers(adapted: AdaptedNetwork, features: Float[Array, "query features"]) -> Float[Array, "query classes"]:
    """Logits of queries; `ABSENT` for a class without an example."""
    each = lambda query: adapted.network.answer(adapted.fast, adapted.memory, query)[0]
    found = jax.vmap(each)(adapted.network.queries(features))
    return jnp.where(adapted.present, found + adapted.network.near(features, *adapted.support, found.shape[1]), ABSENT)


@dataclass(frozen=True)
class FastSlowConfig(AbstractLearnerConfig):
    """A memory of the support set, and inner steps that read it."""

    any_way = True

    steps: int = 2
    """Inner steps; 0: the memory alone."""
    gradient: Gradient = "synthetic"
    """What an inner step follows at the logits. synthetic: p − y plus the predictor's answer; synthetic-alone: that
    answer; true: p − y."""
    rate: float = 5.0
    """Inner learning rate before training; each tensor and each step then learns its own."""
    hidden: int = 32
    """Units of each hidden layer of the predictor."""
    statistics: Statistics = "running"
    """What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the
    support set; episode: those of support and queries together, which is transductive."""
    kind: Literal["fast-slow"] = "fast-slow"
    """A memory of the support set, and inner steps that read it."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        transductive = self.statistics == "episode"
        gradient = {"gradient": self.gradient} if self.steps else {}
        return {"protocol": self.kind, **gradient, "inner steps": self.steps, "transductive": transductive}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> FastSlowLearner:
        """Builds the learner.

        Raises:
            UserError: a number or choice that does not exist, a task without support sets, or a model without a memory.
        """
        del batch
        check_integer("steps", self.steps, least=0, most=MOST_STEPS, reason="each step is written into the program")
        check_choice("gradient", self.gradient, GRADIENTS)
        check_real("rate", self.rate)
        check_integer("hidden", self.hidden, most=2**16, reason="larger layers do not fit")
        check_statistics(self.statistics)
        spec.require("few-shot", self.kind, any_way=self.any_way)
        require(model, spec, f"learner {self.kind}", "embed", "fast_weights", "written")
        return FastSlowLearner(model, optimizer, self, spec)


__all__ = ["AdaptedNetwork", "FastSlowConfig", "FastSlowLearner"]
