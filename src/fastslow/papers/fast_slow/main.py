"""The main job: learn new characters from one example, by memory and synthetic gradients, and by each alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...baselines.pixel_neighbours import PixelNeighbours
from ...configs.config import Config
from ...configs.json import to_json
from ...configs.presets import GLYPHS, SMOKE
from ...learners.fast_slow import FastSlowConfig
from ...models.any_way import AnyWayConfig
from ...models.conv import ConvConfig
from ...results.figures import draw_figures
from ...results.measure import measure_baseline
from ...results.row import ResultRow, write_rows
from ...tasks.base import TaskSplits
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_row, trained_before

NAME = "fast-slow/main"
BOTH, MEMORY, STEPS = "NMN + SG: memory and inner steps", "the same, memory alone", "the same, inner steps alone"
PIXELS = "pixel nearest neighbour"
PARTS = ("memory-alone", "steps-alone")
"""Folders of the networks beside the one that has both."""


def pixel_rows(config: Config, tasks: TaskSplits, *, experiment: str, episodes: int) -> list[ResultRow]:
    """Nearest neighbour on raw pixels, on the episodes that the networks are measured on.

    Nothing where these are no few-shot episodes of classes.
    """
    spec = config.task.spec
    if spec.episode != "few-shot" or spec.chance is None:
        return []
    return measure_baseline(
        PixelNeighbours(way=spec.label),
        tasks,
        experiment=experiment,
        row=PIXELS,
        chance=spec.chance,
        config={"task": to_json(config.task)},
        episodes=episodes,
    )


def parts(config: Config) -> list[Row]:
    """A network with a memory and inner steps, and two that have one of them alone."""
    model: Any = config.model
    memory = replace(config, learner=replace(config.learner, steps=0))
    steps = replace(config, model=replace(model, slots=0))
    return [Row(BOTH, ".", config), Row(MEMORY, PARTS[0], memory), Row(STEPS, PARTS[1], steps)]


def run_main(
    out: Path, config: Config, *, resume: bool, watch: Watch, episodes: int = 600, grow: bool = False
) -> list[ResultRow]:
    """Trains a network and the two that have a part of it, measures them and the pixels, draws the figures.

    Args:
        out: run folder of the network with both parts; the others' lie in it.
        config: the network's run; the others differ from it in what they lack.
        resume: whether to continue with what is in `out`.
        watch: called with the row's name and each report.
        episodes: test episodes of each seed.
        grow: whether the trainings may become longer than they were planned.
    """
    trained, measured = None, []
    for row in parts(config):
        found, done = run_row(NAME, row, out, resume=resume, watch=watch, episodes=episodes, grow=grow)
        measured.append(found[0])
        trained = done if row.folder == "." else trained
    if trained is None:  # finished at an earlier start, which may have ended before its figures
        trained = trained_before(out)
    results = [*measured, *pixel_rows(config, trained.tasks, experiment=NAME, episodes=episodes)]
    draw_figures(trained, out / "figures", {row.row: row.value for row in results[1:]})
    write_rows(out / "result.json", results)
    return results


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """The main job at a budget; the paper has no such experiment, so `paper` is the laptop's with three seeds."""
    if budget == "smoke":
        return run_main(out, tiny(), resume=resume, watch=watch, episodes=20)
    seeds = 3 if budget == "paper" else 1
    config = replace(GLYPHS, training=replace(GLYPHS.training, seeds=seeds))
    return run_main(out, config, resume=resume, watch=watch)


def tiny() -> Config:
    """A few updates of a tiny network."""
    model = AnyWayConfig(ConvConfig(features=8, channels=4), width=8, slots=5)
    return replace(SMOKE, model=model, learner=FastSlowConfig(steps=1, hidden=8))


EXPERIMENT = Experiment(
    name=NAME,
    summary="The main job: NMN + SG on generated characters, beside memory alone, inner steps alone, and pixels",
    expected={"smoke": "1 minute", "laptop": "2 minutes", "paper": "6 minutes"},
    run=run,
)
