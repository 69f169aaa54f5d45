"""Rows of an experiment: each trained in a folder of its own, measured once, and not trained again on resume."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..configs.config import Config
from ..configs.json import to_json
from ..configs.run import Trained, train
from ..results.measure import Paper, measure
from ..results.row import ResultRow, read_rows, write_rows
from ..results.settings import placed
from ..tasks.base import AbstractTaskConfig
from ..zoo.saved import load_trained
from .base import Watch


@dataclass(frozen=True)
class Setting:
    """A task that a training is measured on: a column of the table.

    Attributes:
        label: its name, on the axis `setting`.
        task: the task.
        paper: the paper's figures by what is measured, where it has any; see `results.measure.Paper`.
    """

    label: str
    task: AbstractTaskConfig
    paper: Paper | None = None


@dataclass(frozen=True)
class Row:
    """A row to be trained.

    Attributes:
        name: as it stands in the table.
        folder: of its run, inside the experiment's.
        config: what to train.
        paper: the paper's figures by what is measured, where it has any and there are no settings.
        settings: what to measure it on; without any, its own task.
    """

    name: str
    folder: str
    config: Config
    paper: Paper | None = None
    settings: tuple[Setting, ...] = ()

    @property
    def measured(self) -> list[Config]:
        """The configurations that its results hold."""
        return [replace(self.config, task=setting.task) for setting in self.settings] or [self.config]


def as_stored(config: Config) -> dict[str, Any]:
    """A configuration as a result file holds it."""
    return json.loads(json.dumps(to_json(config)))


def is_result_of(result: ResultRow, config: Config, episodes: int) -> bool:
    """Whether a stored row is what training and measuring again would give."""
    return result.config == as_stored(config) and result.episodes == episodes * len(result.seeds)


def run_row(
    experiment: str,
    row: Row,
    out: Path,
    *,
    resume: bool,
    watch: Watch,
    episodes: int = 1000,
    grow: bool = False,
) -> tuple[list[ResultRow], Trained | None]:
    """Trains and measures one row, or reads it where it is finished and nothing more is asked for.

    Args:
        experiment: name of the experiment.
        row: what to train.
        out: the experiment's folder.
        resume: whether to continue with what is there.
        watch: called with the row's name and each report.
        episodes: test episodes of each seed.
        grow: whether a training may become longer than it was planned. Rows of a table must not: a run of fewer
            updates, made longer, would pass for one of more.

    Returns:
        The row's results, and the training unless it was finished before.
    """
    folder = out / row.folder
    finished = folder / "result.json"
    if resume and finished.is_file():
        results = [result for result in read_rows(finished) if result.row == row.name]
        if all(any(is_result_of(result, config, episodes) for result in results) for config in row.measured):
            # it may have been trained for another experiment, and copied here
            return [replace(result, experiment=experiment) for result in results], None
    trained = train(row.config, folder, resume=resume, grow=grow, watch=lambda report: watch(row.name, report))
    results = _measured(trained, row, experiment, episodes)
    write_rows(finished, results)
    return results, trained


def _measured(trained: Trained, row: Row, experiment: str, episodes: int) -> list[ResultRow]:
    """The results of a training: on its own task, or on each of the row's settings."""
    if not row.settings:
        return measure(trained, experiment=experiment, row=row.name, episodes=episodes, paper=row.paper)
    found = []
    for setting, config in zip(row.settings, row.measured, strict=True):
        there = replace(trained, config=config, learner=config.build(), tasks=config.task.build())
        rows = measure(there, experiment=experiment, row=row.name, episodes=episodes, paper=setting.paper)
        found += placed(rows, setting.label)
    return found


def trained_before(folder: Path) -> Trained:
    """A training that was finished at an earlier start.

    Raises:
        UserError: there is none in the folder.
    """
    return load_trained(folder)


def run_rows(
    experiment: str, rows: Sequence[Row], out: Path, *, resume: bool, watch: Watch, episodes: int = 1000
) -> list[ResultRow]:
    """Runs rows one after the other."""
    each = [run_row(experiment, row, out, resume=resume, watch=watch, episodes=episodes)[0] for row in rows]
    return [result for results in each for result in results]
