"""Figure 4: a curriculum up to twenty-five classes, tested on fifty to a hundred (mann section 4.2.2).

Training starts with 15 classes and has one more after each tenth of it, the paper's every 10,000 episodes of 100,000;
the 25th would come with the update after the last.
Labels are strings; an episode has ten steps for each of its classes.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...configs.presets import sharp
from ...plotting import streams as stream_plots
from ...plotting.style import save
from ...results.figures import instance_curves
from ...results.measure import measure
from ...results.row import ResultRow
from ...results.streams import on_streams
from ...results.tables import ordinal
from ...tasks.omniglot_stream import PER_CLASS, OmniglotStreamConfig
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_row, trained_before
from .settings import AS_MANY, network, test_episodes

NAME = "mann/figure4"
FIRST, LAST = 15, 25
TESTED = tuple(range(50, 101, 5))
DRAWN = (1, 2, 5, 10)
"""Instances whose accuracy is drawn."""


def row(budget: Budget) -> Row:
    """The training."""
    first, last = (2, 4) if budget == "smoke" else (FIRST, LAST)
    task = OmniglotStreamConfig(classes=last, length=PER_CLASS * last, labels="strings", start=first)
    config = sharp(network(task, budget, AS_MANY))
    task = replace(task, grow_every=max(1, config.training.steps // (last - first)))
    return Row(f"{last} classes", "mann", replace(config, task=task))


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains with more and more classes, tests with many more, and draws both."""
    planned = row(budget)
    episodes = test_episodes(budget)
    results, trained = run_row(NAME, planned, out, resume=resume, watch=watch, episodes=episodes)
    trained = trained_before(out / planned.folder) if trained is None else trained
    tested = TESTED[:2] if budget == "smoke" else TESTED
    few = 2 if budget == "smoke" else 200
    streams = {n: on_streams(trained, n, PER_CLASS * n) for n in tested}
    many = {n: measure(on, experiment=NAME, row=f"{n} classes", episodes=few) for n, on in streams.items()}
    for found in many.values():
        results = [*results, *found]
    _draw(out, planned.folder, many)
    return results


def _draw(out: Path, folder: str, many: dict[int, list[ResultRow]]) -> None:
    training = stream_plots.over_training({"training": instance_curves(out / folder / "metrics.jsonl")}, columns=1)
    save(training, out / "figures" / "training.png")
    value = lambda results, k: next((r.value for r in results if r.axis == {"instance": k}), np.nan)
    shares = {f"{ordinal(k)} instance": np.array([value(results, k) for results in many.values()]) for k in DRAWN}
    save(stream_plots.by_classes(np.array(list(many)), shares), out / "figures" / "classes.png")


EXPERIMENT = Experiment(
    name=NAME,
    summary="Curriculum from 15 to 25 classes with string labels, tested on 50 to 100 classes",
    expected={"smoke": "2 minutes", "laptop": "35 minutes", "paper": "10 hours"},
    run=run,
)
