"""Embed → cell → head: a network with a state."""

from dataclasses import dataclass, field
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PyTree

from .._typing import Key
from ..cells.base import AbstractCell, AbstractCellConfig
from ..cells.nmn import NMNConfig
from ..tasks.base import TaskSpec
from .base import AbstractModelConfig
from .conv import ConvConfig
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig
from .head import AbstractHead, Head


class Network(eqx.Module):
    """A recurrent network.

    Attributes:
        embed: `f_E`, from inputs to features; it sees all items of a batch at once, before the scan over time.
        cell: one step on `[features; label]`.
        head: `f_D`, from the cell's output to the numbers of a distribution.
        label: numbers of the label that the cell is shown beside the features.
    """

    embed: AbstractEmbedding
    cell: AbstractCell
    head: AbstractHead
    label: int = eqx.field(static=True)

    def items(self, x: Num[Array, "items ..."], given: Any | None) -> tuple[Float[Array, "items outputs"], Any]:
        """Answers for items that are each the first step of a sequence of their own, with no label beside them.

        Args:
            x: the inputs.
            given: what the embedding normalises with, see `AbstractEmbedding`.
        """
        features, used = self.embed(x, given)
        state = self.cell.init_state()
        return jax.vmap(lambda row: self.head(self.cell(state, row)[1]))(self.rows(features)), used

    def rows(
        self, features: Float[Array, "items features"], label: Float[Array, "items label"] | None = None
    ) -> Float[Array, "items in"]:
        """Rows that the cell reads: features, and the label shown beside them, zeros where none is."""
        given = jnp.zeros((features.shape[0], self.label), features.dtype) if label is None else label
        return jnp.concatenate([features, given], axis=1)


@dataclass(frozen=True)
class NetworkConfig(AbstractModelConfig):
    """An embedding, a cell and a head."""

    embed: AbstractEmbeddingConfig = field(default_factory=ConvConfig)
    """From inputs to features."""
    cell: AbstractCellConfig = field(default_factory=NMNConfig)
    """One step of the recurrence."""
    kind: Literal["network"] = "network"
    """Embedding, cell, head."""

    def build(self, spec: TaskSpec, *, key: Key) -> Network:
        """Builds the network of a task.

        Raises:
            UserError: an embedding or a cell that does not fit the task's inputs.
        """
        key_embed, key_cell, key_head = jax.random.split(key, 3)
        embed = self.embed.build(spec, key=key_embed)
        cell = self.cell.build(embed.out_size, spec.label, key=key_cell)
        return Network(embed, cell, Head(cell.out_size, spec.target, key=key_head), spec.label)


def initial_states(cell: AbstractCell, batch: int) -> PyTree:
    """A cell's first state, once for each sequence of a batch."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch, *leaf.shape)), cell.init_state())
