"""Batches of streams put together from plain arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from fastslow.tasks.base import Inputs, SequenceEpisode


def counts(classes: np.ndarray) -> np.ndarray:
    """Which instance of its class each step is."""
    return np.array([sum(classes[s] == classes[t] for s in range(t + 1)) for t in range(len(classes))])


def stream(x: np.ndarray, targets: np.ndarray, instance: np.ndarray) -> SequenceEpisode:
    """One stream whose targets are shown one step late; instance 0 is padding."""
    previous = np.concatenate([np.zeros_like(targets[:1]), targets[:-1]])
    inputs = Inputs(jnp.asarray(x, float), jnp.asarray(previous, float))
    instance = jnp.asarray(instance, jnp.int32)
    return SequenceEpisode(inputs, jnp.asarray(targets, float), instance > 0, instance)


def stacked(episodes: list[SequenceEpisode]) -> SequenceEpisode:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *episodes)


def batch(x: np.ndarray, targets: np.ndarray, instance: np.ndarray) -> SequenceEpisode:
    """Streams from arrays with a leading axis over them."""
    return stacked([stream(*parts) for parts in zip(x, targets, instance, strict=True)])
