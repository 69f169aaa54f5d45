"""Inner steps of a network with controllers: what they change, and how a support set is learned by them."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._checks import bad
from .._typing import Scalar
from ..cells.context import only_context, only_queries, walk
from ..cells.controlled import AbstractControlledCell
from ..models.network import Network
from ..synthetic.feedback import feedback, together
from ..synthetic.predictors import SyntheticGradients
from ..synthetic.regimes import FeedbackConfig
from ..synthetic.segment import Segment, with_mask
from .inner_loop import inner_loop
from .inspect import ControllerGradients, compare_gradients

SupportOrder = Literal["stream", "independent"]
QueryMemory = Literal["post-support", "initial"]


class FastWeights(eqx.Module):
    """What an inner step changes. Attributes: `controllers`, `θ_C`; `head`, `f_D`."""

    controllers: Any
    head: Any


class Parameters(eqx.Module):
    """All that the outer loop learns.

    Attributes:
        network: embedding, cell with its initial memory, head.
        predictors: synthetic gradients; `None` in regime `true`.
        rates: inner learning rates, `[steps]` for each tensor of the fast weights.
    """

    network: Network
    predictors: SyntheticGradients | None
    rates: FastWeights


class AdaptedModel(eqx.Module):
    """A network that has met a support set.

    Attributes:
        network: with its fast weights as the support set left them.
        state: what queries are read from.
        loss: on the support set, before the last inner step.
        regression: eq. 11's loss, mean over the inner steps.
    """

    network: Network
    state: Any
    loss: Scalar
    regression: Scalar


def controlled(network: Network) -> AbstractControlledCell:
    """The network's cell, which has controllers.

    Raises:
        UserError: it has none.
    """
    if not isinstance(network.cell, AbstractControlledCell):
        raise bad("cell", got=type(network.cell).__name__, expected="a cell with controllers, such as nmn")
    return network.cell


def fast_weights(network: Network) -> FastWeights:
    """The weights that an inner step changes."""
    return FastWeights(controllers=controlled(network).controllers, head=network.head)


def with_fast_weights(network: Network, fast: FastWeights) -> Network:
    """The same network with other fast weights."""
    return eqx.tree_at(lambda n: (n.cell.controllers, n.head), network, (fast.controllers, fast.head))


def support_segment(
    network: Network, features: Float[Array, "support features"], labels: Float[Array, "support size"], order: str
) -> Segment:
    """The support set as a segment: one stream, or each item from a fresh state."""
    rows = network.rows(features, labels)
    if order == "stream":
        return with_mask(only_context(rows), only_context(labels), context=True, queries=False)
    return with_mask(only_queries(rows), only_queries(labels), context=False, queries=True)


def inner_gradient(
    params: Parameters,
    features: Float[Array, "support features"],
    labels: Float[Array, "support size"],
    config: FeedbackConfig,
    support_order: SupportOrder,
) -> Callable[[FastWeights], tuple[PyTree, tuple[Scalar, Scalar]]]:
    """What an inner step follows: from fast weights to their gradient, the support loss and eq. 11's loss."""
    network = params.network

    def gradient(fast: FastWeights) -> tuple[PyTree, tuple[Scalar, Scalar]]:
        now = with_fast_weights(network, fast)
        segment = support_segment(now, features, labels, support_order)
        taught = feedback(controlled(now), now.head, params.predictors, segment, config)
        # an inner step is plain descent, in which a step of its own and one of the sum are the same
        summed = together(taught)
        gradients = FastWeights(controllers=summed.cell.controllers, head=summed.head)
        return eqx.filter(gradients, eqx.is_inexact_array), (taught.loss, taught.regression)

    return gradient


def adapt_inner(
    params: Parameters,
    features: Float[Array, "support features"],
    labels: Float[Array, "support size"],
    config: FeedbackConfig,
    support_order: SupportOrder,
    query_memory: QueryMemory,
) -> AdaptedModel:
    """Learns one support set by inner steps.

    Args:
        params: what the outer loop learned.
        features: `x_t` of each support item.
        labels: `y_t` of each.
        config: the regime.
        support_order: whether the items follow each other through one memory in an inner step.
        query_memory: the memory that queries are read from.
    """
    network = params.network
    gradient = inner_gradient(params, features, labels, config, support_order)
    # θ ← θ − rate · gradient                                      (fast-slow eq. 10)
    fast, (losses, regressions) = inner_loop(gradient, fast_weights(network), params.rates)
    network = with_fast_weights(network, fast)
    state = network.cell.init_state()
    if query_memory == "post-support":
        state, _ = walk(network.cell, state, only_context(network.rows(features, labels)))
    # without inner steps both are 0
    return AdaptedModel(network, state, jnp.sum(losses[-1:]), jnp.sum(regressions) / max(regressions.shape[0], 1))


def read_queries(adapted: AdaptedModel, features: Float[Array, "query features"]) -> Float[Array, "query outputs"]:
    """The head's outputs for queries, each read from the same state and changing nothing."""
    network = adapted.network
    step = jax.vmap(lambda x: network.cell(adapted.state, x)[1])
    return jax.vmap(network.head)(step(network.rows(features)))


def gradients_met(
    params: Parameters,
    features: Float[Array, "support features"],
    labels: Float[Array, "support size"],
    config: FeedbackConfig,
    support_order: SupportOrder,
) -> ControllerGradients:
    """The gradients at the controllers that each inner step meets, one row a step."""
    gradient = inner_gradient(params, features, labels, config, support_order)

    def both(fast: FastWeights) -> tuple[PyTree, ControllerGradients]:
        now = with_fast_weights(params.network, fast)
        segment = support_segment(now, features, labels, support_order)
        return gradient(fast)[0], compare_gradients(now, params.predictors, segment)

    return inner_loop(both, fast_weights(params.network), params.rates)[1]
