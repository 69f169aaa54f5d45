"""Which steps of a stream are named rightly, by how often their class has come: first, second, … (mann Table 1)."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..tasks.base import SequenceEpisode


def of_instance(episodes: SequenceEpisode, most: int, dtype: Any) -> Float[Array, "batch time instances"]:
    """A one where a step is the k-th instance of its class, for each k up to `most`."""
    return (episodes.instance[..., None] == jnp.arange(1, most + 1)[None, None]).astype(dtype)


def named_rightly(
    hits: Float[Array, "batch time"], episodes: SequenceEpisode, most: int
) -> dict[str, Float[Array, "batch ..."]]:
    """What a learner's `evaluate` tells of each stream.

    Args:
        hits: a one for each step that was named rightly; padding never is.
        episodes: the streams.
        most: how many instances of a class are told apart.

    Returns:
        `accuracy`, the share of steps named rightly; `hits` and `seen`, `[batch, instances]`, how often the k-th
        instance of a class was named rightly and how often there was one.
    """
    kth = of_instance(episodes, most, hits.dtype)
    return {
        "accuracy": jnp.sum(hits, axis=1) / jnp.sum((episodes.instance > 0).astype(hits.dtype), axis=1),
        "hits": jnp.sum(hits[..., None] * kth, axis=1),
        "seen": jnp.sum(kth, axis=1),
    }
