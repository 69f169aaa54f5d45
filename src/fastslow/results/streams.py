"""A network that was trained on streams, measured on other streams."""

from dataclasses import replace
from typing import Any

from .._checks import Described, bad
from ..configs.run import Trained


def on_streams(trained: Trained, classes: int | None = None, examples: int | None = None) -> Trained:
    """The same network with another test task, see `OmniglotStreamConfig.with_streams`.

    There may be more classes than there are to train or to validate on.

    Raises:
        UserError: the network's task has no streams of characters, or its labels are too few.
    """
    task = trained.config.task
    if not hasattr(task, "with_streams"):
        raise bad(
            "streams",
            got=Described(f"a network for task {task.kind}"),
            expected="one that was trained on omniglot-stream",
        )
    expected = task.with_streams(classes, examples)
    drawings: Any = trained.tasks.test
    test = expected.of_images(drawings.images)
    return replace(
        trained, config=replace(trained.config, task=expected), tasks=replace(trained.tasks, test=test), seconds=0.0
    )
