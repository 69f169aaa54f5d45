"""Figures 4 and 5 on the Stanford Drone Dataset: bikers first, then pedestrians, in metres (fast-slow section 5.2)."""

from pathlib import Path

from ...results.row import ResultRow
from ...tasks.tracks import TracksConfig
from ..base import Budget, Experiment, Watch
from .trajectories import run_on

NAME = "fast-slow/trajectories-stanford"
STANFORD = TracksConfig(source="stanford-drone")


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows of `fast-slow/trajectories`, and draws both figures."""
    return run_on(NAME, STANFORD, out, budget, resume=resume, watch=watch)


EXPERIMENT = Experiment(
    name=NAME,
    summary="Figures 4 and 5 on the Stanford Drone Dataset: bikers first, then pedestrians from ten tracks",
    expected={"smoke": "5 minutes", "laptop": "2 hours", "paper": "20 hours"},
    run=run,
)
