"""Trainings on streams of labelled inputs (mann): configuration, and how it is built."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import jax

from .._checks import check_choice
from .._typing import Key
from ..cells.base import AbstractCell
from ..cells.feedforward import FeedForward
from ..cells.lstm import LSTM
from ..cells.mann import MANN, KeySource
from ..learners.optimiser import OptimiserConfig, build_optimiser
from ..learners.sequence import SequenceLearner, SequenceNetwork
from ..memory.least_used import LeastUsed, Order, Share, Strength, Written
from ..models.heads import Categorical, Strings
from ..tasks.omniglot_stream import SIDE, OmniglotStreamConfig
from ..training.config import TrainingConfig

CellKind = Literal["mann", "lstm", "feed-forward"]


@dataclass(frozen=True)
class StreamModelConfig:
    """The network: controller, memory, decoder."""

    cell: CellKind = "mann"
    """mann: a controller with a memory; lstm, feed-forward: the controller alone, the paper's baselines."""
    controller: Literal["lstm", "feed-forward"] = "lstm"
    """Of a mann."""
    hidden: int = 200
    """Units of the controller."""
    slots: int = 128
    """Rows of the memory."""
    width: int = 40
    """Columns of the memory."""
    heads: int = 4
    """Reads in a step."""
    key_source: KeySource = "cell"
    """What keys are made from. cell: the LSTM's cell state, as in the paper's supplement; hidden: its output."""
    share: Share = "shared"
    """Least-used slots: shared, every head writes to all of them; one-each, the i-th head to the i-th."""
    order: Order = "write-first"
    """Whether a step reads the memory after its write, or before it (read-first)."""
    written: Written = "key"
    """What is stored: the key, or a vector of its own."""
    strength: Strength = "none"
    """How sharp attention can be. none: as in the paper; learned: by a factor the controller gives."""


@dataclass(frozen=True)
class StreamConfig:
    """One training on streams, whole; a run folder holds it as JSON and can be rebuilt from it."""

    task: OmniglotStreamConfig = field(default_factory=OmniglotStreamConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    model: StreamModelConfig = field(default_factory=StreamModelConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)


def build_stream_network(key: Key, *, model: StreamModelConfig, task: OmniglotStreamConfig) -> SequenceNetwork:
    """Draws the initial parameters of a network for the labels of a task."""
    key_cell, key_head = jax.random.split(key)
    cell, out_size = _build_cell(key_cell, model, SIDE * SIDE + task.target)
    if task.labels == "one-hot":
        return SequenceNetwork(cell=cell, head=Categorical(out_size, task.classes, key=key_head))
    return SequenceNetwork(cell=cell, head=Strings(out_size, key=key_head))


def _build_cell(key: Key, model: StreamModelConfig, in_size: int) -> tuple[AbstractCell, int]:
    check_choice("cell", model.cell, ("mann", "lstm", "feed-forward"))
    if model.cell == "lstm":
        return LSTM(in_size, model.hidden, key=key), model.hidden
    if model.cell == "feed-forward":
        return FeedForward(in_size, model.hidden, key=key), model.hidden
    memory = LeastUsed(
        model.slots,
        model.width,
        model.heads,
        share=model.share,
        order=model.order,
        written=model.written,
        strength=model.strength,
    )
    cell = MANN(in_size, model.hidden, memory, controller=model.controller, key_source=model.key_source, key=key)
    return cell, cell.out_size


def build_stream_learner(config: StreamConfig) -> SequenceLearner:
    """Builds the learner of a configuration; its number of steps sets the schedule."""
    return SequenceLearner(
        build=partial(build_stream_network, model=config.model, task=config.task),
        optimiser=build_optimiser(config.optimiser, config.training.steps),
        target=config.task.target,
    )
