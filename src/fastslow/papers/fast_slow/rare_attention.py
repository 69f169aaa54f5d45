"""Where a network trained on rare digits reads, at a rare batch and at the frequent one after it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...configs.run import Trained
from ...learners.stream import attention
from ...plotting.rare import Attended
from ...tasks.base import SequenceEpisode
from ...training.state import draw, one_seed

SHOWN = 10
"""Examples of the frequent batch."""


def attended(trained: Trained) -> Attended:
    """Attention of the first seed's network, which has just made the update before a rare batch.

    Weights stay as they are while the two batches pass.
    """
    state, task = one_seed(trained.states, 0), trained.tasks.train
    step = trained.config.training.steps
    batches = [batch_of(task, jnp.asarray(number, jnp.int32)) for number in (step, step + 1)]
    rare = batches[0]
    count = int(rare.mask.sum())
    cut = lambda episode, most: jax.tree.map(lambda leaf: leaf[:most], episode)
    episode = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), cut(rare, count), cut(batches[1], SHOWN))
    network, carried = state.params.network, state.model_state
    scores = jax.jit(attention)(network, carried, episode)
    slots = [str(number + 1) for number in range(scores.shape[1])]
    if carried.held is not None:  # they are written in their order, each into the slot that no one has used yet
        held = np.asarray(carried.held.targets[0])
        filled = [str(row.argmax()) for row in held if row.any()]
        slots = filled + ["–"] * (len(slots) - len(filled))
    labels = [str(label) for label in np.asarray(episode.targets).argmax(axis=1)]
    return Attended(np.asarray(scores), labels, count, slots, carried.held is not None)


def batch_of(task: Any, step: Any) -> SequenceEpisode:
    """A batch such as an update meets."""
    episodes = draw(task, jax.random.key(0), step, jnp.arange(1))
    return jax.tree.map(lambda leaf: leaf[0], episodes)


__all__ = ["attended"]
