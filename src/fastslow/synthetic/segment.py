"""A segment: labelled steps of one episode, and which of them make its loss."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._typing import Scalar
from ..cells.context import ContextAndQueries, joined


class Segment(eqx.Module):
    """Labelled steps of one episode.

    Attributes:
        inputs: rows of cell inputs for context and queries.
        labels: the targets `y_t`, rows for context and queries.
        loss_mask: true at the steps whose predictions make the loss, for context and queries.
    """

    inputs: ContextAndQueries
    labels: ContextAndQueries
    loss_mask: ContextAndQueries

    @property
    def steps(self) -> Scalar:
        """Steps that make the loss."""
        return jnp.sum(joined(self.loss_mask).astype(float))

    def loss(self, nll: Callable[[Any, Any], Scalar], outputs: ContextAndQueries) -> Scalar:
        """Mean of `nll(output, label)` over the steps that make the loss."""
        each = jax.vmap(nll)(joined(outputs), joined(self.labels))
        return jnp.sum(jnp.where(joined(self.loss_mask), each, 0)) / self.steps.astype(each.dtype)

    def times(self, rows: ContextAndQueries, factor: Float[Array, ""]) -> ContextAndQueries:
        """Rows, those of the steps that make the loss multiplied by a factor."""

        def scaled(mask: Array, part: Any) -> Any:
            return jax.tree.map(lambda g: g * jnp.where(mask, factor.astype(g.dtype), 1)[:, None], part)

        return ContextAndQueries(
            context=scaled(self.loss_mask.context, rows.context), queries=scaled(self.loss_mask.queries, rows.queries)
        )


def with_mask(inputs: ContextAndQueries, labels: ContextAndQueries, *, context: bool, queries: bool) -> Segment:
    """A segment whose loss takes all steps of the context, all queries, or both."""
    mask = ContextAndQueries(
        context=jnp.full(labels.context.shape[0], context), queries=jnp.full(labels.queries.shape[0], queries)
    )
    return Segment(inputs, labels, mask)


__all__ = ["Segment", "with_mask"]
