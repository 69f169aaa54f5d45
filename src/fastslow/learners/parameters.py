"""A network and what predicts its gradients: what learners with a feedback path train."""

import equinox as eqx
import jax

from .._typing import Key
from ..models.base import AbstractModelConfig
from ..models.network import Network
from ..synthetic.controllers import each
from ..synthetic.predictors import SyntheticGradients
from ..synthetic.regimes import FeedbackConfig
from ..tasks.base import TaskSpec


class Parameters(eqx.Module):
    """All that the outer loop learns. Attributes: `network`; `predictors`, `None` in regime `true`."""

    network: Network
    predictors: SyntheticGradients | None


def fresh_parameters(model: AbstractModelConfig, spec: TaskSpec, feedback: FeedbackConfig, *, key: Key) -> Parameters:
    """A fresh network with the predictors of its regime."""
    key_model, key_predictors = jax.random.split(key)
    network = model.build(spec, key=key_model)
    if not feedback.predicts:
        return Parameters(network, None)
    feedback.check_controllers(tuple(each(network.cell.controllers)))
    given = {"kind": feedback.predictor, "hidden": feedback.hidden, "key": key_predictors}
    return Parameters(network, SyntheticGradients(network.cell.controllers, spec.target.size, **given))


__all__ = ["Parameters", "fresh_parameters"]
