"""MAML++ (Antoniou, Edwards and Storkey 2019): six parts on top of MAML, each by itself."""

from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num, PyTree

from .._checks import check_choice, check_integer, check_real
from .._typing import Key, Scalar
from ..models.base import AbstractModelConfig
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from .base import (
    AbstractLearnerConfig,
    Figures,
    LearnerState,
    Stepwise,
    initial_state,
    norm,
    outer_step,
    value,
)
from .few_shot import over_batch, query_figures
from .inner_loop import each_step, inner_rates, rates_for
from .maml import MOST_STEPS, Adapted, Statistics, adapted_part, check_known
from .structure import require
from .task_learner import TaskLearner

ANNEALED, LEAST = 10, 0.03
"""Epochs in which the losses of all steps count; share of the steps before the last that is left at their end."""
MOST_UPDATES = 100_000_000


class PlusParameters(eqx.Module):
    """All that the outer loop learns.

    Attributes:
        model: the initial weights.
        rates: inner learning rates, `[steps]` for each adapted tensor.
        pairs: scale and shift of each normalisation, `[steps, ...]` each; `None` where all steps share the model's.
    """

    model: Any
    rates: PyTree
    pairs: PyTree | None


class MAMLPlusPlusLearner(TaskLearner, Stepwise):
    """MAML with the six parts of MAML++; the last of them, a cosine schedule, is the optimizer's.

    Statistics for each step, a part of the authors' list, are collected in their code and never used: normalisation
    is always by the batch at hand. So it is here, and nothing is collected.
    """

    config: "MAMLPlusPlusConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        model, steps = self.model.build(self.spec, key=key), self.config.steps
        fast, slow = eqx.partition(model, adapted_part(model))
        repeat = lambda leaf: jnp.broadcast_to(leaf, (steps, *leaf.shape))
        pairs = jax.tree.map(repeat, eqx.filter(slow, eqx.is_inexact_array)) if self.config.pairs == "step" else None
        params = PlusParameters(model, inner_rates(fast, steps, self.config.rate), pairs)
        return initial_state(self.optimizer, params, jnp.zeros((), jnp.int32))

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        done = state.model_state
        weights = step_weights(done // self.config.epoch, self.config.steps)
        second = (done >= self.config.first_order_updates).astype(weights.dtype)

        def loss_of(params: PlusParameters) -> tuple[Scalar, Figures]:
            each = [over_batch(figures) for figures in self._measured(params, episodes, second)]
            losses = jnp.stack([value(figures["loss"]) for figures in each])
            return (weights @ losses if self.config.loss == "every-step" else losses[-1]), each[-1]

        gradients, figures = eqx.filter_grad(loss_of, has_aux=True)(state.params)
        if self.config.rates == "fixed":
            gradients = eqx.tree_at(lambda g: g.rates, gradients, jax.tree.map(jnp.zeros_like, gradients.rates))
        after = outer_step(self.optimizer, state, gradients, done + 1)
        return after, {**figures, "gradient_norm": norm(gradients)}

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> Figures:
        return self._measured(state.params, episodes, jnp.ones(()))[-1]

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Adapted:
        """Takes inner steps on one support set.

        Raises:
            UserError: queries are to be normalised by their own statistics, and are not known while adapting.
        """
        check_known(self.config.statistics)
        return self._adapted(state.params, support.inputs, self.labels(support.labels), jnp.ones(()))[-1]

    def after_each(self, state: LearnerState, support: Examples, steps: int) -> Adapted:
        check_known(self.config.statistics)
        params, x, labels = state.params, support.inputs, self.labels(support.labels)

        def step(adapted: Adapted, given: tuple[PyTree, PyTree]) -> Adapted:
            rates, pairs = jax.tree.map(lambda leaf: leaf[None], given)
            return self._adapted(PlusParameters(adapted.model, rates, pairs), x, labels, jnp.ones(()))[0]

        first = Adapted(params.model, params.model.items(x, None)[1] if self.config.statistics == "support" else None)
        return each_step(step, first, (rates_for(params.rates, steps), rates_for(params.pairs, steps)))

    def predict(self, adapted: Adapted, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        return self.spec.target.answer(adapted.model.items(inputs, adapted.statistics)[0])

    def _adapted(
        self, params: PlusParameters, x: Array, labels: Float[Array, "support size"], second: Scalar
    ) -> list[Adapted]:
        """The model after each inner step, with the scale and shift of that step."""
        fast, slow = eqx.partition(params.model, adapted_part(params.model))
        found = []
        for k in range(jax.tree.leaves(params.rates)[0].shape[0]):
            held = slow if params.pairs is None else eqx.combine(jax.tree.map(lambda p, k=k: p[k], params.pairs), slow)

            def loss(fast: Any, held: Any = held) -> Scalar:
                outputs, _ = eqx.combine(fast, held).items(x, None)
                return jnp.mean(jax.vmap(self.spec.target.nll)(outputs, labels))

            # θ_{k+1} = θ_k − α_k ∇L_S(θ_k), of first order the gradient a constant of the outer loop
            slopes = eqx.filter_grad(loss)(fast)
            constant = jax.lax.stop_gradient(slopes)
            slopes = jax.tree.map(lambda c, s: c + second.astype(c.dtype) * (s - c), constant, slopes)
            fast = jax.tree.map(lambda w, r, g, k=k: w - r[k] * g, fast, params.rates, slopes)
            model = eqx.combine(fast, held)
            found.append(Adapted(model, model.items(x, None)[1] if self.config.statistics == "support" else None))
        return found

    def _measured(self, params: PlusParameters, episodes: FewShotEpisode, second: Scalar) -> list[Figures]:
        """Figures of each episode after each inner step."""

        def outputs(support: Examples, query: Array) -> list[Array]:
            adapted = self._adapted(params, support.inputs, self.labels(support.labels), second)
            return [one.model.items(query, one.statistics)[0] for one in adapted]

        found, labels = jax.vmap(outputs)(episodes.support, episodes.query.inputs), episodes.query.labels
        return [query_figures(self.spec.target, each, self.labels(labels)) for each in found]


def step_weights(epoch: Int[Array, ""], steps: int) -> Float[Array, " steps"]:
    """`v_k(e)`, the weight of the query loss after each step: alike at first, after ten epochs the last alone."""
    e, floor = epoch.astype(float), LEAST / steps
    early = jnp.maximum(1 / steps - e / (ANNEALED * steps), floor)
    last = jnp.minimum(1 / steps + e * (steps - 1) / (ANNEALED * steps), 1 - floor * (steps - 1))
    weights = jnp.full(steps, early).at[-1].set(last)
    return jnp.where(epoch < ANNEALED, weights, jnp.zeros(steps).at[-1].set(1.0))


@dataclass(frozen=True)
class MAMLPlusPlusConfig(AbstractLearnerConfig):
    """MAML with the parts of MAML++; its cosine schedule is the optimizer's."""

    steps: int = 5
    """K, inner steps on the support set."""
    rate: float = 0.1
    """Inner learning rate, on the mean loss of the support set."""
    rates: Literal["learned", "fixed"] = "learned"
    """learned: each tensor and each step learns its own inner learning rate."""
    loss: Literal["every-step", "last-step"] = "every-step"
    """every-step: the query losses after all steps are learned from, by weights that end at the last step alone."""
    pairs: Literal["step", "shared"] = "step"
    """Scale and shift of normalisation. step: each inner step has its own."""
    first_order_updates: int = 0
    """Updates at the start in which the outer gradient takes the inner ones as constants."""
    epoch: int = 500
    """Updates of an epoch, in which the weights of the steps' losses are constant."""
    statistics: Statistics = "query"
    """What normalises the queries. query: their own statistics, which is transductive; support: the support set's."""
    kind: Literal["maml++"] = "maml++"
    """MAML with the parts of MAML++."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        return {"protocol": "fine-tune", "inner steps": self.steps, "transductive": self.statistics == "query"}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> MAMLPlusPlusLearner:
        """Builds the learner.

        Raises:
            UserError: a number or choice that does not exist, a task without support sets, or a model without a head.
        """
        del batch
        check_integer("steps", self.steps, most=MOST_STEPS, reason="each step is written into the program")
        check_integer("first_order_updates", self.first_order_updates, least=0, most=MOST_UPDATES)
        check_integer("epoch", self.epoch, most=MOST_UPDATES)
        check_real("rate", self.rate)
        check_choice("rates", self.rates, ("learned", "fixed"))
        check_choice("loss", self.loss, ("every-step", "last-step"))
        check_choice("pairs", self.pairs, ("step", "shared"))
        check_choice("statistics", self.statistics, ("query", "support"))
        spec.require("few-shot", self.kind)
        require(model, spec, f"learner {self.kind}", "items")
        return MAMLPlusPlusLearner(model, optimizer, self, spec)


__all__ = ["MAMLPlusPlusConfig", "MAMLPlusPlusLearner", "step_weights"]
