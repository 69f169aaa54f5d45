"""A segment: labelled steps of one episode, and which of them make its loss."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._typing import Scalar
from ..cells.base import AbstractCell
from ..cells.context import ContextAndQueries, joined


class Segment(eqx.Module):
    """Labelled steps of one episode.

    Attributes:
        inputs: rows of cell inputs for context and queries.
        labels: the targets `y_t`, rows for context and queries.
        loss_mask: true at the steps whose predictions make the loss, for context and queries.
        alive: false at the steps that are padding, for context and queries; `None` where none is.
        memory: what the cell's memory holds before the first step; `None` for the cell's initial memory.
    """

    inputs: ContextAndQueries
    labels: ContextAndQueries
    loss_mask: ContextAndQueries
    alive: ContextAndQueries | None = None
    memory: Any = None

    def start(self, cell: AbstractCell) -> Any:
        """The cell's state before the first step."""
        state = cell.init_state()
        return state if self.memory is None else eqx.tree_at(lambda s: s.memory, state, self.memory)

    @property
    def steps(self) -> Scalar:
        """Steps that make the loss; 1 where there is none, so that the loss is then 0."""
        return jnp.maximum(jnp.sum(joined(self.loss_mask).astype(float)), 1)

    def loss(self, nll: Callable[[Any, Any], Scalar], outputs: ContextAndQueries) -> Scalar:
        """Mean of `nll(output, label)` over the steps that make the loss."""
        each = jax.vmap(nll)(joined(outputs), joined(self.labels))
        return jnp.sum(jnp.where(joined(self.loss_mask), each, 0)) / self.steps.astype(each.dtype)

    def times(self, rows: ContextAndQueries, factor: Float[Array, ""]) -> ContextAndQueries:
        """Rows, those of the steps that make the loss multiplied by a factor, those of padding by 0."""

        def scaled(mask: Array, part: Any) -> Any:
            return jax.tree.map(lambda g: g * jnp.where(mask, factor.astype(g.dtype), 1)[:, None], part)

        return self.without_padding(
            ContextAndQueries(
                context=scaled(self.loss_mask.context, rows.context),
                queries=scaled(self.loss_mask.queries, rows.queries),
            )
        )

    def without_padding(self, rows: ContextAndQueries) -> ContextAndQueries:
        """Rows, those of padding zero."""
        if self.alive is None:
            return rows
        kept = lambda mask, part: jax.tree.map(lambda g: jnp.where(mask[:, None], g, 0), part)
        return ContextAndQueries(kept(self.alive.context, rows.context), kept(self.alive.queries, rows.queries))

    @property
    def kept(self) -> Bool[Array, " time"] | None:
        """Which steps of the context change the state; `None` for all."""
        return None if self.alive is None else self.alive.context


def with_mask(inputs: ContextAndQueries, labels: ContextAndQueries, *, context: bool, queries: bool) -> Segment:
    """A segment whose loss takes all steps of the context, all queries, or both."""
    mask = ContextAndQueries(
        context=jnp.full(labels.context.shape[0], context), queries=jnp.full(labels.queries.shape[0], queries)
    )
    return Segment(inputs, labels, mask)


__all__ = ["Segment", "with_mask"]
