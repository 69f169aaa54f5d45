"""Train, choose by validation, measure on test classes once: the steps every experiment is made of."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax
import numpy as np
from jaxtyping import Float

from ..learners.base import LearnerState
from ..tasks.omniglot_stream import LABELS
from ..tasks.splits import TaskSplits
from ..training.config import to_json
from ..training.evaluate import evaluate_all
from ..training.fingerprint import params_sha256
from ..training.folder import RunFolder
from ..training.loop import fit, train
from ..training.report import Report
from ..training.state import best_learner, one_seed
from ..training.statistics import interval
from .config import AnyConfig, build_any_learner, build_tasks
from .results import ResultRow, environment
from .streams import StreamConfig

Config = TypeVar("Config", bound=AnyConfig)
Watch = Callable[[Report], object]


@dataclass(frozen=True, eq=False)
class Trained(Generic[Config]):
    """A finished training.

    Attributes:
        config: what was run.
        learner: what learned.
        tasks: its data, cut into splits.
        states: each seed's best parameters on validation classes, leading axis `seeds`.
        seeds: their numbers; a seed that stopped being finite is not among them.
        seconds: training time, all sittings together.
    """

    config: Config
    learner: Any
    tasks: TaskSplits
    states: LearnerState
    seeds: tuple[int, ...]
    seconds: float


def train_run(config: Config, out: Path, *, resume: bool = False, watch: Watch | None = None) -> Trained[Config]:
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
    learner, tasks = build_any_learner(config), build_tasks(config.task)
    seconds = 0.0

    def note(report: Report) -> None:
        nonlocal seconds
        seconds = report.seconds
        if watch is not None:
            watch(report)

    with RunFolder(out, to_json(config), resume=resume) as folder:
        state = train(fit(learner, tasks.train, config.training, validation=tasks.validation, folder=folder), note)
    alive = [index for index, lives in enumerate(state.alive.tolist()) if lives]
    return Trained(
        config=config,
        learner=learner,
        tasks=tasks,
        states=jax.tree.map(lambda leaf: leaf[np.array(alive)], best_learner(state)),
        seeds=tuple(config.training.seed_numbers[index] for index in alive),
        seconds=seconds,
    )


def measure(
    trained: Trained,
    *,
    experiment: str,
    row: str,
    episodes: int = 1000,
    paper: Mapping[str, float] | None = None,
) -> list[ResultRow]:
    """What a training came to on the test classes, on the stored evaluation episodes; one result for each metric.

    Args:
        trained: the learner and its states.
        experiment: name of the experiment the row belongs to.
        row: the row's name.
        episodes: test episodes of each seed, the same for all.
        paper: the paper's figures by metric, as shares.
    """
    start = time.perf_counter()
    config, seeds = trained.config, trained.seeds
    found = evaluate_all(trained.learner, trained.states, trained.tasks.test, episodes=episodes, batch=20)
    figures = by_instance(found) if isinstance(config, StreamConfig) else {"accuracy": found["accuracy"]}
    sha256 = tuple(params_sha256(one_seed(trained.states.params, i)) for i in range(len(seeds)))
    shared = {
        "experiment": experiment,
        "row": row,
        "episodes": episodes * len(seeds),
        "seeds": seeds,
        "config": to_json(config),
        "params_sha256": sha256,
        "data": trained.tasks.data,
        "seconds": trained.seconds + time.perf_counter() - start,
        **_facts(config),
        **environment(),
    }
    rows = []
    for metric, figure in figures.items():
        mean, low, high = interval(figure)
        value = None if paper is None else paper.get(metric)
        rows.append(ResultRow(metric=metric, value=mean, ci95=(low, high), paper_value=value, **shared))
    return rows


INSTANCES = (1, 2, 3, 4, 5, 10)
"""Of a class within a stream: those that mann's tables have."""


def instance_metric(instance: int) -> str:
    """The metric of the k-th instance, such as `accuracy of instance 2`."""
    return f"accuracy of instance {instance}"


def by_instance(found: Mapping[str, Float[np.ndarray, "seeds episodes ..."]]) -> dict[str, np.ndarray]:
    """Accuracy of the k-th instance of a class: hits over all episodes by instances over all episodes.

    An episode holds a number of k-th instances that differs from the next, so the figure is a ratio of two means. Each
    episode gets the value whose mean is that ratio and whose spread is the ratio's to first order (the delta method).
    """
    figures = {}
    for k in INSTANCES:
        hits, seen = (found[name][..., k - 1].astype(np.float64) for name in ("hits", "seen"))
        if not seen.any():  # streams too short for a k-th instance
            continue
        ratio, mean_seen = hits.mean() / seen.mean(), seen.mean()
        figures[instance_metric(k)] = ratio + (hits - ratio * seen) / mean_seen
    return figures


def chance_of(config: AnyConfig) -> float:
    """What guessing would give."""
    if not isinstance(config, StreamConfig):
        return 1 / config.task.way
    return 1 / config.task.classes if config.task.labels == "one-hot" else 1 / LABELS


def _facts(config: AnyConfig) -> dict[str, Any]:
    """What a configuration says of every row measured with it."""
    if isinstance(config, StreamConfig):
        return {"chance": chance_of(config), "protocol": "bind", "regime": None, "transductive": False}
    return {
        "chance": chance_of(config),
        "protocol": config.adapt.protocol,
        "regime": config.feedback.regime,
        "transductive": config.adapt.statistics == "episode",
    }
