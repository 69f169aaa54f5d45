"""Figure 6: log likelihood of each sample, functions of two or three numbers, beside the true process (section 4.3)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...baselines.gp_oracle import TrueProcess
from ...configs.streams import StreamConfig
from ...learners.base import AbstractLearner, LearnerState
from ...plotting import figures as plots
from ...plotting import streams as stream_plots
from ...results.pipeline import AT_ONCE, Trained
from ...results.row import ResultRow
from ...tasks.gaussian_process import GaussianProcessConfig, gaussian_process_tasks
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
    plots.save(stream_plots.likelihoods(panels), out / "figures" / "likelihood.png")
    return results


def likelihoods(
    networks: dict[str, Trained[StreamConfig]], task: GaussianProcessConfig, episodes: int
) -> dict[str, Float[np.ndarray, " time"]]:
    """Mean log likelihood at each step of the test streams."""
    test, truth = gaussian_process_tasks(task).test, TrueProcess(task)
    empty = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], truth.init(key=jax.random.key(0)))
    learners: dict[str, tuple[AbstractLearner, LearnerState]] = {"true process": (truth, empty)}
    names = {"mann": "MANN", "lstm": "LSTM"}
    learners |= {names[cell]: (trained.learner, trained.states) for cell, trained in networks.items()}
    found = {
        name: evaluate_all(learner, states, test, episodes=episodes, batch=AT_ONCE)["surprise"]
        for name, (learner, states) in learners.items()
    }
    return {name: -surprise.mean(axis=(0, 1)) for name, surprise in found.items()}


EXPERIMENT = Experiment(
    name=NAME,
    summary="Regression: log likelihood per sample in two and three dimensions, MANN and LSTM beside the true process",
    expected={"smoke": "2 minutes", "laptop": "35 minutes", "paper": "8 hours"},
    run=run,
)
