"""Figure 5: a function of one number after twenty samples, as the network and the GP oracle see it (section 4.3).

The function is that of the first test stream, drawn as the GP oracle has it once all hundred samples are known,
which leave next to nothing of it open.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from ...configs.run import Trained
from ...plotting import streams as stream_plots
from ...plotting.streams import Belief
from ...plotting.style import save
from ...results.row import ResultRow
from ...tasks.base import SequenceEpisode
from ...tasks.gaussian_process import GaussianProcessConfig, posterior
from ...tasks.targets import Gaussian
from ...training.evaluate import EVALUATION_SEED
from ...training.state import draw, one_seed
from ..base import Budget, Experiment, Watch
from .regression import process, run_regression

NAME = "mann/figure5"
SEEN = 20
PLACES = 201


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains both networks, measures them, and draws one function as they see it."""
    results, networks = run_regression(NAME, 1, out, budget, resume=resume, watch=watch)
    save(one_function(networks, process(1, budget), 4 if budget == "smoke" else SEEN), out / "figures" / "function.png")
    return results


def one_function(networks: dict[str, Trained], task: GaussianProcessConfig, seen: int) -> Figure:
    """One function after some samples."""
    key, _ = jax.random.split(jax.random.key(EVALUATION_SEED))
    episodes = draw(task.build().test, key, jnp.zeros((), jnp.int32), jnp.arange(1))
    episode = jax.tree.map(lambda leaf: leaf[0], episodes)
    places = jnp.linspace(-task.reach, task.reach, PLACES)[:, None]
    # so many samples leave next to nothing of the function open
    function, _ = posterior(task, episode.inputs.x, episode.targets[:, 0], places)
    shown = jax.tree.map(lambda leaf: leaf[:seen], episode)
    names = {"mann": "MANN", "lstm": "LSTM"}
    beliefs = {names[cell]: belief(trained, shown, places) for cell, trained in networks.items()}
    beliefs["GP oracle"] = oracle_belief(task, shown, places)
    points = (np.asarray(shown.inputs.x[:, 0]), np.asarray(shown.targets[:, 0]))
    return stream_plots.regression(np.asarray(places[:, 0]), np.asarray(function), points, beliefs)


def belief(trained: Trained, shown: SequenceEpisode, places: jax.Array) -> Belief:
    """What a network says of places, each as if it came next."""
    learner: Any = trained.learner
    state = one_seed(trained.states, 0)
    streamed = jax.jit(lambda: learner.observe(learner.start(state), shown.inputs.x, shown.targets))()
    outputs = jax.jit(lambda streamed: learner.answer(streamed, places))(streamed)
    return Belief(np.asarray(outputs[:, 0]), np.asarray(jax.vmap(Gaussian().deviation)(outputs)))


def oracle_belief(task: GaussianProcessConfig, shown: SequenceEpisode, places: jax.Array) -> Belief:
    """What the oracle says of them."""
    mean, deviation = posterior(task, shown.inputs.x, shown.targets[:, 0], places)
    return Belief(np.asarray(mean), np.asarray(deviation))


EXPERIMENT = Experiment(
    name=NAME,
    summary="Regression: a function of one number after 20 samples, as MANN, LSTM and the GP oracle see it",
    expected={"smoke": "1 minute", "laptop": "15 minutes", "paper": "4 hours"},
    run=run,
)
