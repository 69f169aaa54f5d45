"""Train, choose by validation, measure on test classes once: the steps every experiment is made of."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..learners.base import LearnerState
from ..learners.recurrent import RecurrentLearner
from ..tasks.splits import TaskSplits
from ..training.config import to_json
from ..training.evaluate import evaluate
from ..training.fingerprint import params_sha256
from ..training.folder import RunFolder
from ..training.loop import fit, train
from ..training.report import Report
from ..training.state import best_learner, one_seed
from ..training.statistics import interval
from .config import RunConfig, build_learner, build_tasks
from .results import ResultRow, environment

Watch = Callable[[Report], object]


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training.

    Attributes:
        config: what was run.
        learner: what learned.
        tasks: its data, cut into splits.
        states: each seed's best parameters on validation classes, leading axis `seeds`.
        seconds: training time, all sittings together.
    """

    config: RunConfig
    learner: RecurrentLearner
    tasks: TaskSplits
    states: LearnerState
    seconds: float


def train_run(config: RunConfig, out: Path, *, resume: bool = False, watch: Watch | None = None) -> Trained:
    """Trains a configuration in a run folder.

    Args:
        config: the run.
        out: its folder.
        resume: whether to go on with the run that is in it.
        watch: called with each report.

    Raises:
        UserError: a configuration, data set or folder that will not do.
        TrainingDivergedError: no seed stayed finite.
        KeyboardInterrupt: interrupted, with the state saved.
    """
    learner, tasks = build_learner(config), build_tasks(config.task)
    seconds = 0.0

    def note(report: Report) -> None:
        nonlocal seconds
        seconds = report.seconds
        if watch is not None:
            watch(report)

    with RunFolder(out, to_json(config), resume=resume) as folder:
        state = train(fit(learner, tasks.train, config.training, validation=tasks.validation, folder=folder), note)
    return Trained(config=config, learner=learner, tasks=tasks, states=best_learner(state), seconds=seconds)


def measure(
    trained: Trained, *, experiment: str, row: str, episodes: int = 1000, paper_value: float | None = None
) -> ResultRow:
    """Accuracy on the test classes, on the stored evaluation episodes.

    Args:
        trained: the learner and its states.
        experiment: name of the experiment the row belongs to.
        row: the row's name.
        episodes: test episodes of each seed, the same for all.
        paper_value: the paper's figure, as a share.
    """
    start = time.perf_counter()
    config = trained.config
    found = evaluate(trained.learner, trained.states, trained.tasks.test, episodes=episodes, batch=20)
    mean, low, high = interval(found)
    seeds = config.training.seed_numbers
    return ResultRow(
        experiment=experiment,
        row=row,
        metric="accuracy",
        value=mean,
        ci95=(low, high),
        chance=1 / config.task.way,
        episodes=found.size,
        seeds=seeds,
        protocol=config.adapt.protocol,
        regime=config.feedback.regime,
        transductive=config.adapt.statistics == "episode",
        paper_value=paper_value,
        config=to_json(config),
        params_sha256=tuple(params_sha256(one_seed(trained.states.params, i)) for i in range(len(seeds))),
        data=trained.tasks.data,
        seconds=trained.seconds + time.perf_counter() - start,
        **environment(),
    )
