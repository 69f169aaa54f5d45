"""A network that was trained on few-shot episodes, measured with other numbers of classes or examples."""

from dataclasses import replace
from typing import Any

from .._checks import Described, bad
from ..configs.run import Trained
from .row import ResultRow


def in_setting(trained: Trained, way: int | None = None, shot: int | None = None) -> Trained:
    """The same network with another test task.

    Args:
        trained: the network, its learner and its data.
        way: classes of an episode; None for as many as before.
        shot: examples of each class; None for as many as before.

    Raises:
        UserError: the task has no few-shot episodes, the learner is bound to its number of classes, or there are fewer
            classes or drawings.
    """
    config = trained.config
    task: Any = config.task
    if task.spec.episode != "few-shot":
        expected = "one that was trained on few-shot episodes"
        raise bad("episodes", got=Described(f"a network for task {task.kind}"), expected=expected)
    other = replace(task, way=task.way if way is None else way, shot=task.shot if shot is None else shot)
    if other.way != task.way and not config.learner.any_way:
        expected = f"{task.way}, the number of classes that learner {config.learner.kind} is bound to"
        raise bad("way", got=other.way, expected=expected)
    config = replace(config, task=other)
    return replace(trained, config=config, learner=config.build(), tasks=other.build(), seconds=0.0)


def setting_of(task: Any) -> str:
    """A few-shot task's place on the axis `setting`."""
    return f"{task.way}-way {task.shot}-shot"


def placed(rows: list[ResultRow], setting: str) -> list[ResultRow]:
    """The same rows, each at a place on the axis `setting`."""
    return [replace(row, axis={**row.axis, "setting": setting}) for row in rows]


__all__ = ["in_setting", "placed", "setting_of"]
