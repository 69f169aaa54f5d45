"""One gradient step's worth of feedback for one episode, in each regime (fast-slow section 3.2).

A lesson's loss is the mean over its scored steps. Predictors cannot know how many steps are scored, so at scored
steps they predict the gradient of the summed loss, and what they say is divided by the number of those steps: where
each item is walked apart, the same predictors then serve a support set of any size. At steps that are not scored (a
support set bound to memory) they predict the gradient of the mean loss itself.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad
from .._typing import Scalar
from ..cells.context import Forked
from ..cells.nmn import NMN, PerController, Tap
from ..models.heads import Categorical, cross_entropy
from ..synthetic.inject import injection
from ..synthetic.local import local_gradients
from ..synthetic.perturbations import traced_walk, zero_taps
from ..synthetic.predictors import SyntheticGradients, detached, regression_loss
from .regimes import FeedbackConfig


class Lesson(eqx.Module):
    """Labelled steps of one episode, and which of them are scored.

    Attributes:
        inputs: rows of cell inputs for trunk and branches.
        labels: one-hot rows `y_t` for trunk and branches.
        scored: the part whose predictions make the loss.
    """

    inputs: Forked
    labels: Forked
    scored: str = eqx.field(static=True)

    @property
    def items(self) -> int:
        """Scored steps."""
        return getattr(self.labels, self.scored).shape[0]


class Learnable(eqx.Module):
    """What a gradient is taken of. Attributes: `cell`, `head`; `inputs`, the cell's inputs, for what made them."""

    cell: NMN
    head: Categorical
    inputs: Forked


class Feedback(eqx.Module):
    """What one lesson teaches.

    Attributes:
        loss: the task loss, without any synthetic gradient.
        logits: of the scored part.
        gradients: shaped as `Learnable`: for the optimiser, after the regime has had its say on the controllers.
        own: `α Σ_t SG_C · ∂c_t/∂θ_C` where it is a step of its own beside that (eq. 10), else `None`.
        true: `δL/δc_t` of every controller and step, `None` where the regime takes no such pass.
        synthetic: the predictors' estimate of it, `None` in regime `true`.
        regression: `L_SG` (eq. 11); zero where there is nothing to regress on.
    """

    loss: Scalar
    logits: Float[Array, "items way"]
    gradients: Learnable
    own: PerController | None
    true: Any
    synthetic: Any
    regression: Scalar


def objective(
    learnable: Learnable, taps: Forked | None, lesson: Lesson, tap: Tap = jnp.add
) -> tuple[Scalar, tuple[Forked, Array]]:
    """Task loss of a lesson walked from the initial state; also its record and the logits of its scored part."""
    cell = learnable.cell
    _, record = traced_walk(cell, cell.init_state(), learnable.inputs, taps, tap)
    logits = jax.vmap(learnable.head)(getattr(record, lesson.scored).outputs.output)
    return cross_entropy(logits, getattr(lesson.labels, lesson.scored)), (record, logits)


def feedback(
    cell: NMN, head: Categorical, predictors: SyntheticGradients | None, lesson: Lesson, config: FeedbackConfig
) -> Feedback:
    """Gradients of one lesson by the regime.

    Everything is differentiable again, so that an outer loop may learn through it; only regimes whose predictors are
    trained by eq. 11 alone close them to that loop.
    """
    learnable = Learnable(cell=cell, head=head, inputs=lesson.inputs)
    if (predictors is None) != (config.regime == "true"):
        came = "no predictors" if predictors is None else "predictors"
        raise bad("predictors", came=came, wanted=f"what goes with regime {config.regime}: none in true, else some")
    if predictors is None:
        (loss, (_, logits)), gradients = eqx.filter_value_and_grad(objective, has_aux=True)(learnable, None, lesson)
        return Feedback(loss, logits, gradients, None, None, None, jnp.zeros_like(loss))
    if config.regime == "meta":
        return _meta(learnable, predictors, lesson, config)
    return _regressed(learnable, predictors, lesson, config)


def _probed(learnable: Learnable, lesson: Lesson) -> Any:
    """Loss, record, gradients and the true gradient at every controller's output, from one backward pass."""
    probes = zero_taps(learnable.cell.width, learnable.inputs)

    def probed(both: tuple[Learnable, Forked]) -> Any:
        return objective(both[0], both[1], lesson)

    return eqx.filter_value_and_grad(probed, has_aux=True)((learnable, probes))


def _injected(learnable: Learnable, synthetic: Forked, lesson: Lesson, tap: Tap) -> Learnable:
    """Gradients with a synthetic one brought in at every controller's output."""

    def run(learnable: Learnable) -> tuple[Scalar, Forked]:
        loss, (record, _) = objective(learnable, synthetic, lesson, tap)
        return loss, Forked(trunk=record.trunk.outputs, branches=record.branches.outputs)

    (loss, outputs), pull = jax.vjp(run, learnable)
    # a zero comes back from every output: without it, one that nobody reads (what a query writes) would have no
    # backward pass to bring its synthetic gradient into
    return pull((jnp.ones_like(loss), jax.tree.map(jnp.zeros_like, outputs)))[0]


def together(taught: Feedback) -> Learnable:
    """The gradients with the step of its own, if there is one, added to the controllers'."""
    if taught.own is None:
        return taught.gradients
    return _replace(taught.gradients, jax.tree.map(jnp.add, taught.gradients.cell.controllers, taught.own))


def scored_times(rows: Forked, lesson: Lesson, factor: float) -> Forked:
    """Rows of a passage with those of its scored part multiplied."""
    return eqx.tree_at(
        lambda r: getattr(r, lesson.scored), rows, jax.tree.map(lambda g: factor * g, getattr(rows, lesson.scored))
    )


def predicted(predictors: SyntheticGradients, outputs: Forked, lesson: Lesson) -> Forked:
    """Estimates of `δL/δc_t` (fast-slow eq. 9)."""
    return scored_times(predictors(outputs, lesson.labels), lesson, 1 / lesson.items)


def regressed(predictors: SyntheticGradients, outputs: Forked, true: Forked, lesson: Lesson) -> Scalar:
    """`L_SG` (fast-slow eq. 11): what the predictors say against the true gradient, both for the summed loss."""
    return regression_loss(
        predictors(detached(outputs), lesson.labels), scored_times(true, lesson, float(lesson.items))
    )


def _replace(gradients: Learnable, controllers: PerController) -> Learnable:
    return eqx.tree_at(lambda g: g.cell.controllers, gradients, controllers)


def _regressed(
    learnable: Learnable, predictors: SyntheticGradients, lesson: Lesson, config: FeedbackConfig
) -> Feedback:
    """Regimes `both` and `synthetic`: predictors regress on the true gradient and teach beside it or instead."""
    (loss, (record, logits)), (gradients, true) = _probed(learnable, lesson)
    outputs = Forked(trunk=record.trunk.outputs, branches=record.branches.outputs)
    synthetic = predicted(detached(predictors), outputs, lesson)
    # α · SG_C(c_t, y_t)
    scaled = jax.tree.map(lambda g: config.alpha * g, synthetic)
    own = None
    if config.reach == "local":
        own = local_gradients(learnable.cell.controllers, record, scaled)
        if config.regime == "synthetic":
            gradients = _replace(gradients, jax.tree.map(jnp.zeros_like, own))
    else:
        # the true gradient above was taken without injection: a target holding synthetic gradient chases itself
        gradients = _injected(learnable, scaled, lesson, injection(config.regime == "both"))
    regression = regressed(predictors, outputs, true, lesson)
    return Feedback(loss, logits, gradients, own, true, synthetic, regression)


def _meta(learnable: Learnable, predictors: SyntheticGradients, lesson: Lesson, config: FeedbackConfig) -> Feedback:
    """Regime `meta`: no backward pass through the decoder; the decoder takes its own local gradient."""
    cell, head = learnable.cell, learnable.head
    if config.regression > 0:
        (_, (record, _)), (_, true) = _probed(learnable, lesson)
    else:
        _, record = traced_walk(cell, cell.init_state(), learnable.inputs)
        true = None
    outputs = Forked(trunk=record.trunk.outputs, branches=record.branches.outputs)
    synthetic = predicted(predictors, outputs, lesson)
    own = local_gradients(cell.controllers, record, jax.tree.map(lambda g: config.alpha * g, synthetic))
    m = getattr(record, lesson.scored).outputs.output
    labels = getattr(lesson.labels, lesson.scored)

    def decoded(head: Categorical) -> tuple[Scalar, Array]:
        logits = jax.vmap(head)(m)
        return cross_entropy(logits, labels), logits

    (loss, logits), head_gradient = eqx.filter_value_and_grad(decoded, has_aux=True)(head)
    zeros = jax.tree.map(jnp.zeros_like, Learnable(cell=cell, head=head, inputs=learnable.inputs))
    gradients = eqx.tree_at(lambda g: g.head, zeros, head_gradient)
    if true is None:
        return Feedback(loss, logits, gradients, own, None, synthetic, jnp.zeros_like(loss))
    regression = regressed(predictors, outputs, true, lesson)
    return Feedback(loss, logits, gradients, own, true, synthetic, regression)
