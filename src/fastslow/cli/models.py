"""A trained model by its name, with the data it is measured on."""

from collections.abc import Callable
from pathlib import Path

from ..configs.config import AnyConfig, build_any_learner, build_tasks
from ..results.pipeline import Trained
from ..zoo.saved import Saved
from .console import say
from .flags import with_data


def with_tasks(
    saved: Saved, data: Path | None, change: Callable[[AnyConfig], AnyConfig] = lambda config: config
) -> Trained[AnyConfig]:
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
    config = change(with_data(saved.config, data))
    return Trained(config, build_any_learner(config), build_tasks(config.task), saved.states, saved.seeds, seconds=0.0)
