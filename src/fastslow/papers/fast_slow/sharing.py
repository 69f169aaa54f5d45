"""Figures 8 and 9: two networks, cyclists in all updates, pedestrians in each 100th, and one set of predictors or two.

The paper's claim is that a second network learns faster where its synthetic gradients come from predictors that another
network's stream has trained. It gives no α; rows that name none have that of Figure 4. Nothing else differs between the
rows, and both networks of a row start alike in all of them. Errors are of tracks that training never shows, right after
each update with pedestrians.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from ...configs.config import Config
from ...configs.run import Trained
from ...learners.pair import PREDICTORS, PairConfig
from ...learners.step_curve import StepCurve
from ...metrics import Axis
from ...optim.config import AdamConfig
from ...optim.schedules import ConstantConfig
from ...plotting.paths import Drawn, errors, paths
from ...plotting.style import save
from ...results.figures import read_curve
from ...results.measure import series_of
from ...results.row import ResultRow
from ...synthetic.regimes import FeedbackConfig
from ...tasks.tracks_in_turn import TracksInTurnConfig
from ...training.config import TrainingConfig
from ...training.metrics import read_metrics
from ...training.state import one_seed
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_row, trained_before
from .path_figures import users
from .trajectories import MEMORY, SYNTHETIC

NAME = "fast-slow/sharing"
VRU = TracksInTurnConfig()
ROWS = {
    "shared predictors": PairConfig(SYNTHETIC, "shared"),
    "separate predictors": PairConfig(SYNTHETIC, "separate"),
    "no synthetic gradients": PairConfig(FeedbackConfig("true"), "separate"),
    **{
        f"{predictors} predictors, α {alpha:g}": PairConfig(replace(SYNTHETIC, alpha=alpha), predictors)
        for alpha in (0.1, 1.0)
        for predictors in PREDICTORS
    },
}


def rows(budget: Budget, data: TracksInTurnConfig = VRU) -> list[Row]:
    """The pairs of networks that are trained."""
    task = replace(data, every=2) if budget == "smoke" else data
    turns = {"smoke": 2, "laptop": 40, "paper": 400}[budget]
    steps = turns * task.every
    training = TrainingConfig(
        steps=steps,
        batch=1,
        seeds=1 if budget == "smoke" else 5,
        log_every=task.every,
        validate_every=task.every,
        validation_episodes=4 if budget == "smoke" else 40,
        select="last",
        checkpoint_every=min(steps, 500),
    )
    optimizer = AdamConfig(learning_rate=1e-3, schedule=ConstantConfig())
    return [
        Row(name, name.replace(", α", "").replace(" ", "-"), Config(task, MEMORY, learner, optimizer, training))
        for name, learner in ROWS.items()
    ]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows on VRU, and draws the curves of both networks."""
    return run_on(VRU, out, budget, resume=resume, watch=watch)


def run_on(data: TracksInTurnConfig, out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """The experiment on the tracks of a data set."""
    results, panels = [], {f"{agent}s": {} for agent in (data.learned, data.tested)}
    names = {title: f"validation_MSE, agent {title.removesuffix('s')}" for title in panels}
    planned = rows(budget, data)
    for row in planned:
        episodes = 4 if budget == "smoke" else 100
        found, _ = run_row(NAME, row, out, resume=resume, watch=watch, episodes=episodes)
        file = out / row.folder / "metrics.jsonl"
        series = series_of(read_metrics(file), tuple(names.values()))
        results += [replace(each, series=series if number == 0 else None) for number, each in enumerate(found)]
        for title, name in names.items():
            panels[title][row.name] = read_curve(file, name)
    save(errors(panels, f"{data.unit}²", "updates"), out / "figures" / "errors.png")
    trained = {row.name: trained_before(out / row.folder) for row in planned}
    save(paths(predicted(trained), data.unit, tuple(panels)), out / "figures" / "paths.png")
    return results


def predicted(trained: Mapping[str, Trained]) -> list[list[Drawn]]:
    """Paths of some road users of each kind, as the network of their kind predicts them: of each row the first seed."""
    both: Any = next(iter(trained.values())).tasks.test
    found = []
    for network, test in enumerate((both.first, both.second)):
        answering = {}
        for name, done in trained.items():
            pair: Any = done.learner
            state = jax.tree.map(lambda leaf, n=network: leaf[n], one_seed(done.states, 0))
            answering[name] = (StepCurve(pair.one, test.config.target, 0, Axis("motion", test.names)), state)
        few = replace(test, config=replace(test.config, episode="few-shot"))
        found.append(users(answering, few))
    return found


EXPERIMENT = Experiment(
    name=NAME,
    summary="Figures 8 and 9: a second network on rare pedestrians, with the predictors of the first, its own, or none",
    expected={"smoke": "2 minutes", "laptop": "30 minutes", "paper": "5 hours"},
    run=run,
)
