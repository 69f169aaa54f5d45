"""Embed → cell → head: the whole network, and the part of it that fast steps change."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..cells.nmn import NMN, NMNRecord, PerController
from .embed import ConvEmbedding
from .heads import Categorical


class FastWeights(eqx.Module):
    """What a fast step may change: the controllers and the decoder.

    Attributes:
        controllers: `θ_IC`, `θ_OC`, `θ_WC`.
        head: `f_D`.
    """

    controllers: PerController
    head: Categorical


class Network(eqx.Module):
    """A neural memory network for images.

    Attributes:
        embed: `f_E`.
        cell: controllers and memory.
        head: `f_D`.
    """

    embed: ConvEmbedding
    cell: NMN
    head: Categorical

    def fast(self) -> FastWeights:
        """The weights a fast step may change."""
        return FastWeights(controllers=self.cell.controllers, head=self.head)

    def with_fast(self, fast: FastWeights) -> "Network":
        """The same network with other fast weights."""
        return eqx.tree_at(lambda n: (n.cell.controllers, n.head), self, (fast.controllers, fast.head))

    def cell_inputs(
        self, features: Float[Array, "items features"], labels: Float[Array, "items way"] | None
    ) -> Float[Array, "items in"]:
        """Rows the cell reads: features, and where the cell takes labels, the label or zeros for a query."""
        if self.cell.labels == 0:
            return features
        given = jnp.zeros((features.shape[0], self.cell.labels), features.dtype) if labels is None else labels
        return jnp.concatenate([features, given], axis=1)

    def logits(self, records: NMNRecord) -> Float[Array, "items way"]:
        """Decodes recorded steps, `f_D(m_t)` (fast-slow eq. 8)."""
        return jax.vmap(self.head)(records.outputs.output)
