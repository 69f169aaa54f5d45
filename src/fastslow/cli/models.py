"""A trained model by its name, with the data it is measured on."""

from collections.abc import Callable
from pathlib import Path

from ..configs.config import Config
from ..configs.run import Trained
from ..zoo.saved import Saved, with_tasks
from .console import say
from .flags import with_data


def with_data_of(
    saved: Saved, data: Path | None, change: Callable[[Config], Config] = lambda config: config
) -> Trained:
    """Joins a trained model and its data.

    Args:
        saved: the model.
        data: folder of the data set; None for where its configuration has it.
        change: what to change in its configuration, such as its statistics.

    Raises:
        UserError: the data cannot be found, or the model makes its own.
    """
    for notice in saved.notices:
        say(notice)
    return with_tasks(saved, change(with_data(saved.config, data)))
