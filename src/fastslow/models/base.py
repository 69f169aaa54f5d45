"""What the settings of a model are."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._typing import Key
from ..tasks.base import TaskSpec


@dataclass(frozen=True)
class AbstractModelConfig(ABC):
    """The settings of a model: a frozen dataclass with a field `kind`, its name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The settings of a member; `kind` is its name."""

    @property
    def most_classes(self) -> int | None:
        """Classes that it can hold at a time; None for any number, or as many as its task has."""
        return None

    @abstractmethod
    def build(self, spec: TaskSpec, *, key: Key) -> Any:
        """Builds the model of a task.

        Raises:
            UserError: parts that do not fit the task's inputs.
        """
