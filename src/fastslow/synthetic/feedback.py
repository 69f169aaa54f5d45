"""One gradient step's worth of feedback for one segment, in each regime (fast-slow section 3.2).

A segment's loss is the mean over the steps of its loss mask. Predictors cannot know how many steps these are, so there
they predict the gradient of the summed loss, and what they say is divided by the number of those steps: where each item
starts from the same state, the same predictors then serve a support set of any size. At other steps (a support set that
is written to memory) they predict the gradient of the mean loss itself.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import Described, bad
from .._typing import Scalar
from ..cells.context import ContextAndQueries
from ..cells.controlled import AbstractControlledCell, Apply
from ..models.head import AbstractHead
from .controllers import each
from .inject import injection
from .local import local_gradients
from .perturbations import outputs_of, traced_walk, zero_perturbations
from .predictors import SyntheticGradients, detached, regression_loss
from .regimes import FeedbackConfig
from .segment import Segment


class Learnable(eqx.Module):
    """What a gradient is taken of. Attributes: `cell`, `head`; `inputs`, the cell's inputs, for what made them."""

    cell: AbstractControlledCell
    head: AbstractHead
    inputs: ContextAndQueries


class Feedback(eqx.Module):
    """What one segment teaches.

    Attributes:
        loss: the task loss, without any synthetic gradient.
        outputs: of the head at each step.
        gradients: shaped as `Learnable`: for the optimizer, after the regime has changed those of the controllers.
        local: `α Σ_t SG_C · ∂c_t/∂θ_C` where it is a step of its own beside that (eq. 10), else `None`.
        true: `δL/δc_t` of every controller and step, `None` where the regime takes no such pass.
        synthetic: the predictors' estimate of it, `None` in regime `true`.
        regression: `L_SG` (eq. 11); zero where there is nothing to regress on.
    """

    loss: Scalar
    outputs: ContextAndQueries
    gradients: Learnable
    local: Any
    true: Any
    synthetic: Any
    regression: Scalar


def objective(
    learnable: Learnable, perturbations: ContextAndQueries | None, segment: Segment, apply: Apply = jnp.add
) -> tuple[Scalar, tuple[ContextAndQueries, ContextAndQueries]]:
    """Task loss of a segment from the initial state; also its traces and the head's outputs."""
    cell, head = learnable.cell, learnable.head
    start = segment.start(cell)
    _, traces = traced_walk(cell, start, learnable.inputs, perturbations, apply, segment.kept)
    outputs = _decoded(head, traces)
    return segment.loss(head.nll, outputs), (traces, outputs)


def _decoded(head: AbstractHead, traces: ContextAndQueries) -> ContextAndQueries:
    return ContextAndQueries(context=jax.vmap(head)(traces.context.y), queries=jax.vmap(head)(traces.queries.y))


def feedback(
    cell: AbstractControlledCell,
    head: AbstractHead,
    predictors: SyntheticGradients | None,
    segment: Segment,
    config: FeedbackConfig,
) -> Feedback:
    """Gradients of one segment by the regime.

    Everything is differentiable again, so that an outer loop may learn through it; only regimes whose predictors are
    trained by eq. 11 alone close them to that loop.
    """
    learnable = Learnable(cell=cell, head=head, inputs=segment.inputs)
    if (predictors is not None) != config.predicts:
        got = Described("no predictors" if predictors is None else "predictors")
        raise bad("predictors", got=got, expected=f"what goes with regime {config.regime}: none in true, else some")
    if predictors is None:
        (loss, (_, outputs)), gradients = eqx.filter_value_and_grad(objective, has_aux=True)(learnable, None, segment)
        return Feedback(loss, outputs, gradients, None, None, None, jnp.zeros_like(loss))
    if config.regime == "meta":
        return _meta(learnable, predictors, segment, config)
    return _regressed(learnable, predictors, segment, config)


def perturbed(learnable: Learnable, segment: Segment) -> Any:
    """Loss, traces, gradients and the true gradient at every controller's output, from one backward pass."""
    zeros = zero_perturbations(learnable.cell, learnable.inputs)

    def of_both(both: tuple[Learnable, ContextAndQueries]) -> Any:
        return objective(both[0], both[1], segment)

    return eqx.filter_value_and_grad(of_both, has_aux=True)((learnable, zeros))


def _injected(learnable: Learnable, synthetic: ContextAndQueries, segment: Segment, apply: Apply) -> Learnable:
    """Gradients with a synthetic one added at every controller's output."""
    trained, rest = eqx.partition(learnable, eqx.is_inexact_array)

    def run(trained: Learnable) -> tuple[Scalar, ContextAndQueries]:
        loss, (traces, _) = objective(eqx.combine(trained, rest), synthetic, segment, apply)
        return loss, outputs_of(traces)

    (loss, outputs), vjp = jax.vjp(run, trained)
    # a zero cotangent for every output: without it, one that nobody reads (what a query writes) would have no backward
    # pass to add its synthetic gradient to
    return vjp((jnp.ones_like(loss), jax.tree.map(jnp.zeros_like, outputs)))[0]


def together(taught: Feedback) -> Learnable:
    """The gradients with the step of its own, if there is one, added to the controllers'."""
    if taught.local is None:
        return taught.gradients
    return _replace(taught.gradients, jax.tree.map(jnp.add, taught.gradients.cell.controllers, taught.local))


def predicted(predictors: SyntheticGradients, outputs: ContextAndQueries, segment: Segment) -> ContextAndQueries:
    """Estimates of `δL/δc_t` (fast-slow eq. 9)."""
    return segment.times(predictors(outputs, segment.labels, segment.kept), 1 / segment.steps)


def weighted(synthetic: ContextAndQueries, config: FeedbackConfig) -> ContextAndQueries:
    """`α · SG_C(c_t, y_t)`, 0 for controllers that are given none."""

    def of(rows: Any) -> Any:
        parts = {
            name: jax.tree.map(lambda g, n=name: config.weight_of(n) * g, part) for name, part in each(rows).items()
        }
        return type(rows)(**parts)

    return ContextAndQueries(of(synthetic.context), of(synthetic.queries))


def _regression(
    predictors: SyntheticGradients, outputs: ContextAndQueries, true: ContextAndQueries, segment: Segment
) -> Scalar:
    """`L_SG` (fast-slow eq. 11): what the predictors say against the true gradient, both for the summed loss."""
    answers = segment.without_padding(predictors(detached(outputs), segment.labels, segment.kept))
    return regression_loss(answers, segment.times(true, segment.steps))


def _replace(gradients: Learnable, controllers: Any) -> Learnable:
    return eqx.tree_at(lambda g: g.cell.controllers, gradients, controllers)


def _regressed(
    learnable: Learnable, predictors: SyntheticGradients, segment: Segment, config: FeedbackConfig
) -> Feedback:
    """Regimes `both` and `synthetic`: predictors regress on the true gradient and teach beside it or instead."""
    (loss, (traces, decoded)), (gradients, true) = perturbed(learnable, segment)
    outputs = outputs_of(traces)
    synthetic = predicted(detached(predictors), outputs, segment)
    scaled = weighted(synthetic, config)
    local = None
    if config.reach == "local":
        local = local_gradients(learnable.cell.controllers, traces, scaled, segment.kept)
        if config.regime == "synthetic":
            gradients = _replace(gradients, jax.tree.map(jnp.zeros_like, local))
    else:
        # the true gradient above was taken without injection: a target holding synthetic gradient chases itself
        gradients = _injected(learnable, scaled, segment, injection(config.regime == "both"))
    regression = _regression(predictors, outputs, true, segment)
    return Feedback(loss, decoded, gradients, local, true, synthetic, regression)


def _meta(learnable: Learnable, predictors: SyntheticGradients, segment: Segment, config: FeedbackConfig) -> Feedback:
    """Regime `meta`: no backward pass through the decoder; the decoder takes its own local gradient."""
    cell, head = learnable.cell, learnable.head
    if config.regression > 0:
        (_, (traces, _)), (_, true) = perturbed(learnable, segment)
    else:
        _, traces = traced_walk(cell, segment.start(cell), learnable.inputs, alive=segment.kept)
        true = None
    outputs = outputs_of(traces)
    synthetic = predicted(predictors, outputs, segment)
    scaled = weighted(synthetic, config)
    local = local_gradients(cell.controllers, traces, scaled, segment.kept)

    def of_head(head: AbstractHead) -> tuple[Scalar, ContextAndQueries]:
        decoded = _decoded(head, traces)
        return segment.loss(head.nll, decoded), decoded

    (loss, decoded), head_gradient = eqx.filter_value_and_grad(of_head, has_aux=True)(head)
    trained = eqx.filter(Learnable(cell=cell, head=head, inputs=learnable.inputs), eqx.is_inexact_array)
    gradients = eqx.tree_at(lambda g: g.head, jax.tree.map(jnp.zeros_like, trained), head_gradient)
    if true is None:
        return Feedback(loss, decoded, gradients, local, None, synthetic, jnp.zeros_like(loss))
    return Feedback(loss, decoded, gradients, local, true, synthetic, _regression(predictors, outputs, true, segment))


__all__ = ["Feedback", "Learnable", "feedback", "objective", "perturbed", "predicted", "together", "weighted"]
