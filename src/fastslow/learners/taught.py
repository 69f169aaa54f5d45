"""What one segment teaches a network by its regime, and the gradients that its controllers met."""

from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from .._typing import Scalar
from ..cells.base import AbstractCell
from ..cells.context import ContextAndQueries, joined, walk
from ..cells.controlled import AbstractControlledCell
from ..metrics import Figure
from ..models.head import AbstractHead
from ..models.network import Network
from ..synthetic.controllers import each
from ..synthetic.feedback import Feedback, Learnable, feedback, perturbed
from ..synthetic.regimes import FeedbackConfig
from ..synthetic.segment import Segment
from .base import Figures, LearnerState
from .inspect import ControllerGradients, compared
from .parameters import Parameters

Kind = Literal["true", "synthetic", "agreement"]
KINDS: tuple[Kind, ...] = ("true", "synthetic", "agreement")
"""What is known of the gradients at a controller: the norms of both, and the cosine between them."""


class Taught(eqx.Module):
    """What one segment teaches.

    Attributes:
        gradients: for the optimizer; the embedding's are zero, as they follow from `rows`.
        rows: the gradient in the cell's inputs at each step, the context first.
        local: the controllers' step of its own, or `None`.
        outputs: of the head at each step.
        met: gradients of the summed loss at each step, at every controller; at a cell without controllers those of the
            step's own loss in its output, under the name `output`.
        memory: what the cell's memory holds after the context; `None` where it has none.
    """

    gradients: Parameters
    rows: Float[Array, "steps in"]
    local: PyTree
    outputs: Float[Array, "steps outputs"]
    met: ControllerGradients
    memory: PyTree


def taught(params: Parameters, segment: Segment, config: FeedbackConfig) -> Taught:
    """What a segment teaches a network with controllers by the regime, and any other by backpropagation."""
    network = params.network
    to_predictors, local = None, None
    if config.predicts:
        found, to_predictors = _by_regime(params, network.cell, segment, config)
        gradients, local, outputs = found.gradients, found.local, found.outputs
        met = compared(_at_steps(found.true, segment), _at_steps(found.synthetic, segment))
    elif isinstance(network.cell, AbstractControlledCell):
        (_, (_, outputs)), (gradients, true) = perturbed(Learnable(network.cell, network.head, segment.inputs), segment)
        met = compared(_at_steps(true, segment), None)
    else:
        outputs, gradients, true = _backpropagated(network, segment)
        met = compared({"output": _at_steps(true, segment)}, None)
    trained = eqx.filter(network, eqx.is_inexact_array)
    nothing = jax.tree.map(jnp.zeros_like, trained.embed)
    trained = eqx.tree_at(lambda n: (n.embed, n.cell, n.head), trained, (nothing, gradients.cell, gradients.head))
    memory = getattr(state_after(network, segment), "memory", None)
    rows = joined(gradients.inputs)
    return Taught(Parameters(trained, to_predictors), rows, local, joined(outputs), met, memory)


def state_after(network: Network, segment: Segment) -> Any:
    """The cell's state after the context of a segment."""
    return walk(network.cell, segment.start(network.cell), segment.inputs, segment.kept)[0]


def _at_steps(gradients: ContextAndQueries, segment: Segment) -> Any:
    """Gradients of the summed loss at each step."""
    return jax.tree.map(lambda g: g * segment.steps.astype(g.dtype), joined(gradients))


def _by_regime(params: Parameters, cell: Any, segment: Segment, config: FeedbackConfig) -> tuple[Feedback, PyTree]:
    """The regime's feedback, and the gradient of eq. 11 in the predictors."""

    def regression(predictors: Any) -> tuple[Scalar, Feedback]:
        found = feedback(cell, params.network.head, predictors, segment, config)
        return config.regression * found.regression, found

    gradients, found = eqx.filter_grad(regression, has_aux=True)(params.predictors)
    return found, gradients


class _Whole(eqx.Module):
    """What a gradient is taken of, for a cell without controllers; see `Learnable`."""

    cell: AbstractCell
    head: AbstractHead
    inputs: ContextAndQueries


def _backpropagated(network: Network, segment: Segment) -> tuple[ContextAndQueries, _Whole, ContextAndQueries]:
    """The head's outputs, the gradients, and the gradient in the cell's output, of a cell without controllers."""

    def of(both: tuple[_Whole, ContextAndQueries]) -> tuple[Scalar, ContextAndQueries]:
        here, perturbations = both
        _, ys = walk(here.cell, segment.start(here.cell), here.inputs, segment.kept)
        ys = jax.tree.map(jnp.add, ys, perturbations)
        outputs = ContextAndQueries(jax.vmap(here.head)(ys.context), jax.vmap(here.head)(ys.queries))
        return segment.loss(here.head.nll, outputs), outputs

    size = network.cell.out_size
    nothing = jax.tree.map(lambda xs: jnp.zeros((xs.shape[0], size), xs.dtype), segment.inputs)
    whole = _Whole(network.cell, network.head, segment.inputs)
    (gradients, true), outputs = eqx.filter_grad(of, has_aux=True)((whole, nothing))
    return outputs, gradients, true


def stepped(state: LearnerState, local: Any) -> LearnerState:
    """After the controllers' step of its own, if there is one."""
    if local is None:
        return state
    # θ_C ← θ_C − α · SG_C · ∂c/∂θ_C                                       (fast-slow eq. 10)
    controllers = jax.tree.map(jnp.subtract, state.params.network.cell.controllers, local)
    return eqx.tree_at(lambda s: s.params.network.cell.controllers, state, controllers)


def gradient_figures(met: ControllerGradients, mask: Bool[Array, "rows time"]) -> Figures:
    """Mean norms and cosines of the gradients that controllers met, by the names `gradient_name` gives."""
    figures = {}
    for kind, parts in zip(KINDS, (met.true, met.synthetic, met.agreement), strict=True):
        if parts is not None:
            named = parts if isinstance(parts, Mapping) else each(parts)
            figures |= {gradient_name(kind, name): _mean(rows, mask) for name, rows in named.items()}
    return figures


def gradient_name(kind: Kind, controller: str) -> str:
    """The name of such a figure."""
    return f"{kind}_gradient_{controller}"


def surprise_of(met: ControllerGradients, mask: Bool[Array, "rows time"]) -> Figure:
    """The mean norm over all controllers of the synthetic gradient, or else the true one; see the learner `online`."""
    size = jax.tree.leaves(met.true if met.synthetic is None else met.synthetic)
    return _mean(jnp.sqrt(sum(rows**2 for rows in size)), mask)


def _mean(rows: Array, mask: Bool[Array, "rows time"]) -> Figure:
    return Figure(jnp.sum(jnp.where(mask, rows, 0)), jnp.sum(mask, dtype=rows.dtype))


__all__ = [
    "KINDS",
    "Kind",
    "Taught",
    "gradient_figures",
    "gradient_name",
    "state_after",
    "stepped",
    "surprise_of",
    "taught",
]
