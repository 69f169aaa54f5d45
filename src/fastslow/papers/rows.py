"""Rows of an experiment: each trained in a folder of its own, measured once, and not trained again on resume."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

from ..configs.config import AnyConfig, build_tasks
from ..results.pipeline import Config, Trained, measure, train_run
from ..results.row import ResultRow, read_rows, write_rows
from ..training.config import to_json
from ..zoo.saved import load_run
from .base import Watch


@dataclass(frozen=True)
class Row(Generic[Config]):
    """A row to be trained.

    Attributes:
        name: as it stands in the table.
        folder: of its run, inside the experiment's.
        config: the run.
        paper: the paper's figures by metric, as shares, where it has any.
    """

    name: str
    folder: str
    config: Config
    paper: Mapping[str, float] | None = None


def is_result_of(result: ResultRow, config: AnyConfig, episodes: int) -> bool:
    """Whether a stored row is what training and measuring again would give."""
    same = result.config == json.loads(json.dumps(to_json(config)))
    return same and result.episodes == episodes * len(result.seeds)


def run_row(
    experiment: str,
    row: Row[Config],
    out: Path,
    *,
    resume: bool,
    watch: Watch,
    episodes: int = 1000,
    grow: bool = False,
) -> tuple[list[ResultRow], Trained[Config] | None]:
    """Trains and measures one row, or reads it where it is finished and nothing asks for more.

    Args:
        experiment: name of the experiment.
        row: what to train.
        out: the experiment's folder.
        resume: whether to go on with what is there.
        watch: called with the row's name and each report.
        episodes: test episodes of each seed.
        grow: whether a training may become longer than it was planned. Rows of a table must not: a run of fewer
            updates, made longer, would pass for one of more.

    Returns:
        The row's results, one for each metric, and the training unless it was finished before.
    """
    folder = out / row.folder
    finished = folder / "result.json"
    if resume and finished.is_file():
        results = [result for result in read_rows(finished) if result.row == row.name]
        if results and is_result_of(results[0], row.config, episodes):
            # it may have been trained for another experiment, and copied here
            return [replace(result, experiment=experiment) for result in results], None
    trained = train_run(row.config, folder, resume=resume, grow=grow, watch=lambda report: watch(row.name, report))
    results = measure(trained, experiment=experiment, row=row.name, episodes=episodes, paper=row.paper)
    write_rows(finished, results)
    return results, trained


def trained_before(folder: Path) -> Trained[AnyConfig]:
    """A training that was finished in an earlier sitting.

    Raises:
        UserError: there is none in the folder.
    """
    saved = load_run(folder)
    return Trained(saved.config, saved.learner, build_tasks(saved.config.task), saved.states, saved.seeds, seconds=0.0)


def run_rows(
    experiment: str, rows: Sequence[Row], out: Path, *, resume: bool, watch: Watch, episodes: int = 1000
) -> list[ResultRow]:
    """Runs rows one after the other."""
    each = [run_row(experiment, row, out, resume=resume, watch=watch, episodes=episodes)[0] for row in rows]
    return [result for results in each for result in results]
