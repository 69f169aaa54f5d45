"""Trainings on streams of labelled inputs (mann): configuration, and how it is built."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad, check_choice, check_positive
from .._typing import Key
from ..cells.base import AbstractCell
from ..cells.feedforward import FeedForward
from ..cells.lstm import LSTM
from ..cells.mann import MANN, KeySource
from ..learners.supervised import SequenceLearner, SequenceNetwork
from ..memory.base import AbstractAccess
from ..memory.least_used import LeastUsed, Order, Share, Strength, Written
from ..memory.ntm import Tape, WriteStart
from ..models.heads import AbstractHead, Categorical, Gaussian, Strings
from ..optim.config import OptimiserConfig, build_optimiser
from ..tasks.gaussian_process import GaussianProcessConfig
from ..tasks.omniglot_stream import LABELS, OmniglotStreamConfig, spelled
from ..training.config import TrainingConfig

CellKind = Literal["mann", "lstm", "feed-forward"]
StreamTaskConfig = OmniglotStreamConfig | GaussianProcessConfig

PER_CLASS = 10
"""Steps of a stream for each of its classes, where nothing else is said."""
TABLED, LATE = (1, 2, 3, 4, 5, 10), (20, 50, 100)
"""Instances of a class that are told of: those that mann's tables have, and those of longer streams."""
STRIDE = 1237
"""From one class's string to the next one's: no multiple of five, so that all strings come, and neighbours differ."""
LEAST_USED_ALONE = ("share", "order", "written", "strength")
"""Switches of the least-used memory."""
TAPE_ALONE = ("write_start",)
"""Switches of the tape memory."""


@dataclass(frozen=True)
class StreamModelConfig:
    """The network: controller, memory, decoder."""

    cell: CellKind = "mann"
    """mann: a controller with a memory; lstm, feed-forward: the controller alone, the paper's baselines."""
    controller: Literal["lstm", "feed-forward"] = "lstm"
    """Of a mann."""
    hidden: int = 200
    """Units of the controller."""
    memory: Literal["least-used", "tape"] = "least-used"
    """least-used: the paper's access; tape: the neural Turing machine's, with one write head."""
    slots: int = 128
    """Rows of the memory."""
    width: int = 40
    """Columns of the memory."""
    heads: int = 4
    """Reads in a step."""
    key_source: KeySource = "cell"
    """What keys and all else for the memory come from. cell: the LSTM's cell state; hidden: its output."""
    share: Share = "shared"
    """Least-used slots: shared, every head writes to all of them; one-each, the i-th head to the i-th."""
    order: Order = "write-first"
    """Whether a step reads the memory after its write, or before it (read-first)."""
    written: Written = "key"
    """What is stored: the key, or a vector of its own."""
    strength: Strength = "none"
    """How sharp attention can be. none: as in the paper; learned: by a factor the controller gives."""
    write_start: WriteStart = "uniform"
    """How a fresh write head of a tape starts: uniform, smeared over slots; in-order, one slot after the other."""
    previous_read: bool = True
    """Whether the controller of a mann is given what was read in the step before."""
    persistent: bool = False
    """Whether the memory outlives an episode in training; each place in a batch has a memory of its own."""


@dataclass(frozen=True)
class StreamConfig:
    """One training on streams, whole; a run folder holds it as JSON and can be rebuilt from it."""

    task: StreamTaskConfig = field(default_factory=OmniglotStreamConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    model: StreamModelConfig = field(default_factory=StreamModelConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)


def build_stream_network(key: Key, *, model: StreamModelConfig, task: StreamTaskConfig) -> SequenceNetwork:
    """Draws the initial parameters of a network for the labels of a task."""
    key_cell, key_head = jax.random.split(key)
    cell, out_size = _build_cell(key_cell, model, task.features + task.target)
    return SequenceNetwork(cell=cell, head=_build_head(key_head, out_size, task))


def _build_head(key: Key, in_size: int, task: StreamTaskConfig) -> AbstractHead:
    if isinstance(task, GaussianProcessConfig):
        return Gaussian(in_size, key=key)
    return Categorical(in_size, task.classes, key=key) if task.labels == "one-hot" else Strings(in_size, key=key)


def _build_cell(key: Key, model: StreamModelConfig, in_size: int) -> tuple[AbstractCell, int]:
    check_choice("cell", model.cell, ("mann", "lstm", "feed-forward"))
    if model.cell == "lstm":
        return LSTM(in_size, model.hidden, key=key), model.hidden
    if model.cell == "feed-forward":
        return FeedForward(in_size, model.hidden, key=key), model.hidden
    memory = _build_memory(model)
    choices = {name: getattr(model, name) for name in ("controller", "key_source", "previous_read")}
    cell = MANN(in_size, model.hidden, memory, **choices, key=key)
    return cell, cell.out_size


def _build_memory(model: StreamModelConfig) -> AbstractAccess:
    if model.memory == "tape":
        return Tape(model.slots, model.width, model.heads, write_start=model.write_start)
    check_choice("memory", model.memory, ("least-used", "tape"))
    switches = {name: getattr(model, name) for name in LEAST_USED_ALONE}
    return LeastUsed(model.slots, model.width, model.heads, **switches)


def check_model(model: StreamModelConfig) -> None:
    """Refuses choices that would have no effect; not sizes, which the rows of a table share.

    Raises:
        UserError: naming the first of them.
    """
    plain = StreamModelConfig()
    without = (
        (model.cell, model.cell != "mann", ("controller", "key_source", "memory", "previous_read", "persistent")),
        (model.cell, model.cell != "mann", (*LEAST_USED_ALONE, *TAPE_ALONE)),
        ("a feed-forward controller", model.controller == "feed-forward", ("key_source",)),
        ("the tape memory", model.memory == "tape", LEAST_USED_ALONE),
        ("the least-used memory", model.memory == "least-used", TAPE_ALONE),
    )
    for owner, is_owner, names in without:
        for name in names if is_owner else ():
            if (came := getattr(model, name)) != (only := getattr(plain, name)):
                raise bad(name, came=came, wanted=f"{only}, as {owner} has no such choice")


def _labels(task: StreamTaskConfig) -> Float[Array, "way target"] | None:
    """What is shown for each class that a trained network is told about."""
    if isinstance(task, GaussianProcessConfig):
        return None
    if task.labels == "one-hot":
        return jnp.eye(task.classes)
    return spelled(jnp.arange(LABELS) * STRIDE % LABELS)


def build_stream_learner(config: StreamConfig) -> SequenceLearner:
    """Builds the learner of a configuration; its number of steps sets the schedule.

    Raises:
        UserError: a choice that would have no effect, or is none.
    """
    check_model(config.model)
    if config.model.persistent and isinstance(config.task, OmniglotStreamConfig) and config.task.start:
        raise bad("persistent", came=True, wanted="False where the number of classes grows, as padding would be kept")
    return SequenceLearner(
        build=partial(build_stream_network, model=config.model, task=config.task),
        optimiser=build_optimiser(config.optimiser, config.training.steps),
        labels=_labels(config.task),
        lanes=config.training.batch if config.model.persistent else 0,
        instances=LATE[-1],
    )


def with_streams(config: StreamConfig, classes: int | None = None, examples: int | None = None) -> StreamConfig:
    """The same network, to be measured on other streams.

    Args:
        config: of the network, trained on characters.
        classes: of a stream; None for as many as it was trained on.
        examples: of a stream, each of a class drawn anew, so that classes have about as many; None for ten of each
            class in random order.

    Raises:
        UserError: the network's labels are as many as the classes it was trained on, or are real numbers; fewer
            examples than classes.
    """
    if isinstance(config.task, GaussianProcessConfig):
        raise bad("streams", came="a network for real numbers", wanted="one that was trained on characters")
    if classes is None:
        classes = config.task.classes
    elif config.task.labels != "strings":
        raise bad(
            "classes", came=classes, wanted="no number, as the network was not trained on labels that are strings"
        )
    check_positive("classes", classes)
    balanced = examples is None
    length = PER_CLASS * classes if examples is None else examples
    if length < classes:
        raise bad("examples", came=examples, wanted=f"at least one for each of the {classes} classes")
    return replace(config, task=replace(config.task, classes=classes, length=length, balanced=balanced, start=0))
