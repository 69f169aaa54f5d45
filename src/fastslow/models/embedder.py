"""An embedding alone, for learners that compare features."""

from dataclasses import dataclass, field
from typing import Literal

import equinox as eqx

from .._typing import Key
from ..tasks.base import TaskSpec
from .base import AbstractModelConfig
from .conv import ConvConfig
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig


class Embedder(eqx.Module):
    """Attributes: `embed`, from inputs to features."""

    embed: AbstractEmbedding


@dataclass(frozen=True)
class EmbedderConfig(AbstractModelConfig):
    """An embedding alone."""

    embed: AbstractEmbeddingConfig = field(default_factory=ConvConfig)
    """From inputs to features."""
    kind: Literal["embedder"] = "embedder"
    """An embedding alone, without cell and head."""

    def build(self, spec: TaskSpec, *, key: Key) -> Embedder:
        """Builds the embedding of a task.

        Raises:
            UserError: it does not fit the task's inputs.
        """
        return Embedder(self.embed.build(spec, key=key))
