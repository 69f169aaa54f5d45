"""Embed → head: a network without a state."""

from dataclasses import dataclass, field
from typing import Any, Literal

import equinox as eqx
import jax
from jaxtyping import Array, Float, Num

from .._typing import Key
from ..tasks.base import TaskSpec
from .base import AbstractModelConfig
from .conv import ConvConfig
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig
from .head import Head


class Classifier(eqx.Module):
    """A feed-forward network. Attributes: `embed`, from inputs to features; `head`, from them to a distribution."""

    embed: AbstractEmbedding
    head: Head

    def items(self, x: Num[Array, "items ..."], given: Any | None) -> tuple[Float[Array, "items outputs"], Any]:
        """Answers for items; see `Network.items`."""
        features, used = self.embed(x, given)
        return jax.vmap(self.head)(features), used


@dataclass(frozen=True)
class ClassifierConfig(AbstractModelConfig):
    """An embedding and a head, without a cell."""

    embed: AbstractEmbeddingConfig = field(default_factory=ConvConfig)
    """From inputs to features."""
    kind: Literal["classifier"] = "classifier"
    """Embedding and head, without a cell."""

    def build(self, spec: TaskSpec, *, key: Key) -> Classifier:
        """Builds the classifier of a task.

        Raises:
            UserError: an embedding that does not fit the task's inputs.
        """
        key_embed, key_head = jax.random.split(key)
        embed = self.embed.build(spec, key=key_embed)
        return Classifier(embed, Head(embed.out_size, spec.target, key=key_head))
