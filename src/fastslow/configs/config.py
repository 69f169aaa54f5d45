"""What one training is made of, as a configuration, and how it is built from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, overload

import jax

from .._checks import check_choice
from .._typing import Key
from ..cells.nmn import NMN, Compose, LabelInput
from ..learners.adapting import initial_rates
from ..learners.recurrent import Parameters, RecurrentLearner
from ..learners.regimes import AdaptConfig, FeedbackConfig, check_combination
from ..learners.supervised import SequenceLearner
from ..memory.slots import InitialMemory, KeyValueSlots, SoftSlots
from ..models.embed import ConvEmbedding
from ..models.heads import Categorical
from ..models.sequence import Network
from ..optim.config import OptimiserConfig, build_optimiser
from ..synthetic.predictors import SyntheticGradients
from ..tasks.gaussian_process import GaussianProcessConfig, gaussian_process_tasks
from ..tasks.glyphs import GlyphsConfig, glyph_tasks
from ..tasks.omniglot import OmniglotConfig, omniglot_tasks
from ..tasks.omniglot_stream import OmniglotStreamConfig, omniglot_stream_tasks
from ..tasks.splits import TaskSplits
from ..training.config import TrainingConfig, from_json
from .streams import StreamConfig, StreamTaskConfig, build_stream_learner

MemoryKind = Literal["soft", "key-value"]


@dataclass(frozen=True)
class ModelConfig:
    """The network: `f_E`, controllers, memory, `f_D`."""

    features: int = 64
    """Size of an embedding, `x_t`."""
    channels: int = 64
    """Filters of each convolution block."""
    blocks: int = 3
    """Convolution blocks; each halves the image."""
    width: int = 64
    """k, size of a slot and of every controller's output."""
    slots: int = 10
    """l, rows of the memory."""
    memory: MemoryKind = "soft"
    """soft: the paper's soft overwrite (eq. 3, 4, 7); key-value: cosine read, least-used write."""
    initial: InitialMemory = "learned"
    """The memory before the first step: learned, constant, or random (drawn once and stored with the model)."""
    compose: Compose = "query"
    """What the output controller reads. memory: the attended slots, as printed; query: those and the query."""
    label_input: LabelInput = "none"
    """Where labels enter the network. none: nowhere; input: with the features; write: at the write controller."""


TaskConfig = GlyphsConfig | OmniglotConfig


@dataclass(frozen=True)
class RunConfig:
    """One training run, whole; a run folder holds it as JSON and can be rebuilt from it."""

    task: TaskConfig = field(default_factory=GlyphsConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)


def build_parameters(key: Key, *, model: ModelConfig, adapt: AdaptConfig, path: FeedbackConfig, way: int) -> Parameters:
    """Draws the initial parameters of a network for `way` classes."""
    key_embed, key_cell, key_memory, key_head, key_predictors = jax.random.split(key, 5)
    check_choice("memory", model.memory, ("soft", "key-value"))
    slots = SoftSlots if model.memory == "soft" else KeyValueSlots
    cell = NMN(
        model.features,
        model.width,
        slots(model.slots, model.width, model.initial, key=key_memory),
        labels=way,
        compose=model.compose,
        label_input=model.label_input,
        key=key_cell,
    )
    network = Network(
        embed=ConvEmbedding(model.features, model.channels, model.blocks, key=key_embed),
        cell=cell,
        head=Categorical(model.width, way, key=key_head),
    )
    predictors = None
    if path.regime != "true":
        predictors = SyntheticGradients(model.width, way, kind=path.predictor, hidden=path.hidden, key=key_predictors)
    rates = initial_rates(network, adapt) if adapt.protocol == "fine-tune" else None
    return Parameters(network=network, predictors=predictors, rates=rates)


AnyConfig = RunConfig | StreamConfig
"""A training of any kind."""


def read_config(data: Mapping[str, Any]) -> AnyConfig:
    """Rebuilds a configuration from what `to_json` gave.

    Raises:
        UserError: a field that is unknown, missing, or of the wrong type.
    """
    # the task's kind tells the two apart
    task = data.get("task")
    kinds = (OmniglotStreamConfig().kind, GaussianProcessConfig().kind)
    streams = isinstance(task, Mapping) and task.get("kind") in kinds
    return from_json(StreamConfig if streams else RunConfig, data)


def describe(config: AnyConfig) -> str:
    """What tells a row of this configuration from another's, in a few words."""
    return config.model.cell if isinstance(config, StreamConfig) else f"regime {config.feedback.regime}"


def build_tasks(config: TaskConfig | StreamTaskConfig) -> TaskSplits:
    """Builds the training, validation and test task of a configuration."""
    if isinstance(config, GaussianProcessConfig):
        return gaussian_process_tasks(config)
    if isinstance(config, OmniglotStreamConfig):
        return omniglot_stream_tasks(config)
    return glyph_tasks(config) if isinstance(config, GlyphsConfig) else omniglot_tasks(config)


@overload
def build_any_learner(config: RunConfig) -> RecurrentLearner: ...
@overload
def build_any_learner(config: StreamConfig) -> SequenceLearner: ...
def build_any_learner(config: AnyConfig) -> RecurrentLearner | SequenceLearner:
    """Builds the learner of a training of any kind."""
    return build_stream_learner(config) if isinstance(config, StreamConfig) else build_learner(config)


def build_learner(config: RunConfig) -> RecurrentLearner:
    """Builds the learner of a configuration.

    Args:
        config: the run; its number of steps sets the schedule.

    Raises:
        UserError: choices that do not go together.
    """
    check_combination(config.feedback, config.adapt, config.model.label_input)
    build = partial(build_parameters, model=config.model, adapt=config.adapt, path=config.feedback, way=config.task.way)
    return RecurrentLearner(
        build=build,
        optimiser=build_optimiser(config.optimiser, config.training.steps),
        adaptation=config.adapt,
        path=config.feedback,
        way=config.task.way,
    )
