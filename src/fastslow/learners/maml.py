"""Model-agnostic meta-learning (Finn, Abbeel and Levine 2017): an initialisation from which few steps suffice."""

from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num, PyTree

from .._checks import bad, check_choice, check_integer, check_real
from .._typing import Key, Scalar
from ..models.base import AbstractModelConfig
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from .base import (
    AbstractLearnerConfig,
    Figures,
    LearnerState,
    Stepwise,
    initial_state,
)
from .few_shot import query_figures
from .inner_loop import each_step, inner_loop, inner_rates
from .structure import require
from .task_learner import QueryLossLearner

Order = Literal["first", "second"]
Statistics = Literal["query", "support"]
MOST_STEPS = 1000


class Adapted(eqx.Module):
    """A model that has met a support set. Attributes: `model`; `statistics` of that support set."""

    model: Any
    statistics: Any


class MAMLLearner(QueryLossLearner, Stepwise):
    """Inner steps change every weight of a model; the outer loop learns where they start.

    Batch normalisation always uses the statistics of the batch at hand, as in the authors' code: in the inner steps
    those of the support set, for the queries those that the configuration says. Its scale and shift are learned by the
    outer loop alone.
    """

    config: "MAMLConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        return initial_state(self.optimizer, self.model.build(self.spec, key=key), ())

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Adapted:
        """Takes inner steps on one support set.

        Raises:
            UserError: queries are to be normalised by their own statistics, and are not known while adapting.
        """
        check_known(self.config.statistics)
        return self._adapted(state.params, support.inputs, self.labels(support.labels), self.config.steps)

    def after_each(self, state: LearnerState, support: Examples, steps: int) -> Adapted:
        check_known(self.config.statistics)
        x, labels = support.inputs, self.labels(support.labels)
        first = Adapted(state.params, state.params.items(x, None)[1])
        step = lambda adapted, _: self._adapted(adapted.model, x, labels, 1)
        return each_step(step, first, jnp.arange(steps))

    def predict(self, adapted: Adapted, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        return self.spec.target.answer(adapted.model.items(inputs, adapted.statistics)[0])

    def _adapted(self, model: Any, x: Array, labels: Float[Array, "support size"], steps: int) -> Adapted:
        def gradient(fast: Any, slow: Any) -> tuple[PyTree, None]:
            def loss(fast: Any) -> Scalar:
                outputs, _ = eqx.combine(fast, slow).items(x, None)
                return jnp.mean(jax.vmap(self.spec.target.nll)(outputs, labels))

            slopes = eqx.filter_grad(loss)(fast)
            return (jax.lax.stop_gradient(slopes) if self.config.order == "first" else slopes), None

        # θ_{k+1} = θ_k − α ∇L_S(θ_k); convolutions are slow within a scan, so the steps are unrolled
        fast, slow = eqx.partition(model, adapted_part(model))
        rates = inner_rates(fast, steps, self.config.rate)
        fast, _ = inner_loop(lambda fast: gradient(fast, slow), fast, rates, unroll=True)
        adapted = eqx.combine(fast, slow)
        return Adapted(adapted, adapted.items(x, None)[1])

    def measured(self, params: Any, model_state: Any | None, episodes: FewShotEpisode) -> tuple[Figures, Any]:
        # the mean over tasks of L_Q(θ_K); nothing is tracked
        def outputs(support: Examples, query: Array) -> Array:
            adapted = self._adapted(params, support.inputs, self.labels(support.labels), self.config.steps)
            return adapted.model.items(query, adapted.statistics if self.config.statistics == "support" else None)[0]

        found = jax.vmap(outputs)(episodes.support, episodes.query.inputs)
        return query_figures(self.spec.target, found, self.labels(episodes.query.labels)), ()


def check_known(statistics: Statistics) -> None:
    """Raises `UserError` for statistics of queries that are not known while adapting."""
    if statistics == "query":
        expected = "support, where the queries are not known while adapting"
        raise bad("statistics", got=statistics, expected=expected, hint="use evaluate for the transductive figure")


def adapted_part(model: PyTree) -> PyTree:
    """True for the weights that inner steps change; a module names others in a class attribute `not_adapted`."""

    def of_node(node: Any) -> Any:
        trained = jax.tree.map(eqx.is_inexact_array, node)
        held = getattr(type(node), "not_adapted", ())
        weights = lambda module: [getattr(module, name) for name in held]
        return eqx.tree_at(weights, trained, [False] * len(held)) if held else trained

    return jax.tree.map(of_node, model, is_leaf=lambda node: hasattr(type(node), "not_adapted"))


@dataclass(frozen=True)
class MAMLConfig(AbstractLearnerConfig):
    """Inner steps on all weights, from a learned initialisation."""

    steps: int = 5
    """K, inner steps on the support set."""
    rate: float = 0.4
    """α, the inner learning rate, on the mean loss of the support set."""
    order: Order = "second"
    """second: the outer gradient passes through the inner ones; first: it takes them as constants."""
    statistics: Statistics = "query"
    """What normalises the queries. query: their own statistics, which is transductive; support: the support set's."""
    kind: Literal["maml"] = "maml"
    """Inner steps on all weights, from a learned initialisation."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        transductive = self.statistics == "query"
        return {"protocol": "fine-tune", "order": self.order, "inner steps": self.steps, "transductive": transductive}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> MAMLLearner:
        """Builds the learner.

        Raises:
            UserError: a number or choice that does not exist, a task without support sets, or a model without a head.
        """
        del batch
        check_integer("steps", self.steps, most=MOST_STEPS, reason="each step is written into the program")
        check_real("rate", self.rate)
        check_choice("order", self.order, ("first", "second"))
        check_choice("statistics", self.statistics, ("query", "support"))
        spec.require("few-shot", self.kind)
        require(model, spec, f"learner {self.kind}", "items")
        return MAMLLearner(model, optimizer, self, spec)


__all__ = ["MAMLConfig", "MAMLLearner"]
