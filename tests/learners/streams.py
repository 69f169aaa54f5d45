"""Batches of streams put together from plain arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from fastslow.tasks.base import SequenceEpisode


def counts(classes: np.ndarray) -> np.ndarray:
    """Which instance of its class each step is."""
    return np.array([sum(classes[s] == classes[t] for s in range(t + 1)) for t in range(len(classes))])


def stream(inputs: np.ndarray, targets: np.ndarray, instance: np.ndarray) -> SequenceEpisode:
    return SequenceEpisode(
        jnp.asarray(inputs, jnp.float32), jnp.asarray(targets, jnp.float32), jnp.asarray(instance, jnp.int32)
    )


def stacked(episodes: list[SequenceEpisode]) -> SequenceEpisode:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *episodes)


def batch(inputs: np.ndarray, targets: np.ndarray, instance: np.ndarray) -> SequenceEpisode:
    """Streams from arrays with a leading axis over them."""
    return stacked([stream(*parts) for parts in zip(inputs, targets, instance, strict=True)])
