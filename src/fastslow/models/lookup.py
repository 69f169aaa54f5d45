"""Tokens to vectors, by a table that is trained."""

from dataclasses import dataclass
from typing import Literal

import jax
from jaxtyping import Array, Float, Num

from .._checks import bad, check_size
from .._typing import Key
from ..tasks.base import TaskSpec
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig
from .flatten import NoState


class Lookup(AbstractEmbedding[NoState]):
    """A row for each token, drawn from a normal distribution of deviation `1/√features`. Attributes: `table`."""

    table: Float[Array, "tokens features"]

    def __init__(self, tokens: int, features: int, *, key: Key):
        check_size("features", features)
        self.table = jax.random.normal(key, (tokens, features)) * features**-0.5

    @property
    def out_size(self) -> int:
        return self.table.shape[1]

    def __call__(
        self, x: Num[Array, " items"], given: NoState | None
    ) -> tuple[Float[Array, "items features"], NoState]:
        return self.table[x], NoState()

    def neutral(self) -> NoState:
        return NoState()


@dataclass(frozen=True)
class LookupConfig(AbstractEmbeddingConfig):
    """Tokens by a table."""

    features: int = 64
    """Numbers of a token's vector."""
    kind: Literal["lookup"] = "lookup"
    """A trained vector for each token."""

    def build(self, spec: TaskSpec, *, key: Key) -> Lookup:
        """Builds the table of a task's tokens.

        Raises:
            UserError: the inputs are no tokens.
        """
        if spec.tokens is None:
            raise bad("embed", got=self.kind, expected=f"conv or flatten, as inputs of task {spec.kind} are no tokens")
        return Lookup(spec.tokens, self.features, key=key)
