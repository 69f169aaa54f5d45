"""How predictors of paths are measured and drawn: after each inner step, on episodes that are the same for all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..._typing import Key
from ...baselines.base import Baseline
from ...baselines.constant_motion import ConstantMotion
from ...configs.json import to_json
from ...configs.run import Trained, train
from ...learners.base import Figures
from ...learners.step_curve import STEPS, StepCurve
from ...metrics import Axis, Metric
from ...plotting.curve import Curve
from ...plotting.paths import Drawn, errors, paths
from ...plotting.style import save
from ...results.measure import facts_of, rows_of
from ...results.row import ResultRow, read_rows, write_rows
from ...tasks.base import FewShotEpisode, TaskSplits
from ...tasks.tracks import TracksTask
from ...training.evaluate import EVALUATION_SEED, evaluate_all
from ...training.fingerprint import params_digest
from ...training.state import draw, one_seed
from ..base import Watch
from ..rows import Row, is_result_of

MOST = 8
REPORTED = (0, 1, MOST)
"""Numbers of inner steps that rows are given for; their series have all."""
AT_ONCE, DRAWN = 20, 4
"""Episodes that are measured side by side; pedestrians that are drawn."""


class Unlearned(Baseline[FewShotEpisode]):
    """A baseline that answers alike after any number of steps. Attributes: `curve`."""

    curve: StepCurve

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.curve.metrics

    def evaluate(self, episodes: FewShotEpisode, *, key: Key) -> Figures:
        return self.curve.evaluate(None, episodes, key=key)


def few_shot(task: Any) -> TaskSplits:
    """The episodes that everything is measured on: ten tracks and others, of any motion."""
    return replace(task, episode="few-shot").build()


def curve_of(learner: Any, task: Any, tasks: TaskSplits) -> StepCurve:
    """A learner as it is measured."""
    test: Any = tasks.test
    return StepCurve(learner, task.target, MOST, Axis("motion", test.names))


def measured(experiment: str, row: Row, folder: Path, episodes: int, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures a row, or reads it where it is finished."""
    finished = folder / "result.json"
    if resume and finished.is_file():
        results = read_rows(finished)
        if results and all(is_result_of(each, row.config, episodes) for each in results):
            return results
    done = train(row.config, folder, resume=resume, grow=False, watch=partial(watch, row.name))
    tasks = few_shot(done.config.task)
    curve = curve_of(done.learner, done.config.task, tasks)
    found = evaluate_all(curve, done.states, tasks.test, episodes=episodes, batch=AT_ONCE)
    results = reported(
        found,
        curve.metrics,
        experiment=experiment,
        row=row.name,
        seeds=done.seeds,
        facts=facts_of(done.config),
        config=to_json(done.config),
        params_digest=params_digest([one_seed(done.states.params, i) for i in range(len(done.seeds))]),
        data=tasks.data,
        seconds=done.seconds,
    )
    write_rows(finished, results)
    return results


def measured_constant(experiment: str, name: str, baseline: ConstantMotion, episodes: int) -> list[ResultRow]:
    """The rows of a baseline."""
    tasks = few_shot(baseline.config)
    curve = curve_of(baseline, baseline.config, tasks)
    found = evaluate_all(Unlearned(curve), None, tasks.test, episodes=episodes, batch=AT_ONCE)
    return reported(
        found,
        curve.metrics,
        experiment=experiment,
        row=name,
        seeds=(0,),
        facts={"transductive": False},
        config={"task": to_json(baseline.config), "moves": baseline.moves},
        params_digest=params_digest([()]),
        data=tasks.data,
        seconds=0.0,
    )


def reported(found: Figures, metrics: tuple[Metric, ...], **fields: Any) -> list[ResultRow]:
    """The rows that are kept; of each error after a number of steps the first one has the series over all steps."""
    kept, with_series = [], set()
    for row in rows_of(found, metrics, None, chance=None, **fields):
        if STEPS in row.axis and row.axis[STEPS] not in REPORTED:
            continue
        if STEPS in row.axis and row.metric not in with_series:
            with_series.add(row.metric)
            figure = found[f"{row.metric.replace(' ', '_')}/{STEPS}"]
            totals, counts = (np.asarray(part).sum(axis=1) for part in (figure.total, figure.count))
            steps = np.flatnonzero(counts[0])
            values = (totals[:, steps] / counts[:, steps]).tolist()
            row = replace(row, series={row.metric: {"steps": steps.tolist(), "values": values}})
        kept.append(row)
    return kept


def drawn(results: Sequence[ResultRow], networks: Mapping[str, Trained], references: Sequence[str], out: Path) -> None:
    """Figure 4, errors after each step; Figure 5, paths of some pedestrians."""
    unit = results[0].unit
    panels: dict[str, dict[str, Curve]] = {"other tracks": {}, "tracks learned from": {}}
    for row in results:
        for name, series in (row.series or {}).items():
            if name.startswith("MSE") and "as printed" not in row.row:
                title = "other tracks" if name == "MSE" else "tracks learned from"
                panels[title][row.row] = Curve(np.array(series["steps"]), np.array(series["values"], float).T)
    save(errors(panels, unit, "inner steps", references), out / "errors.png")
    chosen = {name: one for name, one in networks.items() if "as printed" not in name}
    task: Any = next(iter(chosen.values())).config.task
    tasks = few_shot(task)
    answering = {name: (curve_of(one.learner, task, tasks), one_seed(one.states, 0)) for name, one in chosen.items()}
    save(paths([users(answering, cast(TracksTask, tasks.test))], unit.removesuffix("²")), out / "paths.png")


def users(networks: Mapping[str, tuple[StepCurve, Any]], test: TracksTask) -> list[Drawn]:
    """The first queries of the first episode, as each network predicts them after all of its steps.

    Args:
        networks: by name, what is measured and its state.
        test: draws the few-shot episode.
    """
    found: list[Drawn] = []
    coordinates = test.config.coordinates
    for name, (curve, state) in networks.items():
        answers, episode = _answers(curve, state, test)
        past, future = coordinates.positions(episode.query.inputs, episode.query.labels)
        made = np.asarray(coordinates.positions(episode.query.inputs, answers)[1])
        if not found:
            seen = zip(np.asarray(past[:DRAWN]), np.asarray(future[:DRAWN]), strict=True)
            found = [Drawn(one, true, {}) for one, true in seen]
        found = [replace(user, predicted={**user.predicted, name: one}) for user, one in zip(found, made, strict=False)]
    return found


def _answers(curve: StepCurve, state: Any, test: TracksTask) -> tuple[Array, FewShotEpisode]:
    """What is answered for the queries of the first episode after all steps, and that episode."""

    @jax.jit
    def answered(state: Any) -> tuple[Array, FewShotEpisode]:
        key, _ = jax.random.split(jax.random.key(EVALUATION_SEED))
        episodes = draw(test, key, jnp.zeros((), jnp.int32), jnp.arange(1))
        episode = jax.tree.map(lambda leaf: leaf[0], episodes)
        return curve.answers(state, episode.support, episode.query.inputs, key)[-1], episode

    return answered(state)


__all__ = ["drawn", "measured", "measured_constant", "users"]
