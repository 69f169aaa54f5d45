"""Rows of an experiment: each trained in a folder of its own, measured once, and not trained again on resume."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..training.config import to_json
from .base import Watch
from .config import RunConfig
from .pipeline import Trained, measure, train_run
from .results import ResultRow, read_rows, write_rows


@dataclass(frozen=True)
class Row:
    """A row to be trained.

    Attributes:
        name: as it stands in the table.
        folder: of its run, inside the experiment's.
        config: the run.
        paper_value: the paper's figure, as a share, where it has one.
    """

    name: str
    folder: str
    config: RunConfig
    paper_value: float | None = None


def is_result_of(result: ResultRow, config: RunConfig, episodes: int) -> bool:
    """Whether a stored row is what training and measuring again would give."""
    same = result.config == json.loads(json.dumps(to_json(config)))
    return same and result.episodes == episodes * config.training.seeds


def run_row(
    experiment: str, row: Row, out: Path, *, resume: bool, watch: Watch, episodes: int = 1000
) -> tuple[ResultRow, Trained | None]:
    """Trains and measures one row, or reads it where it is finished and nothing asks for more.

    Args:
        experiment: name of the experiment.
        row: what to train.
        out: the experiment's folder.
        resume: whether to go on with what is there.
        watch: called with the row's name and each report.
        episodes: test episodes of each seed.

    Returns:
        The row's result, and the training unless it was finished before.
    """
    folder = out / row.folder
    finished = folder / "result.json"
    if resume and finished.is_file():
        result = read_rows(finished)[0]
        if is_result_of(result, row.config, episodes):
            return result, None
    trained = train_run(
        row.config,
        folder,
        resume=resume and (folder / "config.json").is_file(),
        watch=lambda report: watch(row.name, report),
    )
    result = measure(trained, experiment=experiment, row=row.name, episodes=episodes, paper_value=row.paper_value)
    write_rows(finished, [result])
    return result, trained


def run_rows(
    experiment: str, rows: list[Row], out: Path, *, resume: bool, watch: Watch, episodes: int = 1000
) -> list[ResultRow]:
    """Runs rows one after the other."""
    return [run_row(experiment, row, out, resume=resume, watch=watch, episodes=episodes)[0] for row in rows]
