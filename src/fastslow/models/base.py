"""What the settings of a model are."""

from abc import ABC, abstractmethod
from typing import Any

from .._typing import Key
from ..tasks.base import TaskSpec


class AbstractModelConfig(ABC):
    """The settings of a model: a frozen dataclass with a field `kind`, its name."""

    kind: Any

    @abstractmethod
    def build(self, spec: TaskSpec, *, key: Key) -> Any:
        """Builds the model of a task.

        Raises:
            UserError: parts that do not fit the task's inputs.
        """
