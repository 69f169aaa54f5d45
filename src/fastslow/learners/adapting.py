"""Meeting a new task: binding its support set to memory, or fine-tuning on it (SPEC: protocols of adaptation)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._typing import Scalar
from ..cells.context import only_branches, only_trunk, walk
from ..cells.nmn import NMNState
from ..models.sequence import FastWeights, Network
from ..synthetic.predictors import SyntheticGradients
from .gradients import Lesson, feedback, together
from .regimes import AdaptConfig, FeedbackConfig


class Fitted(eqx.Module):
    """A network that has met a support set.

    Attributes:
        network: with its fast weights as the support set left them.
        state: what queries are read from.
        loss: on the support set, before the last fast step; zero for bind.
        regression: eq. 11's loss, mean over the fast steps.
    """

    network: Network
    state: NMNState
    loss: Scalar
    regression: Scalar


def initial_rates(network: Network, config: AdaptConfig) -> FastWeights:
    """Rates of the fast steps, `[steps]` for each tensor of the fast weights; the outer loop learns them."""
    fast = eqx.filter(network.fast(), eqx.is_inexact_array)
    return jax.tree.map(lambda w: jnp.full(config.steps, config.rate, w.dtype), fast)


def support_lesson(
    network: Network, features: Float[Array, "support features"], labels: Float[Array, "support way"], order: str
) -> Lesson:
    """The support set as a lesson: one stream, or each item from a fresh state."""
    rows = network.cell_inputs(features, labels)
    fork, scored = (only_trunk, "trunk") if order == "stream" else (only_branches, "branches")
    return Lesson(inputs=fork(rows), labels=fork(labels), scored=scored)


def fit_support(
    network: Network,
    predictors: SyntheticGradients | None,
    rates: FastWeights | None,
    features: Float[Array, "support features"],
    labels: Float[Array, "support way"],
    adapt: AdaptConfig,
    config: FeedbackConfig,
) -> Fitted:
    """Learns one support set.

    Args:
        network: the slowly learned network.
        predictors: the synthetic-gradient predictors; `None` in regime `true`.
        rates: of the fast steps; `None` for bind.
        features: `x_t` of each support item.
        labels: one-hot `y_t` of each.
        adapt: the protocol.
        config: the regime of the fast steps.
    """
    zero = jnp.zeros((), features.dtype)
    losses = regressions = zero[None]
    if adapt.protocol == "fine-tune":

        def step(fast: FastWeights, rate: FastWeights) -> tuple[FastWeights, tuple[Scalar, Scalar]]:
            return _fast_step(network.with_fast(fast), predictors, rate, features, labels, adapt, config)

        fast, (losses, regressions) = jax.lax.scan(step, network.fast(), rates)
        network = network.with_fast(fast)
    state = network.cell.init_state()
    if adapt.query_memory == "post-support":
        state, _ = walk(network.cell, state, only_trunk(network.cell_inputs(features, labels)))
    return Fitted(network, state, losses[-1], jnp.mean(regressions))


def _fast_step(
    network: Network,
    predictors: SyntheticGradients | None,
    rate: FastWeights,
    features: Array,
    labels: Array,
    adapt: AdaptConfig,
    config: FeedbackConfig,
) -> tuple[FastWeights, tuple[Scalar, Scalar]]:
    lesson = support_lesson(network, features, labels, adapt.support_order)
    taught = feedback(network.cell, network.head, predictors, lesson, config)
    # a fast step is plain descent, in which a step of its own and one of the sum are the same
    summed = together(taught)
    gradients = FastWeights(controllers=summed.cell.controllers, head=summed.head)
    # θ ← θ − rate · gradient                              (fast-slow eq. 10)
    moved = jax.tree.map(lambda w, g, r: w - r * g, network.fast(), gradients, rate)
    return moved, (taught.loss, taught.regression)


def read_queries(fitted: Fitted, features: Float[Array, "query features"]) -> Float[Array, "query way"]:
    """Logits of queries, each read from the same state and changing nothing."""
    rows = fitted.network.cell_inputs(features, None)
    step = jax.vmap(lambda x: fitted.network.cell(fitted.state, x)[1])
    return jax.vmap(fitted.network.head)(step(rows))


__all__ = ["Fitted", "fit_support", "initial_rates", "read_queries", "support_lesson"]
