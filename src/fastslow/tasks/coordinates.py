"""How positions of a road user become the numbers that a network sees and predicts, and the way back."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Origin = Literal["scene", "position", "velocity"]
ORIGINS: tuple[Origin, ...] = ("scene", "position", "velocity")
LAST = 10
"""Observed frames over which a velocity is averaged."""


@dataclass(frozen=True)
class Coordinates:
    """The coordinates of a task of paths; see `TracksConfig`, whose settings these are."""

    observed: int
    predicted: int
    origin: Origin
    turned: bool
    scale: float

    def observed_and_next(
        self, windows: Float[Array, "tracks frames 2"]
    ) -> tuple[Float[Array, "tracks observed 2"], Float[Array, "tracks outputs"]]:
        """What is shown of each window, and what is to be predicted."""
        past, future = windows[:, : self.observed], windows[:, self.observed :]
        turn = self._turn(past)
        past, future = (_turned(part, turn) for part in (past, future))
        if self.origin != "scene":
            last = past[:, -1:]
            past, future = past - last, future - last
        if self.origin == "velocity":
            future = future - self._goes_on(past)
        return past / self.scale, future.reshape(future.shape[0], -1) / self.scale

    def shown(self, past: Float[Array, "tracks observed 2"]) -> Float[Array, "tracks observed 2"]:
        """What is shown of paths that are not known further."""
        nothing = jnp.zeros((past.shape[0], self.predicted, 2), past.dtype)
        return self.observed_and_next(jnp.concatenate([past, nothing], axis=1))[0]

    def positions(
        self, past: Float[Array, "tracks observed 2"], outputs: Float[Array, "tracks outputs"]
    ) -> tuple[Float[Array, "tracks observed 2"], Float[Array, "tracks predicted 2"]]:
        """What is shown of paths, and what is predicted of them, both in metres or pixels and from the same origin."""
        found = outputs.reshape(outputs.shape[0], self.predicted, 2)
        if self.origin == "velocity":
            found = found + self._goes_on(past)
        return self.scale * past, self.scale * found

    def placed(
        self, past: Float[Array, "tracks observed 2"], outputs: Float[Array, "tracks outputs"]
    ) -> Float[Array, "tracks predicted 2"]:
        """What is predicted of paths, where they are.

        Args:
            past: positions as they were measured, not as they are shown.
            outputs: what is predicted.
        """
        _, found = self.positions(self.shown(past), outputs)
        turn = self._turn(past)
        if self.origin != "scene":
            found = found + _turned(past[:, -1:], turn)
        return _turned(found, None if turn is None else jnp.swapaxes(turn, 1, 2))

    def _goes_on(self, past: Float[Array, "tracks observed 2"]) -> Float[Array, "tracks predicted 2"]:
        """The displacement at constant velocity."""
        steps = jnp.arange(1, self.predicted + 1, dtype=past.dtype)
        return (past[:, -1] - past[:, -1 - LAST])[:, None] / LAST * steps[None, :, None]

    def _turn(self, past: Float[Array, "tracks observed 2"]) -> Float[Array, "tracks 2 2"] | None:
        """The rotation matrix that turns the mean velocity of the last ten frames along x."""
        if not self.turned:
            return None
        x, y = (past[:, -1] - past[:, -1 - LAST]).T
        angle = jnp.arctan2(y, x)
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([jnp.stack([cos, -sin], 1), jnp.stack([sin, cos], 1)], 1)


def _turned(
    positions: Float[Array, "tracks frames 2"], turn: Float[Array, "tracks 2 2"] | None
) -> Float[Array, "tracks frames 2"]:
    """Positions, turned about the origin."""
    return positions if turn is None else jnp.matmul(positions, turn, precision=jax.lax.Precision.HIGHEST)


__all__ = ["LAST", "ORIGINS", "Coordinates", "Origin"]
