"""Figures on episodes that are the same for everything that is measured: they follow from a stored seed."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import Described, bad, check_integer
from .._typing import Key
from ..baselines.base import Baseline
from ..learners.base import Figures, LearnerState, Trainable
from ..metrics import Figure, Metric, label_of
from ..tasks.base import AbstractTask
from .config import MOST_BATCH, OverSeeds, check_episodes
from .parallel import copy_to, episode_mesh
from .update import Score, compile_score

EVALUATION_SEED = 20201111
"""Seed of the episodes that results are measured on."""


def evaluate_all(
    scored: Trainable | Baseline,
    states: LearnerState | None,
    task: AbstractTask,
    *,
    episodes: int = 1000,
    batch: int = 50,
    seed: int = EVALUATION_SEED,
    over_seeds: OverSeeds = "auto",
    devices: Sequence[Any] | None = None,
) -> Figures:
    """Measures trained learners, or a baseline.

    Args:
        scored: what is measured.
        states: trained states, each array with a leading axis `seeds`; None for a baseline.
        task: draws the episodes, at step 0: give one without a curriculum. Where its data are finite, each of its
            episodes counts exactly once, whatever `episodes` says.
        episodes: how many; the first of them are the same however many there are.
        batch: episodes computed at once; rounded up to a multiple of the number of devices.
        seed: seed of the episodes.
        over_seeds: how seeds run side by side, see `TrainingConfig`.
        devices: the devices that share a batch; None for all.

    Returns:
        Every figure that `evaluate` gives, by the key of its metric, with arrays `[seeds, episodes, *labels]` on the
        host; `seeds` is 1 for a baseline. The episodes are the same for all seeds.

    Raises:
        UserError: a number out of its range, or a task without an episode.
    """
    episodes = episode_count(task, episodes)
    check_integer("batch", batch, most=MOST_BATCH, reason="a device holds all episodes of a batch at once")
    check_integer("seed", seed, least=0, reason="seeds have 32 bits")
    number = jax.device_count() if devices is None else len(devices)
    batch = -(-batch // number) * number
    mesh, _ = episode_mesh(batch, devices)
    score = compile_score(scored, task, batch, mesh, over_seeds)
    return jax.device_get(scores(score, copy_to(states, mesh), jax.random.key(seed), episodes, batch))


def episode_count(task: AbstractTask, episodes: int) -> int:
    """Episodes of an evaluation: all of finite data, else as many as are asked for.

    Raises:
        UserError: a number out of its range, or a task without an episode.
    """
    check_episodes("episodes", episodes)
    size = task.size()
    if size is None:
        return episodes
    if size < 1:
        raise bad(
            "task", got=Described(f"{type(task).__name__} with {size} episodes"), expected="at least one to measure on"
        )
    return size


def scores(score: Score, states: LearnerState | None, key: Key, episodes: int, batch: int) -> Figures:
    """Figures of several batches, `[seeds, episodes, *labels]`; what is too much of the last one is left out."""
    parts = [score(states, key, first) for first in range(0, episodes, batch)]
    return jax.tree.map(lambda *each: jnp.concatenate(each, axis=1)[:, :episodes], *parts)


def overall(figures: Figures, metrics: Sequence[Metric]) -> dict[str, Float[Array, " seeds"]]:
    """Value of each metric over all episodes, Σ total / Σ count, for each seed; NaN where nothing is counted.

    Args:
        figures: arrays `[seeds, episodes]`, and `[seeds, episodes, labels]` of metrics with an axis.
        metrics: those with an axis are given label by label.
    """
    values = {
        key: Figure(jnp.sum(figure.total, axis=1), jnp.sum(figure.count, axis=1)).value
        for key, figure in figures.items()
    }
    found = {key: value for key, value in values.items() if value.ndim == 1}
    for metric in metrics:
        for place, label in enumerate(metric.axis.labels if metric.axis else ()):
            found[label_of(metric.name, metric.at(label))] = values[metric.key][:, place]
    return found
