"""What a learner asks of a model before it is built: its structure, found without computing a number."""

from typing import Any

import equinox as eqx
import jax

from .._checks import bad
from ..cells.base import AbstractCell
from ..cells.controlled import AbstractControlledCell
from ..models.base import AbstractModelConfig
from ..tasks.base import TaskSpec


def structure(model: AbstractModelConfig, spec: TaskSpec) -> Any:
    """The model with shapes in place of arrays.

    Raises:
        UserError: it does not fit the task.
    """
    return eqx.filter_eval_shape(lambda: model.build(spec, key=jax.random.key(0)))


def require(model: AbstractModelConfig, spec: TaskSpec, learner: str, *parts: str) -> Any:
    """The model's structure, if it has all the parts that a learner works with.

    Raises:
        UserError: a part is missing, or the model does not fit the task.
    """
    built = structure(model, spec)
    missing = [part for part in parts if not hasattr(built, part)]
    if missing:
        raise bad("model", got=model.kind, expected=f"one with {' and '.join(parts)}, which {learner} works with")
    return built


def kind_of(model: AbstractModelConfig, part: str) -> str:
    """The kind of a part, as it is typed; that of the model where its settings hold no such part."""
    return getattr(model, part, model).kind


def require_embedding(model: AbstractModelConfig, spec: TaskSpec, learner: str) -> None:
    """Refuses a model that is more than an embedding.

    Raises:
        UserError: it has a head, has no embedding, or does not fit the task.
    """
    if hasattr(require(model, spec, learner, "embed"), "head"):
        raise bad("model", got=model.kind, expected=f"one such as embedder, as {learner} uses no cell and no head")


def require_controllers(model: AbstractModelConfig, spec: TaskSpec, learner: str) -> AbstractControlledCell:
    """The structure of the model's cell, if it has controllers that a synthetic gradient can be given to.

    Raises:
        UserError: it has none, or the model does not fit the task.
    """
    cell = require(model, spec, learner, "embed", "cell", "head").cell
    if not isinstance(cell, AbstractControlledCell):
        raise bad("cell", got=kind_of(model, "cell"), expected=f"a cell with controllers, such as nmn, for {learner}")
    if type(cell).own_loss is not AbstractCell.own_loss:
        expected = f"a cell without a loss of its own, which synthetic gradients of {learner} would pass over"
        raise bad("cell", got=kind_of(model, "cell"), expected=expected)
    return cell
