"""Figures 4 and 5: networks that learned to predict cyclists learn pedestrians from ten tracks (fast-slow section 5.2).

Rows as printed have the paper's optimizer, updates and coordinates of the scene. A hundred steps of 1e-5 move no weight
by more than 0.001, so that there the initialisation decides. All other rows are trained until the error on held-out
cyclists has stopped falling, and the parameters with the least of it are kept. These predict how a path departs from
its constant velocity, so that they begin as good as that.

Settled: an update has thirty tracks, in sequence; what is not learned from episodes takes further updates of its own
as gradient steps; the output layer is linear, as a ReLU cannot give negative coordinates, and gives all fifty frames.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...baselines.constant_motion import ConstantMotion
from ...cells.feedforward import FeedForwardConfig
from ...cells.nmn import NMNConfig
from ...configs.config import Config
from ...learners.base import AbstractLearnerConfig
from ...learners.fine_tune import FineTuneConfig
from ...learners.maml import MAMLConfig
from ...learners.maml_plus_plus import MAMLPlusPlusConfig
from ...learners.metanet import MetaNetConfig
from ...learners.online import OnlineConfig
from ...memory.slots import SoftSlotsConfig
from ...models.augmented_paths import AugmentedPathsConfig
from ...models.base import AbstractModelConfig
from ...models.lstm import LSTMEmbeddingConfig
from ...models.network import NetworkConfig
from ...models.path_predictor import PathPredictorConfig
from ...optim.config import AdamConfig
from ...optim.schedules import ConstantConfig
from ...results.row import ResultRow
from ...synthetic.regimes import FeedbackConfig
from ...tasks.tracks import TracksConfig
from ...training.config import TrainingConfig
from ..base import Budget, Experiment, Watch
from ..rows import Row, trained_before
from .path_figures import drawn, measured, measured_constant

NAME = "fast-slow/trajectories"
NMN_SG, NMN = "NMN + SG", "NMN"
CONSTANT = {"constant position": False, "constant velocity": True}
SYNTHETIC = FeedbackConfig("both", alpha=0.01, predictor="lstm", regression=1.0)
MEMORY = NetworkConfig(LSTMEmbeddingConfig(30), NMNConfig(30, SoftSlotsConfig(slots=10)))
PLAIN = NetworkConfig(LSTMEmbeddingConfig(30), FeedForwardConfig(30))
PRINTED = {"origin": "scene", "turned": False}
VRU = TracksConfig()
SCALES = {"vru": 80.0, "stanford-drone": 100.0}
"""Metres that are one unit in the coordinates of the scene, such that x and y lie in [−0.5, 0.5]."""


def config_of(budget: Budget, task: TracksConfig, model: AbstractModelConfig, learner: AbstractLearnerConfig) -> Config:
    """A training until the error on held-out cyclists has stopped falling."""
    steps = {"smoke": 4, "laptop": 2_000, "paper": 20_000}[budget]
    training = TrainingConfig(
        steps=steps,
        batch=1 if task.episode == "sequence" else 4,
        seeds=1 if budget == "smoke" else 5,
        log_every=min(steps, 50),
        validate_every=min(steps, 50),
        validation_episodes=4 if budget == "smoke" else 40,
        checkpoint_every=min(steps, 500),
    )
    return Config(task, model, learner, AdamConfig(learning_rate=1e-3), training)


def as_printed(config: Config) -> Config:
    """The same with the paper's updates, optimizer and coordinates."""
    training = replace(config.training, steps=min(config.training.steps, 100), select="last", validate_every=0)
    optimizer = AdamConfig(learning_rate=1e-5, schedule=ConstantConfig())
    task: Any = config.task
    scene = replace(task, **PRINTED, scale=SCALES.get(task.source, task.scale))
    return replace(config, task=scene, optimizer=optimizer, training=training)


def rows(budget: Budget, data: TracksConfig = VRU) -> list[Row]:
    """The networks that are trained, on the tracks of a data set."""
    sequence = replace(data, episode="sequence", groups="any")
    plain = lambda model, learner: config_of(budget, sequence, model, learner)
    few = lambda model, learner: config_of(budget, data, model, learner)
    sg, without = plain(MEMORY, OnlineConfig(SYNTHETIC)), plain(MEMORY, OnlineConfig())
    inner = {"steps": 5, "rate": 0.05, "statistics": "support"}
    return [
        Row(NMN_SG, "nmn-sg", sg),
        Row(NMN, "nmn", without),
        Row(f"{NMN_SG}, as printed", "nmn-sg-printed", as_printed(sg)),
        Row(f"{NMN}, as printed", "nmn-printed", as_printed(without)),
        Row(f"{NMN_SG}, learned through", "nmn-sg-meta", few(MEMORY, FineTuneConfig(rate=0.05))),
        Row(f"{NMN}, learned through", "nmn-meta", few(MEMORY, FineTuneConfig(FeedbackConfig("true"), rate=0.05))),
        Row("supervised predictor", "supervised", plain(PathPredictorConfig(30), OnlineConfig())),
        Row("MAML", "maml", few(PLAIN, MAMLConfig(**inner))),
        Row("MAML++", "maml-plus-plus", few(PLAIN, MAMLPlusPlusConfig(**inner))),
        Row("MetaNet", "metanet", few(AugmentedPathsConfig(), MetaNetConfig())),
    ]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows on VRU, and draws both figures."""
    return run_on(NAME, VRU, out, budget, resume=resume, watch=watch)


def run_on(name: str, data: TracksConfig, out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """The experiment on the tracks of a data set."""
    episodes = 4 if budget == "smoke" else 100
    planned = rows(budget, data)
    results = []
    for label, moves in CONSTANT.items():
        results += measured_constant(name, label, ConstantMotion(data, moves), episodes)
    for row in planned:
        results += measured(name, row, out / row.folder, episodes, resume=resume, watch=watch)
    drawn(results, {row.name: trained_before(out / row.folder) for row in planned}, tuple(CONSTANT), out / "figures")
    return results


EXPERIMENT = Experiment(
    name=NAME,
    summary="Figures 4 and 5: cyclists first, then pedestrians from ten tracks; NMN + SG and its rivals, on VRU",
    expected={"smoke": "5 minutes", "laptop": "2 hours", "paper": "20 hours"},
    run=run,
)
