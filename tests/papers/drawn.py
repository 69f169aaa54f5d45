"""Streams of random drawings in place of Omniglot's."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from fastslow.configs.config import Config
from fastslow.configs.presets import sharp
from fastslow.papers.mann.settings import network
from fastslow.tasks.base import AbstractTask, SequenceEpisode, TaskSplits
from fastslow.tasks.gaussian_process import GaussianProcessConfig
from fastslow.tasks.omniglot_stream import OmniglotStreamConfig

PLACE = "fastslow.tasks.omniglot_stream.OmniglotStreamConfig.build"
"""What builds the task that is replaced."""
PROCESS = GaussianProcessConfig(length=8)


def smoke(task=PROCESS, *, seeds: int = 1, persistent: bool = False) -> Config:
    """A tiny memory-augmented network and four updates."""
    config = sharp(network(task, "smoke", 0))
    learner = replace(config.learner, persistent=persistent)
    return replace(config, learner=learner, training=replace(config.training, seeds=seeds))


def drawn(config: OmniglotStreamConfig) -> TaskSplits:
    """Streams of random drawings, thirty classes in each split."""
    rng = np.random.default_rng(0)

    def task(start: int = 0) -> AbstractTask[SequenceEpisode]:
        images = jnp.asarray(255 * (rng.uniform(size=(30, 20, 35, 35)) > 0.8), jnp.uint8)
        return replace(config, start=start).of_images(images)

    data = {"name": "drawn", "split": "drawn", "digest": "0" * 64, "scheme": "arrays-sha256"}
    return TaskSplits(task(config.start), task(), task(), **data)
