"""What the probes share. Each stands for a later need, and goes through `Config`, the loop and a resume."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fastslow.configs.config import Config
from fastslow.configs.run import Trained, train
from fastslow.optim.config import AdamConfig
from fastslow.optim.schedules import ConstantConfig
from fastslow.tasks.base import AbstractTask, TaskSplits
from fastslow.training.config import TrainingConfig

TRAINING = TrainingConfig(steps=4, batch=4, log_every=1, validate_every=2, validation_episodes=4, checkpoint_every=2)
OPTIMIZER = AdamConfig(learning_rate=1e-2, schedule=ConstantConfig())


def splits(task: AbstractTask) -> TaskSplits:
    return TaskSplits(task, task, task, name="toy", split="none", digest="0" * 64, scheme="draws-sha256")


def trained_and_resumed(config: Config, folder: Path) -> Trained:
    """Trains a configuration at once, and again with a stop in between; both give the same bits."""
    config = replace(config, optimizer=OPTIMIZER)
    whole = train(config, folder / "whole")
    half = replace(config, training=replace(config.training, steps=config.training.steps // 2))
    train(half, folder / "parts")
    parts = train(config, folder / "parts", resume=True)
    assert_equal(whole.states, parts.states)
    return whole


def assert_equal(first: Any, second: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, first, second)
