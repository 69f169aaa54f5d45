"""Inputs as they are: the pixels of an image, or a vector, in one row."""

import math
from dataclasses import dataclass
from typing import Literal

import equinox as eqx
from jaxtyping import Array, Float, Num

from .._checks import bad
from .._typing import Key
from ..tasks.base import TaskSpec
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig


class NoState(eqx.Module):
    """Nothing is tracked."""


class Flatten(AbstractEmbedding[NoState]):
    """Lays each input out in one row. Attributes: `size`, numbers of an input."""

    size: int = eqx.field(static=True)

    @property
    def out_size(self) -> int:
        return self.size

    def __call__(self, x: Num[Array, "items ..."], given: NoState | None) -> tuple[Float[Array, "items in"], NoState]:
        return x.reshape(x.shape[0], -1), NoState()

    def neutral(self) -> NoState:
        return NoState()


@dataclass(frozen=True)
class FlattenConfig(AbstractEmbeddingConfig):
    """Inputs as they are, in one row."""

    kind: Literal["flatten"] = "flatten"
    """The numbers of an input in one row."""

    def build(self, spec: TaskSpec, *, key: Key) -> Flatten:
        """Builds the embedding of a task's inputs.

        Raises:
            UserError: the inputs are tokens.
        """
        del key
        if spec.tokens is not None:
            raise bad("embed", got=self.kind, expected=f"lookup, as inputs of task {spec.kind} are tokens")
        return Flatten(math.prod(spec.shape))
