"""The windows of tracks that a task of paths is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from .._checks import bad
from ..datasets.tracks import Track, Tracks, apart, windows_of


@dataclass(frozen=True, eq=False)
class Windows:
    """The first positions of some tracks. Attributes: `positions` `[tracks frames 2]`; `tracks`, the track of each."""

    positions: Float[np.ndarray, "tracks frames 2"]
    tracks: tuple[Track, ...]

    @property
    def motions(self) -> list[str]:
        """The motion class of each, as `motions_of` names it."""
        return [track.motion or "any" for track in self.tracks]

    @property
    def scenes(self) -> list[str]:
        """The scene of each."""
        return [track.scene for track in self.tracks]

    def middle(self, side: float) -> Float[np.ndarray, " 2"]:
        """The middle of the box around all positions, whose sides are at most `side` long.

        Raises:
            UserError: one is longer.
        """
        corners = self.positions.reshape(-1, 2)
        low, high = corners.min(0), corners.max(0)
        if (found := float((high - low).max())) > side:
            expected = f"at least {found:.4g}, the side of the box around the tracks, where the origin is scene"
            raise bad("scale", got=side, expected=expected)
        return (low + high) / 2

    def counted_from(self, origin: Float[np.ndarray, " 2"]) -> "Windows":
        """The same windows, counted from another origin."""
        return Windows(self.positions - origin, self.tracks)

    def of(self, places: Int[np.ndarray, " some"]) -> "Windows":
        """Some of them."""
        return Windows(self.positions[places], tuple(self.tracks[place] for place in places))


def moving(tracks: Sequence[Track], length: int, rate: float, least: float) -> Windows:
    """The windows of the road users that moved.

    Args:
        tracks: of any length.
        length: positions of a window.
        rate: positions a second.
        least: how far the first and the last of them lie apart at least.

    Raises:
        UserError: no track is long enough.
    """
    positions, kept = windows_of(tracks, length, rate)
    windows = Windows(positions, kept)
    return windows.of(np.flatnonzero(apart(positions) >= least))


def motions_of(tracks: Tracks) -> tuple[str, ...]:
    """The names of the motion classes of a data set, in the order of their numbers; `any` where it has none."""
    return tuple(name or "any" for name in sorted({track.motion for track in tracks.tracks}))


__all__ = ["Windows", "motions_of", "moving"]
