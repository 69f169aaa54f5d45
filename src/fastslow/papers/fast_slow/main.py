"""The main job: learn new characters from one example, with synthetic gradients, without them, and by pixels alone."""

from dataclasses import replace
from pathlib import Path

from ...baselines.pixel_neighbours import PixelNeighbours
from ...configs.config import Config
from ...configs.json import to_json
from ...configs.presets import GLYPHS, SMOKE
from ...results.figures import draw_figures
from ...results.measure import measure_baseline
from ...results.row import ResultRow, write_rows
from ...tasks.base import TaskSplits
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_row, trained_before
from .regimes import with_regime

NAME = "fast-slow/main"
FAST, SLOW, PIXELS = "NMN + SG, regime meta", "the same network, regime true", "pixel nearest neighbour"


def pixel_row(config: Config, tasks: TaskSplits, *, experiment: str, episodes: int) -> ResultRow:
    """Nearest neighbour on raw pixels, on the episodes that the networks are measured on."""
    spec = config.task.spec
    (found,) = measure_baseline(
        PixelNeighbours(way=spec.label),
        tasks,
        experiment=experiment,
        row=PIXELS,
        chance=spec.chance,
        config={"task": to_json(config.task)},
        episodes=episodes,
    )
    return found


def run_main(
    out: Path, config: Config, *, resume: bool, watch: Watch, episodes: int = 600, grow: bool = False
) -> list[ResultRow]:
    """Trains a network and its baseline, measures both and the pixels, draws the figures.

    Args:
        out: run folder of the network with synthetic gradients; the baseline's lies in it as `baseline`.
        config: the network's run; the baseline differs from it in its regime alone.
        resume: whether to continue with what is in `out`.
        watch: called with the row's name and each report.
        episodes: test episodes of each seed.
        grow: whether the trainings may become longer than they were planned.
    """
    name = FAST if config.learner.facts.get("regime") == "meta" else config.describe()
    rows = Row(name, ".", config), Row(SLOW, "baseline", with_regime(config, "true"))
    (fast, trained), (slow, _) = (
        run_row(NAME, row, out, resume=resume, watch=watch, episodes=episodes, grow=grow) for row in rows
    )
    if trained is None:  # finished at an earlier start, which may have ended before its figures
        trained = trained_before(out)
    pixels = pixel_row(config, trained.tasks, experiment=NAME, episodes=episodes)
    results = [*fast, *slow, pixels]
    draw_figures(trained, out / "figures", {SLOW: slow[0].value, PIXELS: pixels.value})
    write_rows(out / "result.json", results)
    return results


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """The main job at a budget; the paper has no such experiment, so `paper` is the laptop's with three seeds."""
    if budget == "smoke":
        return run_main(out, SMOKE, resume=resume, watch=watch, episodes=20)
    seeds = 3 if budget == "paper" else 1
    config = replace(GLYPHS, training=replace(GLYPHS.training, seeds=seeds))
    return run_main(out, config, resume=resume, watch=watch)


EXPERIMENT = Experiment(
    name=NAME,
    summary="The main job: NMN + SG on generated characters, beside regime true and pixel nearest neighbour",
    expected={"smoke": "3 minutes", "laptop": "4 minutes", "paper": "12 minutes"},
    run=run,
)
