"""Nearest neighbour on raw pixels: what an episode is worth before anything is learned."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._typing import Key
from ..learners.base import LearnerState
from ..models.heads import accuracy
from ..tasks.base import Examples, FewShotEpisode
from .base import AbstractUntrained


class PixelNeighbours(AbstractUntrained[FewShotEpisode]):
    """Names each query after the support example whose pixels are nearest (Euclidean distance, one neighbour).

    It has no parameters, so it is scored as it is, by `training.evaluate.evaluate` on the same episodes as a trained
    learner. Of equally near examples the one with the smallest label wins.

    Attributes:
        way: classes of an episode.
    """

    way: int = eqx.field(static=True)

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Examples:
        """Remembers the support set as it is."""
        return support

    def predict(self, adapted: Examples, inputs: Float[Array, "query ..."]) -> Float[Array, "query way"]:
        """Log-softmax of minus the squared distance to the nearest example of each class.

        The largest is the nearest neighbour's class; how sure it looks rests on the number of pixels, and is no
        calibrated probability. A class without an example gets none.
        """
        squares = squared_distances(_rows(inputs), _rows(adapted.inputs))
        of_class = adapted.labels[None, :] == jnp.arange(self.way)[:, None]
        nearest = jnp.min(jnp.where(of_class[None], squares[:, None], jnp.inf), axis=2)
        return jax.nn.log_softmax(-nearest)

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> dict[str, Float[Array, " batch"]]:
        logits = jax.vmap(lambda e: self.predict(e.support, e.query.inputs))(episodes)
        return {"accuracy": jax.vmap(accuracy)(logits, episodes.query.labels)}


def squared_distances(a: Float[Array, "rows width"], b: Float[Array, "others width"]) -> Float[Array, "rows others"]:
    """`‖a_i − b_j‖²` of every pair, as `‖a‖² + ‖b‖² − 2 a·b`: one matrix product, and no array of all differences."""
    products = jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)
    squares = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None] - 2 * products
    return jnp.maximum(squares, 0)  # rounding may leave a distance just below zero


def _rows(images: Float[Array, "items ..."]) -> Float[Array, "items pixels"]:
    return images.reshape(images.shape[0], -1)


__all__ = ["PixelNeighbours", "squared_distances"]
