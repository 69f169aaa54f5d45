"""Figure 6: log likelihood of each sample, functions of two or three numbers, beside the GP oracle (section 4.3)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...baselines.gp_oracle import GPOracle
from ...configs.run import Trained
from ...metrics import LOG_LIKELIHOOD, Axis
from ...plotting import streams as stream_plots
from ...plotting.style import save
from ...results.measure import AT_ONCE
from ...results.row import ResultRow
from ...tasks.gaussian_process import GaussianProcessConfig
from ...training.evaluate import evaluate_all
from ..base import Budget, Experiment, Watch
from .regression import process, run_regression
from .settings import test_episodes

NAME = "mann/figure6"


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains both networks on functions of two and of three numbers, and draws their likelihoods along a stream."""
    results, panels = [], {}
    for dimensions in (2, 3):
        found, networks = run_regression(NAME, dimensions, out, budget, resume=resume, watch=watch)
        results += found
        panels[f"{dimensions} dimensions"] = likelihoods(networks, process(dimensions, budget), test_episodes(budget))
    save(stream_plots.likelihoods(panels), out / "figures" / "likelihood.png")
    return results


def likelihoods(
    networks: dict[str, Trained], task: GaussianProcessConfig, episodes: int
) -> dict[str, Float[np.ndarray, " time"]]:
    """Mean log likelihood at each step of the test streams."""
    every = LOG_LIKELIHOOD.along(Axis("seen", tuple(range(task.length))))
    spec = replace(task.spec, metrics=(every,))
    test = task.build().test
    learners = {"GP oracle": (GPOracle(task, (every,)), None)}
    names = {"mann": "MANN", "lstm": "LSTM"}
    learners |= {names[cell]: (replace(each.learner, spec=spec), each.states) for cell, each in networks.items()}
    found = {
        name: evaluate_all(learner, states, test, episodes=episodes, batch=AT_ONCE)[every.key]
        for name, (learner, states) in learners.items()
    }
    return {name: np.mean(figure.total / figure.count, axis=(0, 1)) for name, figure in found.items()}


EXPERIMENT = Experiment(
    name=NAME,
    summary="Regression: log likelihood per sample in two and three dimensions, MANN and LSTM beside the GP oracle",
    expected={"smoke": "2 minutes", "laptop": "35 minutes", "paper": "8 hours"},
    run=run,
)
