"""An LSTM over the rows of an input, such as the observed positions of a path: its last output are the features."""

from dataclasses import dataclass
from typing import Literal

import jax
from jaxtyping import Array, Float, Num

from .._checks import bad
from .._typing import Key
from ..cells.lstm import LSTM
from ..tasks.base import TaskSpec
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig
from .flatten import NoState


class LSTMEmbedding(AbstractEmbedding[NoState]):
    """`f_E` of the paths of fast-slow section 5.2. Attributes: `lstm`."""

    lstm: LSTM

    @property
    def out_size(self) -> int:
        return self.lstm.out_size

    def __call__(
        self, x: Num[Array, "items rows in"], given: NoState | None
    ) -> tuple[Float[Array, "items features"], NoState]:
        return jax.vmap(self._last)(x), NoState()

    def neutral(self) -> NoState:
        return NoState()

    def _last(self, rows: Float[Array, "rows in"]) -> Float[Array, " features"]:
        return jax.lax.scan(lambda state, row: self.lstm(state, row), self.lstm.init_state(), rows)[0].hidden


@dataclass(frozen=True)
class LSTMEmbeddingConfig(AbstractEmbeddingConfig):
    """An LSTM over the rows of an input."""

    hidden: int = 30
    """Units."""
    kind: Literal["lstm-rows"] = "lstm-rows"
    """The last output of an LSTM that reads an input row by row."""

    def build(self, spec: TaskSpec, *, key: Key) -> LSTMEmbedding:
        """Builds the embedding of a task's inputs.

        Raises:
            UserError: the inputs have no rows.
        """
        if spec.tokens is not None or len(spec.shape) != 2:
            raise bad("embed", got=self.kind, expected=f"another one, as inputs of task {spec.kind} have no rows")
        return LSTMEmbedding(LSTM(spec.shape[1], self.hidden, key=key))


__all__ = ["LSTMEmbedding", "LSTMEmbeddingConfig"]
