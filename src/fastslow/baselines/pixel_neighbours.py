"""Nearest neighbour on raw pixels: what an episode is worth before anything is learned."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._typing import Key
from ..metrics import ACCURACY, Figure, Metric
from ..tasks.base import Examples, FewShotEpisode
from .base import Baseline


class PixelNeighbours(Baseline[FewShotEpisode]):
    """Names each query after the support example whose pixels are nearest (Euclidean distance, one neighbour).

    Of equally near examples the one with the smallest label wins.

    Attributes:
        way: classes of an episode.
    """

    way: int = eqx.field(static=True)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (ACCURACY,)

    def evaluate(self, episodes: FewShotEpisode, *, key: Key) -> dict[str, Figure]:
        """Accuracy over the queries of each episode."""

        def right(episode: FewShotEpisode) -> Float[Array, ""]:
            answers = nearest_labels(episode.support, episode.query.inputs, self.way)
            return jnp.sum((answers == episode.query.labels).astype(episode.query.inputs.dtype))

        total = jax.vmap(right)(episodes)
        return {ACCURACY.key: Figure(total, jnp.full_like(total, episodes.query.labels.shape[1]))}


def nearest_labels(support: Examples, queries: Float[Array, "query ..."], way: int) -> Int[Array, " query"]:
    """The label of each query's nearest example; `way` bounds the labels."""
    squares = squared_distances(_rows(queries), _rows(support.inputs))
    of_class = support.labels[None, :] == jnp.arange(way)[:, None]
    nearest = jnp.min(jnp.where(of_class[None], squares[:, None], jnp.inf), axis=2)
    return jnp.argmin(nearest, axis=1)


def squared_distances(a: Float[Array, "rows width"], b: Float[Array, "others width"]) -> Float[Array, "rows others"]:
    """`‖a_i − b_j‖²` of every pair, as `‖a‖² + ‖b‖² − 2 a·b`: one matrix product, and no array of all differences."""
    products = jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)
    squares = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None] - 2 * products
    return jnp.maximum(squares, 0)  # rounding may leave a distance just below zero


def _rows(images: Float[Array, "items ..."]) -> Float[Array, "items pixels"]:
    return images.reshape(images.shape[0], -1)


__all__ = ["PixelNeighbours", "nearest_labels", "squared_distances"]
