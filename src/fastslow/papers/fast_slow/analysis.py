"""What synthetic gradients are, and what each of their settings is worth: the network of `fast-slow/regimes`.

Norms of true and synthetic gradients at each controller and the cosine between them, measured on validation classes
while the network is trained; then, at equal updates, the predictors one by one and together, α, reach, and the number
of inner steps; then the time of an update in each regime, in turn in one process.

In this network every item starts from the initial memory and a query is read from it, so that nothing depends on what
is written: the true gradient at the write controller is zero, and so is the effect of its predictor. A network whose
support set is streamed through the memory has rows of its own, with its three predictors one by one and in pairs.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ...configs.config import Config
from ...learners.taught import KINDS, gradient_name
from ...plotting.analysis import Met, over_training
from ...plotting.style import save
from ...results.figures import read_curve
from ...results.measure import one_number
from ...results.row import ResultRow
from ...training.parallel import copy_to, episode_mesh
from ...training.state import initial_state
from ...training.update import compile_update
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows
from .regimes import network, with_regime

NAME = "fast-slow/analysis"
CONTROLLERS = ("input", "output", "write")
PREDICTED = ("input", "output")
"""What the loss depends on; both together are the row that names none."""
TRUE, BOTH, META = "true", "both, local", "meta"
STREAMED = f"{BOTH}, streamed"
TAUGHT = (BOTH, "both, through", "synthetic, local", META)
DRAWN, TIMED = (*TAUGHT, STREAMED), (TRUE, *TAUGHT)
SMOKE_ROWS = (f"{META}: predictors input", f"{META}: α 50", f"{META}: inner steps 1")
ROUNDS, UPDATES = 5, 10
"""Of the timing: in each round every regime makes so many updates."""


def rows(budget: Budget) -> list[Row]:
    """The rows of the table."""
    base = network(budget)
    training = base.training
    if budget == "laptop":
        training = replace(training, steps=500, validate_every=0, validate_at=(10, 25, 50, 100, 200, 300, 400, 500))
    base = replace(base, training=training, learner=replace(base.learner, gradients=True))
    regimes = {
        TRUE: with_regime(base, "true"),
        BOTH: with_regime(base, "both"),
        "both, through": with_regime(base, "both", "through"),
        "synthetic, local": with_regime(base, "synthetic"),
        "synthetic, through": with_regime(base, "synthetic", "through"),
        META: base,
    }
    streamed = {name: streaming(regimes[name.partition(", streamed")[0]]) for name in (f"{TRUE}, streamed", STREAMED)}
    found = {**regimes, **streamed}
    for some in (*combinations(CONTROLLERS, 1), *combinations(CONTROLLERS, 2)):
        found[f"{STREAMED}: predictors {' and '.join(some)}"] = with_feedback(streamed[STREAMED], only=some)
    for name in (BOTH, META):
        for controller in PREDICTED:
            found[f"{name}: predictors {controller}"] = with_feedback(regimes[name], only=(controller,))
        for alpha in (0.1, 10.0) if name == BOTH else (0.5, 50.0):
            found[f"{name}: α {alpha:g}"] = with_feedback(regimes[name], alpha=alpha)
    for name in (TRUE, BOTH, META):
        for steps in (1, 2, 10):
            learner = replace(regimes[name].learner, steps=steps)
            found[f"{name}: inner steps {steps}"] = replace(regimes[name], learner=learner)
    if budget == "smoke":  # one of each kind
        found = {name: config for name, config in found.items() if name in (*regimes, STREAMED, *SMOKE_ROWS)}
    return [Row(name, folder_of(name), config) for name, config in found.items()]


def streaming(config: Config) -> Config:
    """The same training with support sets that are streamed through the memory, from which queries are read."""
    return replace(config, learner=replace(config.learner, support_order="stream", query_memory="post-support"))


def with_feedback(config: Config, **changes: Any) -> Config:
    """The same training with other settings of its feedback."""
    learner = config.learner
    return replace(config, learner=replace(learner, feedback=replace(learner.feedback, **changes)))


def folder_of(name: str) -> str:
    """A row's folder."""
    return name.replace("α", "alpha").replace(":", "").replace(",", "").replace(" ", "-")


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows, draws the gradients and times the regimes."""
    planned = rows(budget)
    results = run_rows(NAME, planned, out, resume=resume, watch=watch, episodes=20 if budget == "smoke" else 1000)
    met = {name: gradients_met(out / folder_of(name) / "metrics.jsonl") for name in DRAWN}
    save(over_training(met), out / "figures" / "gradients.png")
    first = {row.row: row for row in reversed(results)}
    results += [each for name in DRAWN for each in gradient_rows(first[name], met[name])]
    times = update_times({row.name: row.config for row in planned if row.name in TIMED})
    return results + [time_row(first[name], found) for name, found in times.items()]


def gradients_met(metrics: Path) -> Met:
    """For each controller, the curves of a run's validations: both norms and the cosine."""
    true, synthetic, agreement = (
        {name: read_curve(metrics, f"validation_{gradient_name(kind, name)}") for name in CONTROLLERS} for kind in KINDS
    )
    return {name: (true[name], synthetic[name], agreement[name]) for name in CONTROLLERS}


def gradient_rows(row: ResultRow, met: Met) -> list[ResultRow]:
    """At the end of training, at each controller: the cosine, and the synthetic gradient's norm over the true one's."""
    found = []
    for name, (true, synthetic, agreement) in met.items():
        last = true.values[-1]
        known = np.nan_to_num(last) > 0  # a seed that diverged has none, and nothing depends on some controllers
        if known.sum() < 2:
            continue
        ratio = synthetic.values[-1, known] / last[known]
        for metric, values in (("cosine", agreement.values[-1, known]), ("ratio of norms", ratio)):
            found.append(replace(one_number(row, metric, "1", values), axis={"controller": name}))
    return found


def time_row(row: ResultRow, found: np.ndarray) -> ResultRow:
    """The time of an update of one seed, from the medians of some rounds."""
    timed = one_number(row, "time of an update", "ms", found)
    digest = {**row.params_digest, "values": list(row.params_digest["values"])[:1]}
    return replace(timed, seeds=row.seeds[:1], episodes=len(found) * UPDATES, params_digest=digest)


def update_times(configs: Mapping[str, Config]) -> dict[str, np.ndarray]:
    """Milliseconds of an update of one seed of each training, the median of each round."""
    updates = {name: updating(config) for name, config in configs.items()}
    found: dict[str, list[float]] = {name: [] for name in updates}
    for _ in range(ROUNDS):
        for name, update in updates.items():
            found[name].append(statistics.median(milliseconds(update) for _ in range(UPDATES)))
    return {name: np.array(each) for name, each in found.items()}


def updating(config: Config) -> Callable[[], object]:
    """What makes an update of a training of one seed, compiled."""
    config = replace(config, training=replace(config.training, seeds=1))
    learner, task = config.build(), config.task.build().train
    mesh, _ = episode_mesh(config.training.batch)
    update = compile_update(learner, task, config.training, mesh)
    state = copy_to(initial_state(learner, task, config.training), mesh)

    def once() -> None:
        nonlocal state
        state, losses = update(state)
        losses.block_until_ready()

    once()
    return once


def milliseconds(update: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    update()
    return 1000 * (time.perf_counter() - start)


EXPERIMENT = Experiment(
    name=NAME,
    summary="Synthetic gradients beside true ones at each controller; each predictor, α, reach, inner steps; cost",
    expected={"smoke": "10 minutes", "laptop": "2 hours", "paper": "3 weeks"},
    run=run,
)
