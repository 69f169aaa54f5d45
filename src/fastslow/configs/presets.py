"""Named configurations of single trainings: what `fastslow train PRESET` trains."""

from dataclasses import dataclass, replace
from typing import Any

from .._checks import bad
from ..cells.lstm import LSTMConfig
from ..cells.mann import MANNConfig
from ..cells.nmn import NMNConfig
from ..learners.fast_slow import FastSlowConfig
from ..learners.fine_tune import FineTuneConfig
from ..learners.maml_plus_plus import MAMLPlusPlusConfig
from ..learners.metanet import MetaNetConfig
from ..learners.supervised import SupervisedConfig
from ..memory.least_used import LeastUsedConfig
from ..memory.slots import SoftSlotsConfig
from ..models.any_way import AnyWayConfig
from ..models.augmented import AugmentedConfig
from ..models.classifier import ClassifierConfig
from ..models.conv import ConvConfig
from ..models.flatten import FlattenConfig
from ..models.network import NetworkConfig
from ..optim.config import AdamConfig, MuonConfig, RMSPropConfig
from ..optim.schedules import ConstantConfig
from ..synthetic.regimes import FeedbackConfig
from ..tasks.base import AbstractTaskConfig
from ..tasks.gaussian_process import GaussianProcessConfig
from ..tasks.glyphs import GlyphsConfig
from ..tasks.omniglot import OmniglotConfig
from ..tasks.omniglot_stream import OmniglotStreamConfig
from ..tasks.tracks import TracksConfig
from ..training.config import TrainingConfig
from .config import Config


@dataclass(frozen=True)
class Preset:
    """A configuration with what a user wants to know before starting it.

    Attributes:
        config: what it trains.
        summary: the same in words.
        expected: time on two CPU cores, all its trainings together.
    """

    config: Config
    summary: str
    expected: str


META = FeedbackConfig(regime="meta", alpha=5.0)
"""Inner steps along meta-learned synthetic gradients. Their scale is the predictors' to choose; a larger α lets them
start with larger steps."""
SMALL = TrainingConfig(steps=4, batch=2, log_every=2, validate_every=4, validation_episodes=4, checkpoint_every=2)
"""A few updates, to see that everything works."""


def omniglot(way: int, shot: int, *, batch: int, queries: int, steps: int, warp: float = 1.0) -> Config:
    """NMN with synthetic gradients, regime meta, on Omniglot's 1,200 training characters.

    Training drawings are changed a little at random, which the paper does not do: without it, 9,000 updates name 98.6 %
    of training classes' queries and 97.1 % of validation classes'.
    """
    return Config(
        task=OmniglotConfig(way=way, shot=shot, queries=queries, warp=warp),
        learner=FineTuneConfig(META, rate=0.1),
        training=TrainingConfig(
            steps=steps, batch=batch, log_every=50, validate_every=500, validation_episodes=400, checkpoint_every=500
        ),
    )


def maml_plus_plus(way: int, shot: int) -> Config:
    """MAML++ with all its parts, on the embedding of the other networks, in place of its own of four blocks."""
    config = omniglot(way, shot, batch=8, queries=1 if way == 20 else 3, steps=3_000, warp=0.0)
    return replace(config, model=ClassifierConfig(ConvConfig()), learner=MAMLPlusPlusConfig())


def metanet(way: int, shot: int) -> Config:
    """MetaNet in its authors' sizes, four episodes an update in place of one."""
    config = omniglot(way, shot, batch=4, queries=3, steps=1_000, warp=0.0)
    return replace(config, model=AugmentedConfig(), learner=MetaNetConfig())


def stream(task: AbstractTaskConfig, steps: int, *, seeds: int = 1) -> Config:
    """The memory-augmented network, equations as printed, on sequences; updates of 16 by Muon."""
    return Config(
        task=task,
        model=NetworkConfig(embed=FlattenConfig(), cell=MANNConfig()),
        learner=SupervisedConfig(),
        optimizer=MuonConfig(learning_rate=3e-3),
        training=TrainingConfig(
            steps=steps,
            batch=16,
            seeds=seeds,
            log_every=250,
            validate_every=1000,
            validation_episodes=400,
            checkpoint_every=1000,
        ),
    )


def small_stream(task: AbstractTaskConfig) -> Config:
    """A tiny memory-augmented network and a few updates, for tests."""
    cell = MANNConfig(controller=LSTMConfig(hidden=8), memory=LeastUsedConfig(slots=8, width=4, heads=2))
    return replace(stream(task, 4), model=NetworkConfig(embed=FlattenConfig(), cell=cell), training=SMALL)


def sharp(config: Config) -> Config:
    """The same with heads that choose how sharply they read, and write another vector than their key."""
    model: Any = config.model
    memory = replace(model.cell.memory, strength="learned", written="vector")
    return replace(config, model=replace(model, cell=replace(model.cell, memory=memory)))


GLYPHS = Config(
    task=GlyphsConfig(train_way=20, queries=2),
    model=AnyWayConfig(),
    learner=FastSlowConfig(),
    optimizer=AdamConfig(learning_rate=2e-3),
    training=TrainingConfig(
        steps=220, batch=2, log_every=20, validate_every=110, validation_episodes=100, checkpoint_every=110
    ),
)

CHARACTERS = replace(
    omniglot(5, 1, batch=3, queries=2, steps=6_000),
    task=OmniglotConfig(
        train_way=30, queries=2, split="omniglot_1200_423_random", warp=1.5, augment=0.8, generated=2_000
    ),
    model=AnyWayConfig(class_means=True),
    learner=FastSlowConfig(rate=0.1),
)
"""One network for characters of any kind, few or many classes. Validation classes are Omniglot's as they were drawn."""

PATHS = Config(
    TracksConfig(
        source="sind",
        learned="pedestrian",
        shots=5,
        queries=5,
        training=19,
        generated=20_000,
        groups="scene",
        scale=5.0,
    ),
    NetworkConfig(FlattenConfig(), NMNConfig(64, SoftSlotsConfig(slots=10))),
    FineTuneConfig(FeedbackConfig("true"), steps=3, rate=0.5),
    training=TrainingConfig(
        steps=2_000, batch=8, log_every=100, validate_every=200, validation_episodes=100, checkpoint_every=1_000
    ),
)
"""SinD has few pedestrians at hand: of nineteen those of the larger scene are trained with; others choose and test."""

SMOKE = Config(
    task=GlyphsConfig(queries=1),
    model=NetworkConfig(
        embed=ConvConfig(features=8, channels=4), cell=NMNConfig(width=8, memory=SoftSlotsConfig(slots=3))
    ),
    learner=FineTuneConfig(FeedbackConfig(regime="meta", hidden=8), rate=0.1, steps=1),
    training=SMALL,
)

PRESETS = {
    "main": Preset(GLYPHS, "5-way 1-shot on generated characters, beside each part alone", "2 minutes"),
    "characters": Preset(
        CHARACTERS,
        "Omniglot and generated characters, changed in stroke, blur, contrast and shape; any number of classes",
        "30 minutes",
    ),
    "paths": Preset(
        PATHS, "where road users go next, from generated paths and a few of SinD, five paths to learn from", "2 minutes"
    ),
    "omniglot-5way-1shot": Preset(
        omniglot(5, 1, batch=8, queries=3, steps=12000), "Omniglot, 5 classes, 1 example each", "40 minutes"
    ),
    "omniglot-5way-5shot": Preset(
        omniglot(5, 5, batch=6, queries=3, steps=6000), "Omniglot, 5 classes, 5 examples each", "40 minutes"
    ),
    "omniglot-20way-1shot": Preset(
        omniglot(20, 1, batch=4, queries=2, steps=9000), "Omniglot, 20 classes, 1 example each", "70 minutes"
    ),
    "omniglot-20way-5shot": Preset(
        omniglot(20, 5, batch=2, queries=2, steps=9000), "Omniglot, 20 classes, 5 examples each", "90 minutes"
    ),
    "paper-5way-1shot": Preset(
        replace(
            omniglot(5, 1, batch=8, queries=3, steps=9000),
            optimizer=AdamConfig(learning_rate=5e-6, schedule=ConstantConfig()),
            learner=FineTuneConfig(FeedbackConfig(regime="both", predictor="lstm", regression=1.0), rate=0.1),
        ),
        "Omniglot, 5 classes, 1 example, with the paper's learning rate, predictors and regime both",
        "40 minutes",
    ),
    "maml-plus-plus-5way-5shot": Preset(
        maml_plus_plus(5, 5), "MAML++ on Omniglot, 5 classes, 5 examples each", "some hours"
    ),
    "maml-plus-plus-20way-1shot": Preset(
        maml_plus_plus(20, 1), "MAML++ on Omniglot, 20 classes, 1 example each", "some hours"
    ),
    "maml-plus-plus-20way-5shot": Preset(
        maml_plus_plus(20, 5), "MAML++ on Omniglot, 20 classes, 5 examples each", "some hours"
    ),
    "metanet-5way-5shot": Preset(metanet(5, 5), "MetaNet on Omniglot, 5 classes, 5 examples each", "some hours"),
    "metanet-20way-1shot": Preset(metanet(20, 1), "MetaNet on Omniglot, 20 classes, 1 example each", "some hours"),
    "metanet-20way-5shot": Preset(metanet(20, 5), "MetaNet on Omniglot, 20 classes, 5 examples each", "some hours"),
    "omniglot-stream": Preset(
        sharp(stream(OmniglotStreamConfig(classes=15, length=100, labels="strings"), 20_000)),
        "MANN on streams of Omniglot, 15 classes at length 100, labels that are strings",
        "50 minutes",
    ),
    "omniglot-stream-5": Preset(
        sharp(stream(OmniglotStreamConfig(), 20_000)),
        "MANN on streams of Omniglot, 5 classes at length 50, one-hot labels",
        "25 minutes",
    ),
    "paper-omniglot-stream": Preset(
        replace(
            stream(OmniglotStreamConfig(), 100_000),
            optimizer=RMSPropConfig(learning_rate=1e-4, schedule=ConstantConfig()),
        ),
        "MANN on streams of Omniglot, equations and optimizer as printed, 100,000 updates",
        "70 minutes",
    ),
    "gaussian-process": Preset(
        sharp(stream(GaussianProcessConfig(), 6_250)),
        "MANN on functions of one number, drawn from a Gaussian process",
        "15 minutes",
    ),
    "smoke-stream": Preset(
        small_stream(GaussianProcessConfig(length=12)), "smoke for a network on streams; no result", "1 minute"
    ),
    "smoke": Preset(SMOKE, "a few updates of a tiny network, to see that everything works; no result", "2 minutes"),
}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in PRESETS:
        raise bad("preset", got=name, expected=f"one of {', '.join(PRESETS)}", hint="see `fastslow list`")
    return PRESETS[name]
