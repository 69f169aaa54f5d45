"""Accuracy on episodes that every learner gets alike: they follow from a stored seed."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import check_positive
from .._typing import Key
from ..learners.base import AbstractLearner, LearnerState
from ..tasks.base import AbstractTask
from .config import OverSeeds
from .parallel import copy_to, episode_mesh
from .update import Score, compile_score

EVALUATION_SEED = 20201111
"""Seed of the episodes that results are measured on."""


def evaluate(
    learner: AbstractLearner,
    states: LearnerState,
    task: AbstractTask,
    *,
    episodes: int = 1000,
    batch: int = 50,
    seed: int = EVALUATION_SEED,
    over_seeds: OverSeeds = "auto",
    devices: Sequence[Any] | None = None,
) -> Float[np.ndarray, "seeds episodes"]:
    """Measures trained learners by the one figure that they are judged by.

    Args:
        learner: what is measured.
        states: its trained states, each array with a leading axis `seeds`.
        task: draws the episodes, at step 0: give one without a curriculum.
        episodes: how many; the first of them are the same however many there are.
        batch: episodes computed at once; rounded up to a multiple of the number of devices.
        seed: seed of the episodes.
        over_seeds: how seeds run side by side, see `TrainingConfig`.
        devices: the devices that share a batch; None for all.

    Returns:
        The figure (the share of queries named rightly, in [0, 1], for most learners) for each seed in each episode;
        episodes are the same for all seeds.
    """
    given = {"episodes": episodes, "batch": batch, "seed": seed, "over_seeds": over_seeds, "devices": devices}
    return evaluate_all(learner, states, task, **given)[learner.judged_by]


def evaluate_all(
    learner: AbstractLearner,
    states: LearnerState,
    task: AbstractTask,
    *,
    episodes: int = 1000,
    batch: int = 50,
    seed: int = EVALUATION_SEED,
    over_seeds: OverSeeds = "auto",
    devices: Sequence[Any] | None = None,
) -> dict[str, Float[np.ndarray, "seeds episodes ..."]]:
    """Measures trained learners, as `evaluate` does, and gives every figure that the learner's `evaluate` gives."""
    check_positive("episodes", episodes)
    check_positive("batch", batch)
    number = jax.device_count() if devices is None else len(devices)
    batch = -(-batch // number) * number
    mesh, _ = episode_mesh(batch, devices)
    score = compile_score(learner, task, batch, mesh, over_seeds)
    return jax.device_get(scores(score, copy_to(states, mesh), jax.random.key(seed), episodes, batch))


def scores(
    score: Score, states: LearnerState, key: Key, episodes: int, batch: int
) -> dict[str, Float[Array, "seeds episodes ..."]]:
    """Figures of several batches; the last one is drawn whole and what is too much of it left out."""
    parts = [score(states, key, first) for first in range(0, episodes, batch)]
    return jax.tree.map(lambda *each: jnp.concatenate(each, axis=1)[:, :episodes], *parts)
