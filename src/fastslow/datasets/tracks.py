"""Paths of road users, whatever data set they come from: times, positions, and what is known of each."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from .._checks import Described, bad, check_positive

Unit = Literal["m", "px"]
RATE = 25.0
"""Positions a second, those of inD."""
EXACT = 1e-6
"""Seconds by which a sum of time steps may fall short of a whole number of them."""


@dataclass(frozen=True, eq=False)
class Track:
    """The path of one road user.

    Attributes:
        scene: the recording, or the place.
        user: who it is, within the scene.
        agent: what kind of road user, such as `pedestrian`.
        motion: what the data set says of the motion, such as `starting`; empty where it says nothing.
        seconds: time of each position, rising.
        positions: x and y.
    """

    scene: str
    user: str
    agent: str
    motion: str
    seconds: Float[np.ndarray, " points"]
    positions: Float[np.ndarray, "points 2"]

    def at_rate(self, rate: float = RATE) -> "Track":
        """Positions at equal steps from the first time on, by linear interpolation.

        Args:
            rate: positions a second.
        """
        check_positive("rate", rate)
        duration = self.seconds[-1] - self.seconds[0]
        seconds = self.seconds[0] + np.arange(int((duration + EXACT) * rate) + 1) / rate
        places = [np.interp(seconds, self.seconds, self.positions[:, axis]) for axis in (0, 1)]
        return replace(self, seconds=seconds, positions=np.stack(places, axis=1))

    def pieces(self, longest: float) -> Iterator["Track"]:
        """The track, cut where two positions lie further apart than `longest` seconds."""
        cuts = np.flatnonzero(np.diff(self.seconds) > longest) + 1
        for piece in np.split(np.arange(len(self.seconds)), cuts):
            yield replace(self, seconds=self.seconds[piece], positions=self.positions[piece])


@dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks of a data set. Attributes: `name` of it; `unit` of positions; `tracks`."""

    name: str
    unit: Unit
    tracks: tuple[Track, ...]

    @property
    def agents(self) -> tuple[str, ...]:
        """Which kinds of road users there are."""
        return tuple(sorted({track.agent for track in self.tracks}))

    def of_agent(self, agent: str) -> tuple[Track, ...]:
        """The tracks of one kind of road user.

        Raises:
            UserError: there is none.
        """
        found = tuple(track for track in self.tracks if track.agent == agent)
        if not found:
            raise bad("agent", got=agent, expected=f"one that {self.name} has: {', '.join(self.agents)}")
        return found

    @property
    def sha256(self) -> str:
        """Checksum of all times, positions and names."""
        digest = hashlib.sha256()
        for track in self.tracks:
            digest.update(f"{track.scene}\n{track.user}\n{track.agent}\n{track.motion}\n".encode())
            digest.update(track.seconds.astype("<f8").tobytes())
            digest.update(np.ascontiguousarray(track.positions, "<f8").tobytes())
        return digest.hexdigest()


def track_of(
    scene: str, user: str, agent: str, seconds: np.ndarray, positions: np.ndarray, *, motion: str = ""
) -> list[Track]:
    """A track from rows in any order; of several at the same time the first one stays.

    Returns:
        The track; nothing where there are less than two positions, which make no path.
    """
    times, first = np.unique(seconds, return_index=True)
    if len(times) < 2:
        return []
    return [Track(scene, user, agent, motion, times.astype(np.float64), positions[first].astype(np.float64))]


def first_windows(tracks: Sequence[Track], length: int, rate: float = RATE) -> Float[np.ndarray, "windows length 2"]:
    """The first positions of each track that is long enough.

    Args:
        tracks: at any rate.
        length: positions of a window.
        rate: positions a second.

    Raises:
        UserError: no track is long enough.
    """
    resampled = [track.at_rate(rate) for track in tracks]
    windows = [track.positions[:length] for track in resampled if len(track.seconds) >= length]
    if not windows:
        longest = max((len(track.seconds) for track in resampled), default=0)
        got = Described(f"{len(resampled)} tracks of at most {longest} positions at {rate:g} Hz")
        raise bad("data", got=got, expected=f"tracks of at least {length}")
    return np.stack(windows)


def apart(windows: Float[np.ndarray, "windows length 2"]) -> Float[np.ndarray, " windows"]:
    """How far the last position of each window lies from its first."""
    return np.linalg.norm(windows[:, -1] - windows[:, 0], axis=1)


__all__ = ["RATE", "Track", "Tracks", "Unit", "apart", "first_windows", "track_of"]
