"""Measures what was trained on its test task, on the stored evaluation episodes; one result row for each number."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ..baselines.base import Baseline
from ..configs.config import Config
from ..configs.json import to_json
from ..configs.run import Trained
from ..metrics import ACCURACY, Figure, Metric, label_of
from ..tasks.base import TaskSplits
from ..training.evaluate import evaluate_all
from ..training.fingerprint import SCHEME, params_digest
from ..training.provenance import environment
from ..training.state import one_seed
from .row import ResultRow
from .statistics import interval

AT_ONCE = 20
"""Test episodes that are measured side by side."""

Paper = Mapping[str, float]
"""A paper's figures by what is measured, such as `accuracy` or `accuracy, instance 2`; shares are in [0, 1]."""


def measure(
    trained: Trained, *, experiment: str, row: str, episodes: int = 1000, paper: Paper | None = None
) -> list[ResultRow]:
    """Measures a training.

    Args:
        trained: the learner, its states and its tasks.
        experiment: name of the experiment that the rows belong to.
        row: the rows' name.
        episodes: test episodes of each seed, the same for all.
        paper: the paper's figures.
    """
    start = time.perf_counter()
    learner, seeds = trained.learner, trained.seeds
    # a batch, which the devices share, begins with the first of the memories that persist; each is to be met as often
    batch = math.lcm(getattr(learner, "slots", 0), jax.device_count()) or AT_ONCE
    found = evaluate_all(learner, trained.states, trained.tasks.test, episodes=episodes, batch=batch)
    return rows_of(
        found,
        learner.metrics,
        paper,
        experiment=experiment,
        row=row,
        chance=trained.config.task.spec.chance,
        seeds=seeds,
        facts=facts_of(trained.config),
        config=to_json(trained.config),
        params_digest=params_digest([one_seed(trained.states.params, i) for i in range(len(seeds))]),
        data=trained.tasks.data,
        seconds=trained.seconds + time.perf_counter() - start,
    )


def facts_of(config: Config) -> dict[str, Any]:
    """What rows state of a training: its learner's facts, its updates, and how many classes its episodes had."""
    train_way = config.task.spec.train_way
    classes = {} if train_way is None else {"training classes": train_way}
    return {**config.learner.facts, "updates": config.training.steps, **classes}


def measure_baseline(
    baseline: Baseline,
    tasks: TaskSplits,
    *,
    experiment: str,
    row: str,
    chance: float | None,
    config: Mapping[str, Any],
    episodes: int,
    paper: Paper | None = None,
    params: Any = (),
    seconds: float = 0.0,
) -> list[ResultRow]:
    """Measures a baseline, on the same episodes as networks.

    Args:
        baseline: what is measured.
        tasks: its data.
        experiment: name of the experiment.
        row: the rows' name.
        chance: what guessing gives.
        config: what the row is to state of it.
        episodes: test episodes.
        paper: the paper's figures.
        params: what was trained beforehand for it, such as an autoencoder.
        seconds: how long that took.
    """
    start = time.perf_counter()
    found = evaluate_all(baseline, None, tasks.test, episodes=episodes, batch=AT_ONCE)
    return rows_of(
        found,
        baseline.metrics,
        paper,
        experiment=experiment,
        row=row,
        chance=chance,
        seeds=(0,),
        facts={"transductive": False},
        config=config,
        params_digest=params_digest([params]),
        data=tasks.data,
        seconds=seconds + time.perf_counter() - start,
    )


def episodes_row(
    config: Config,
    seeds: tuple[int, ...],
    digests: tuple[str, ...],
    found: Float[np.ndarray, " episodes"],
    metric: Metric = ACCURACY,
    **fields: Any,
) -> ResultRow:
    """The row of a measurement with a trained model on another task than its own.

    Args:
        config: of the model.
        seeds: one.
        digests: of its parameters.
        found: of each episode.
        metric: what was found.
        fields: the other fields of `ResultRow`; `axis` and `facts` may be left out.
    """
    value, low, high = interval(found[None].astype(np.float64), bounds=metric.bounds)
    return ResultRow(
        metric=metric.name,
        unit=metric.unit,
        value=value,
        ci95=(low, high),
        episodes=len(found),
        seeds=seeds,
        paper_value=None,
        config=to_json(config),
        params_digest={"scheme": SCHEME, "values": list(digests)},
        **({"axis": {}, "facts": {}} | fields),
        **environment(),
    )


def rows_of(
    found: Mapping[str, Figure], metrics: tuple[Metric, ...], paper: Paper | None, **shared: Any
) -> list[ResultRow]:
    """One row for each metric and label: the mean over seeds and episodes and its interval, beside the paper's figure.

    Args:
        found: figures by the keys of their metrics, `[seeds, episodes]` or `[seeds, episodes, labels]`.
        metrics: which of them, in the order of a table.
        paper: the paper's figures, if it has any.
        shared: the other fields of `ResultRow`, less those of the environment.
    """
    rows, here = [], environment()
    for metric in metrics:
        for label, each in metric.reduce(found[metric.key]).items():
            mean, low, high = interval(each, bounds=metric.bounds)
            axis = metric.at(label)
            value = (paper or {}).get(label_of(metric.name, axis))
            rows.append(
                ResultRow(
                    metric=metric.name,
                    unit=metric.unit,
                    axis=axis,
                    value=mean,
                    ci95=(low, high),
                    episodes=each.size,
                    paper_value=value,
                    **shared,
                    **here,
                )
            )
    return rows


def one_number(row: ResultRow, metric: str, unit: str, values: Float[np.ndarray, " seeds"]) -> ResultRow:
    """A number of each seed's training, beside a row that was measured of it.

    Args:
        row: of the same training.
        metric: what the number is.
        unit: of it; a share is in [0, 1].
        values: at least two.
    """
    value, low, high = interval(values[:, None], bounds=(0.0, 1.0) if unit == "share" else None)
    changes = {"metric": metric, "unit": unit, "axis": {}, "chance": None, "paper_value": None, "series": None}
    return replace(row, value=value, ci95=(low, high), **changes)


def series_of(reports: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """Figures over the updates, for trainings that are themselves the experiment.

    Args:
        reports: lines of `metrics.jsonl`.
        names: which figures.

    Returns:
        By name the updates and, for each seed, the values; None where a seed has none.
    """
    series = {}
    for name in names:
        rows = [report for report in reports if name in report]
        values = np.array([report[name] for report in rows], dtype=object).T.tolist()
        series[name] = {"steps": [report["step"] for report in rows], "values": values}
    return series


__all__ = [
    "AT_ONCE",
    "Paper",
    "episodes_row",
    "facts_of",
    "measure",
    "measure_baseline",
    "one_number",
    "rows_of",
    "series_of",
]
