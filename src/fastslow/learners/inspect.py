"""What happened inside a network during one episode: for figures of memories and gradients."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..cells.context import ContextAndQueries, joined
from ..models.network import Network
from ..synthetic.feedback import Learnable, objective, predicted
from ..synthetic.perturbations import outputs_of, traced_walk, zero_perturbations
from ..synthetic.predictors import SyntheticGradients
from ..synthetic.segment import Segment
from ..tasks.base import FewShotEpisode
from .base import LearnerState


class Inspection(eqx.Module):
    """One episode from inside. Steps are the support set, then the queries.

    Attributes:
        outputs: of the head for the queries.
        initial: the memory before the first step, `M_0`.
        scores: attention over the slots at each step, `z_t`.
        memory: the slots' values after each step, `M_t`; a query's own write is dropped after it.
        gradients: at the controllers; a row for each inner step over the support set, or one over support and queries.
        support: steps that belong to the support set.
        streamed: whether the support set was streamed through one memory that the queries are read from; if not, every
            step starts from the initial memory.
    """

    outputs: Float[Array, "query outputs"]
    initial: Float[Array, "slots width"]
    scores: Float[Array, "items slots"]
    memory: Float[Array, "items slots width"]
    gradients: "ControllerGradients"
    support: int = eqx.field(static=True)
    streamed: bool = eqx.field(static=True)


class ControllerGradients(eqx.Module):
    """True and synthetic gradients at each controller's output, each a module with a field for each controller.

    A learner with one synthetic gradient at the logits has a mapping with that one name instead.

    Attributes:
        true: `‖δL/δc_t‖`, `[steps items]`.
        synthetic: the norm of the predictors' estimate of it; `None` without predictors.
        agreement: the cosine between the two; 0 where one of them is zero; `None` without predictors.
    """

    true: Any
    synthetic: Any
    agreement: Any


class Inspectable(eqx.Module):
    """A learner of few-shot episodes that can be looked into."""

    @abstractmethod
    def inspect(self, state: LearnerState, episode: FewShotEpisode) -> Inspection | None:
        """Walks through one episode; None where the cell has no controllers to look at."""


def inspection(
    network: Network, support: Array, labels: Array, query: Array, gradients: ControllerGradients, *, streamed: bool
) -> Inspection:
    """Records an episode as an adapted network reads it.

    Args:
        network: after its inner steps, if it took any.
        support: features of the support set.
        labels: its labels.
        query: features of the queries.
        gradients: as found along the way.
        streamed: whether queries are read from the memory that the support set left.
    """
    given, asked = network.rows(support, labels), network.rows(query)
    rows = (
        ContextAndQueries(given, asked) if streamed else ContextAndQueries(given[:0], jnp.concatenate([given, asked]))
    )
    cell: Any = network.cell
    trace: Any = joined(traced_walk(cell, cell.init_state(), rows)[1])
    return Inspection(
        outputs=jax.vmap(network.head)(trace.y[len(support) :]),
        initial=cell.init_state().memory.values,
        scores=trace.scores,
        memory=trace.memory,
        gradients=gradients,
        support=len(support),
        streamed=streamed,
    )


def compare_gradients(network: Network, predictors: SyntheticGradients | None, segment: Segment) -> ControllerGradients:
    """True and synthetic gradients at every step of a segment, `[items]` for each controller."""
    cell: Any = network.cell
    learnable = Learnable(cell=cell, head=network.head, inputs=segment.inputs)

    def perturbed(perturbations: ContextAndQueries) -> tuple[Array, PyTree]:
        return objective(learnable, perturbations, segment)

    true, (traces, _) = jax.grad(perturbed, has_aux=True)(zero_perturbations(cell, segment.inputs))
    true = joined(true)
    return compared(true, predictors and joined(predicted(predictors, outputs_of(traces), segment)))


def compared(true: PyTree, synthetic: PyTree | None) -> ControllerGradients:
    """Norms of both and the cosine between them, from gradients `[items width]` at one place or several."""
    norms = jax.tree.map(_norm, true)
    if synthetic is None:
        return ControllerGradients(norms, None, None)
    return ControllerGradients(norms, jax.tree.map(_norm, synthetic), jax.tree.map(_cosine, true, synthetic))


def _norm(rows: Float[Array, "items width"]) -> Float[Array, " items"]:
    return jnp.linalg.norm(rows, axis=1)


def _cosine(a: Float[Array, "items width"], b: Float[Array, "items width"]) -> Float[Array, " items"]:
    product = _norm(a) * _norm(b)
    return jnp.where(product > 0, jnp.sum(a * b, axis=1) / jnp.where(product > 0, product, 1.0), 0.0)


__all__ = ["ControllerGradients", "Inspectable", "Inspection", "compare_gradients", "compared", "inspection"]
