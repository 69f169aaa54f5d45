"""Named configurations of single trainings: what `fastslow train PRESET` runs."""

from dataclasses import dataclass, replace

from .._checks import bad
from ..learners.regimes import AdaptConfig, FeedbackConfig
from ..optim.config import OptimiserConfig
from ..papers.mann.settings import AS_MANY, MORE, network, sharp
from ..tasks.gaussian_process import GaussianProcessConfig
from ..tasks.glyphs import GlyphsConfig
from ..tasks.omniglot import OmniglotConfig
from ..tasks.omniglot_stream import OmniglotStreamConfig
from ..training.config import TrainingConfig
from .config import AnyConfig, ModelConfig, RunConfig


@dataclass(frozen=True)
class Preset:
    """A configuration with what a user wants to know before starting it.

    Attributes:
        config: the run.
        summary: what it trains.
        expected: time on two CPU cores, all its trainings together.
    """

    config: AnyConfig
    summary: str
    expected: str


META = FeedbackConfig(regime="meta", alpha=5.0)
"""Fast steps along meta-learned synthetic gradients. Their scale is the predictors' to choose; a larger α lets them
start with larger steps."""


def omniglot(way: int, shot: int, *, batch: int, queries: int, steps: int, warp: float = 1.0) -> RunConfig:
    """NMN with synthetic gradients, regime meta, on Omniglot's 1,200 training characters.

    Training drawings are changed a little at random, which the paper does not do: without it, 9,000 updates name 98.6 %
    of training classes' queries and 97.1 % of validation classes'.
    """
    return RunConfig(
        task=OmniglotConfig(way=way, shot=shot, queries=queries, warp=warp),
        training=TrainingConfig(
            steps=steps, batch=batch, log_every=50, validate_every=500, validation_episodes=400, checkpoint_every=500
        ),
        adapt=AdaptConfig(rate=0.1),
        feedback=META,
    )


GLYPHS = RunConfig(
    task=GlyphsConfig(queries=3),
    training=TrainingConfig(
        steps=400, batch=8, log_every=25, validate_every=200, validation_episodes=200, checkpoint_every=200
    ),
    adapt=AdaptConfig(rate=0.1),
    feedback=META,
)

SMOKE = RunConfig(
    task=GlyphsConfig(queries=1),
    training=TrainingConfig(steps=4, batch=2, log_every=2, validate_every=4, validation_episodes=4, checkpoint_every=2),
    model=ModelConfig(features=8, channels=4, width=8, slots=3),
    adapt=AdaptConfig(rate=0.1, steps=1),
    feedback=FeedbackConfig(hidden=8),
)

PRESETS = {
    "main": Preset(GLYPHS, "5-way 1-shot on generated characters, beside regime true", "4 minutes"),
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
            optimiser=OptimiserConfig(learning_rate=5e-6, final=1.0),
            feedback=FeedbackConfig(regime="both", predictor="lstm", regression=1.0),
        ),
        "Omniglot, 5 classes, 1 example, with the paper's learning rate, predictors and regime both",
        "40 minutes",
    ),
    "omniglot-stream": Preset(
        sharp(network(OmniglotStreamConfig(classes=15, length=100, labels="strings"), "laptop", MORE)),
        "MANN on streams of Omniglot, 15 classes at length 100, labels that are strings",
        "50 minutes",
    ),
    "omniglot-stream-5": Preset(
        sharp(network(OmniglotStreamConfig(), "laptop", MORE)),
        "MANN on streams of Omniglot, 5 classes at length 50, one-hot labels",
        "25 minutes",
    ),
    "paper-omniglot-stream": Preset(
        replace(
            network(OmniglotStreamConfig(), "paper", MORE),
            optimiser=OptimiserConfig("rmsprop", learning_rate=1e-4, final=1.0),
        ),
        "MANN on streams of Omniglot, equations and optimiser as printed, 100,000 updates",
        "70 minutes",
    ),
    "gaussian-process": Preset(
        sharp(network(GaussianProcessConfig(), "laptop", AS_MANY)),
        "MANN on functions of one number, drawn from a Gaussian process",
        "15 minutes",
    ),
    "smoke-stream": Preset(
        network(GaussianProcessConfig(length=12), "smoke", 4),
        "smoke for a network on streams; no result",
        "1 minute",
    ),
    "smoke": Preset(SMOKE, "a few updates of a tiny network, to see that everything works; no result", "1 minute"),
}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in PRESETS:
        raise bad("preset", came=name, wanted=f"one of {', '.join(PRESETS)}", remedy="see `fastslow list`")
    return PRESETS[name]
