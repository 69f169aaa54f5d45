"""What an embedding is: inputs of any kind to vectors, all items of a batch in one call."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Float, Num

from .._typing import Key
from ..tasks.base import TaskSpec

ModelState = TypeVar("ModelState")


class AbstractEmbedding(eqx.Module, Generic[ModelState]):
    """Maps the inputs of many items to features. A convolution is fast over many images and slow inside a scan."""

    @property
    @abstractmethod
    def out_size(self) -> int:
        """Numbers of an item's features."""

    @abstractmethod
    def __call__(
        self, x: Num[Array, "items ..."], given: ModelState | None
    ) -> tuple[Float[Array, "items features"], ModelState]:
        """Embeds items.

        Args:
            x: the inputs.
            given: what is tracked without a gradient, such as running statistics; `None` takes that of these items.

        Returns:
            The features, and what they were normalised with.
        """

    @abstractmethod
    def neutral(self) -> ModelState:
        """What is tracked, before any batch."""


@dataclass(frozen=True)
class AbstractEmbeddingConfig(ABC):
    """The settings of an embedding: a frozen dataclass with a field `kind`, its name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The settings of a member; `kind` is its name."""

    @abstractmethod
    def build(self, spec: TaskSpec, *, key: Key) -> AbstractEmbedding:
        """Builds the embedding of a task's inputs.

        Raises:
            UserError: it does not fit the inputs.
        """
