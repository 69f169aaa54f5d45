"""Trains a configuration in a run folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from ..learners.base import LearnerState, Trainable
from ..tasks.base import TaskSplits
from ..training.folder import RunFolder
from ..training.loop import fit, run_to_end
from ..training.provenance import loaded_commit
from ..training.report import Report
from ..training.state import chosen_state
from .config import Config
from .json import to_json

Watch = Callable[[Report], object]


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training.

    Attributes:
        config: what was trained.
        learner: what learned.
        tasks: its data, one task for each split.
        states: each seed's state with the parameters that were chosen, leading axis `seeds`.
        seeds: their numbers; a seed that diverged is not among them.
        seconds: training time, all starts of the run together.
    """

    config: Config
    learner: Trainable
    tasks: TaskSplits
    states: LearnerState
    seeds: tuple[int, ...]
    seconds: float


def train(
    config: Config, out: str | Path, *, resume: bool = False, grow: bool = True, watch: Watch | None = None
) -> Trained:
    """Trains a configuration in a run folder.

    Args:
        config: what to train.
        out: the run folder.
        resume: whether to continue the run that is in it.
        grow: whether that run may then become longer than it was planned.
        watch: called with each report.

    Raises:
        UserError: a configuration, data set or folder that does not fit.
        TrainingDivergedError: no seed stayed finite.
        KeyboardInterrupt: interrupted, with the state saved.
    """
    loaded_commit()
    learner, tasks = config.build(), config.task.build()
    seconds = 0.0

    def note(report: Report) -> None:
        nonlocal seconds
        seconds = report.seconds
        if watch is not None:
            watch(report)

    with RunFolder(Path(out), to_json(config), resume=resume, grow=grow) as folder:
        reports = fit(learner, tasks.train, config.training, validation=tasks.validation, folder=folder)
        state = run_to_end(reports, note)
    finite = np.flatnonzero(~np.asarray(state.diverged))
    states = jax.tree.map(lambda leaf: leaf[finite], chosen_state(state, config.training.select))
    return Trained(config, learner, tasks, states, tuple(config.training.seed_numbers[i] for i in finite), seconds)
