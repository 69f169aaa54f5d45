"""What anybody would predict of a path first: that its road user stands still, or goes on as before."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from ..tasks.base import Examples
from ..tasks.coordinates import LAST
from ..tasks.tracks import TracksConfig


class ConstantMotion(eqx.Module):
    """The last position, or the mean velocity of the last ten observed frames; nothing is learned.

    The velocity of the last frame alone is much worse where positions were interpolated.

    Attributes:
        config: the task, which says from where positions are counted.
        moves: whether the road user goes on.
    """

    config: TracksConfig = eqx.field(static=True)
    moves: bool = eqx.field(static=True)

    def after_each(self, state: Any, support: Examples, steps: int) -> None:
        """Nothing; see `learners.base.Stepwise`."""

    def predict(self, adapted: None, inputs: Num[Array, "query observed 2"]) -> Float[Array, "query outputs"]:
        """The positions to come, counted as the task's targets are."""
        frames, origin = self.config.predicted, self.config.origin
        steps = jnp.arange(1, frames + 1, dtype=inputs.dtype)[None, :, None]
        moved = (inputs[:, -1:] - inputs[:, -1 - LAST, None]) / LAST * steps
        # targets are counted from the last position, and from where the velocity leads, where the task says so
        found = jnp.broadcast_to(inputs[:, -1:] if origin == "scene" else jnp.zeros_like(inputs[:, -1:]), moved.shape)
        found = found + (moved if self.moves else 0) - (moved if origin == "velocity" else 0)
        return found.reshape(inputs.shape[0], -1)


__all__ = ["ConstantMotion"]
