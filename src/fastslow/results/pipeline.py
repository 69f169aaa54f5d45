"""Train, choose by validation, measure on test classes once: the steps every experiment is made of."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import jax
import numpy as np
from jaxtyping import Float

from .._checks import bad
from ..baselines.base import AbstractUntrained
from ..configs.config import AnyConfig, build_any_learner, build_tasks
from ..configs.streams import LATE, TABLED, StreamConfig, with_streams
from ..learners.base import LearnerState
from ..learners.supervised import SequenceLearner
from ..metrics import ACCURACY, Metric
from ..metrics import LOG_LIKELIHOOD as NATS
from ..tasks.gaussian_process import GaussianProcessConfig
from ..tasks.omniglot_stream import LABELS, OmniglotStreamConfig, OmniglotStreamTask
from ..tasks.splits import TaskSplits
from ..training.config import to_json
from ..training.evaluate import evaluate_all
from ..training.fingerprint import params_sha256
from ..training.folder import RunFolder
from ..training.loop import fit, train
from ..training.report import Report
from ..training.state import best_learner, one_seed
from .environment import environment, loaded_commit
from .row import ResultRow
from .statistics import interval

Config = TypeVar("Config", bound=AnyConfig)
Watch = Callable[[Report], object]

NAMES_SHA256, IN_CONTEXT = "names-sha256", "in-context"
AT_ONCE = 20
"""Test episodes that are measured side by side."""


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


def train_run(
    config: Config, out: Path, *, resume: bool = False, grow: bool = True, watch: Watch | None = None
) -> Trained[Config]:
    """Trains a configuration in a run folder.

    Args:
        config: the run.
        out: its folder.
        resume: whether to go on with the run that is in it.
        grow: whether that run may then become longer than it was planned.
        watch: called with each report.

    Raises:
        UserError: a configuration, data set or folder that will not do.
        TrainingDivergedError: no seed stayed finite.
        KeyboardInterrupt: interrupted, with the state saved.
    """
    loaded_commit()
    learner, tasks = build_any_learner(config), build_tasks(config.task)
    seconds = 0.0

    def note(report: Report) -> None:
        nonlocal seconds
        seconds = report.seconds
        if watch is not None:
            watch(report)

    with RunFolder(out, to_json(config), resume=resume, grow=grow) as folder:
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


def on_streams(trained: Trained[Any], classes: int | None = None, examples: int | None = None) -> Trained[Any]:
    """The same network, to be measured on streams of other numbers of classes and examples, see `with_streams`.

    The test task alone is another: there may be more classes than there are to train or to validate on.

    Raises:
        UserError: the network is none for streams of characters, or its labels are too few.
    """
    if not isinstance(trained.config, StreamConfig):
        raise bad("streams", came="a network for few-shot episodes", wanted="one that was trained on streams")
    config = with_streams(trained.config, classes, examples)
    wanted, test = cast(OmniglotStreamConfig, config.task), cast(OmniglotStreamTask, trained.tasks.test)
    test = OmniglotStreamTask(test.images, wanted.classes, wanted.length, wanted.labels, wanted.balanced)
    return replace(trained, config=config, tasks=replace(trained.tasks, test=test), seconds=0.0)


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
    # a batch, which the devices share, begins with the first of the memories that are kept; each is to be met as often
    lanes = trained.learner.lanes if isinstance(trained.learner, SequenceLearner) else 0
    batch = math.lcm(lanes, jax.device_count()) or AT_ONCE
    found = evaluate_all(trained.learner, trained.states, trained.tasks.test, episodes=episodes, batch=batch)
    figures = figures_of(config, found)
    sha256 = tuple(params_sha256(one_seed(trained.states.params, i)) for i in range(len(seeds)))
    shared = {
        "experiment": experiment,
        "row": row,
        "episodes": episodes * len(seeds),
        "seeds": seeds,
        "config": to_json(config),
        "params_digest": {"scheme": NAMES_SHA256, "values": sha256},
        "data": data_of(trained.tasks),
        "seconds": trained.seconds + time.perf_counter() - start,
        **facts_of(config),
    }
    return result_rows(figures, paper, **shared)


def measure_untrained(
    learner: AbstractUntrained,
    tasks: TaskSplits,
    figures: Callable[[Mapping[str, Any]], Mapping[str, np.ndarray]],
    *,
    episodes: int,
    params: Any = (),
    seconds: float = 0.0,
    paper: Mapping[str, float] | None = None,
    **told: Any,
) -> list[ResultRow]:
    """What a learner without parameters comes to on the test classes; one result for each metric.

    Args:
        learner: what is measured.
        tasks: its data.
        figures: from what `evaluate` found to one number an episode for each metric.
        episodes: test episodes, the same ones as for networks.
        params: what was trained beforehand for it, such as an autoencoder.
        seconds: how long that took.
        paper: the paper's figures by metric, as shares.
        told: `experiment`, `row`, `chance` and `config` of the results.
    """
    start = time.perf_counter()
    stacked = jax.tree.map(lambda leaf: leaf[None], learner.init(key=jax.random.key(0)))
    found = evaluate_all(learner, stacked, tasks.test, episodes=episodes, batch=AT_ONCE)
    return result_rows(
        figures(found),
        paper,
        episodes=episodes,
        seeds=(0,),
        facts={"transductive": False},
        params_digest={"scheme": NAMES_SHA256, "values": (params_sha256(params),)},
        data=data_of(tasks),
        seconds=seconds + time.perf_counter() - start,
        **told,
    )


def result_rows(figures: Mapping[str, np.ndarray], paper: Mapping[str, float] | None, **shared: Any) -> list[ResultRow]:
    """One result for each metric: its mean and interval over seeds and episodes, beside the paper's figure.

    Args:
        figures: by metric, one number for each seed and episode.
        paper: the paper's figures by metric, where it has any.
        shared: the other fields of `ResultRow`, less those of the environment.
    """
    rows, here = [], environment()
    for named, figure in figures.items():
        metric, axis = _metric_of(named)
        mean, low, high = interval(figure, bounds=metric.bounds)
        value = None if paper is None else paper.get(named)
        told = {"metric": metric.name, "unit": metric.unit, "axis": axis, "paper_value": value}
        rows.append(ResultRow(value=mean, ci95=(low, high), **told, **shared, **here))
    return rows


def _metric_of(named: str) -> tuple[Metric, dict[str, int]]:
    """A metric and its axis, by a name such as `accuracy of instance 2`."""
    for start, metric, axis in (
        ("accuracy of instance ", ACCURACY, "instance"),
        ("log likelihood after ", NATS, "seen"),
    ):
        if named.startswith(start):
            return metric, {axis: int(named.removeprefix(start))}
    return {"accuracy": ACCURACY, "log likelihood": NATS}[named], {}


def data_of(tasks: TaskSplits) -> dict[str, str | None]:
    """What a row states of its data."""
    digest, stored = tasks.data["sha256"], tasks.name == "omniglot"
    scheme = None if digest is None else "arrays-sha256" if stored else "source-sha256"
    return {"name": tasks.name, "split": tasks.split, "digest": digest, "scheme": scheme}


def figures_of(config: AnyConfig, found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What a learner's `evaluate` found, as one figure an episode for each metric of a result."""
    if not isinstance(config, StreamConfig):
        return {"accuracy": found["accuracy"]}
    return by_seen(found) if isinstance(config.task, GaussianProcessConfig) else by_instance(found)


SEEN = (0, 10, 20, 50, 99)
"""Values seen before one is predicted: how results tell of likelihoods along a stream."""


def seen_metric(seen: int) -> str:
    """The metric of a prediction after some values, such as `log likelihood after 20`."""
    return f"log likelihood after {seen}"


def by_seen(found: Mapping[str, Float[np.ndarray, "seeds episodes ..."]]) -> dict[str, np.ndarray]:
    """Log likelihood, in nats a value, over whole streams and after some numbers of values."""
    steps = found["surprise"].shape[-1]
    each = {seen_metric(k): -found["surprise"][..., k] for k in SEEN if k < steps}
    return {"log likelihood": found["log_likelihood"], **each}


def instance_metric(instance: int) -> str:
    """The metric of the k-th instance, such as `accuracy of instance 2`."""
    return f"accuracy of instance {instance}"


def by_instance(found: Mapping[str, Float[np.ndarray, "seeds episodes ..."]]) -> dict[str, np.ndarray]:
    """Accuracy of the k-th instance of a class: hits over all episodes by instances over all episodes.

    An episode holds a number of k-th instances that differs from the next, so the figure is a ratio of two means. Each
    episode gets the value whose mean is that ratio and whose spread is the ratio's to first order (the delta method).
    """
    figures, classes, told = {}, found["seen"][..., 0].mean(), found["seen"].shape[-1]
    for k in (k for k in (*TABLED, *LATE) if k <= told):
        hits, seen = (found[name][..., k - 1].astype(np.float64) for name in ("hits", "seen"))
        # streams too short for a k-th instance, or for one of most classes where no table asks for it
        if not seen.any() or (k in LATE and seen.mean() < classes / 2):
            continue
        ratio, mean_seen = hits.mean() / seen.mean(), seen.mean()
        figures[instance_metric(k)] = ratio + (hits - ratio * seen) / mean_seen
    return figures


def chance_of(config: AnyConfig) -> float | None:
    """What guessing would give; None where guessing has no meaning."""
    if not isinstance(config, StreamConfig):
        return 1 / config.task.way
    if isinstance(config.task, GaussianProcessConfig):
        return None
    return 1 / config.task.classes if config.task.labels == "one-hot" else 1 / LABELS


def facts_of(config: AnyConfig) -> dict[str, Any]:
    """What a configuration says of every row measured with it."""
    if isinstance(config, StreamConfig):
        return {"chance": chance_of(config), "facts": {"protocol": IN_CONTEXT, "transductive": False}}
    facts = {
        "protocol": IN_CONTEXT if config.adapt.protocol == "bind" else config.adapt.protocol,
        "regime": config.feedback.regime,
        "transductive": config.adapt.statistics == "episode",
    }
    return {"chance": chance_of(config), "facts": facts}
