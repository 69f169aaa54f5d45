"""Tracks from a user's own file: one table of comma-separated columns, whose names the user says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._checks import Described, bad, check_real
from .tables import read_table, read_text
from .tracks import Track, Tracks, Unit, track_of

SAME = 0.01
"""Share by which the usual time steps of two tracks may differ and still count as one rate."""


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns."""

    track: str = "track"
    """Which track a line belongs to."""
    time: str = "time"
    """When: seconds, or the number of a frame where `rate` is given."""
    x: str = "x"
    y: str = "y"
    agent: str | None = None
    """The kind of road user, if there is such a column; without it all are of one kind."""
    rate: float | None = None
    """Frames a second, where `time` counts frames."""


def load_own_tracks(path: str | Path, columns: Columns | None = None, *, unit: Unit = "m") -> Tracks:
    """Loads tracks from a file.

    Args:
        path: the file.
        columns: names of its columns; None for `track`, `time`, `x` and `y`.
        unit: of the positions.

    Raises:
        UserError: the file cannot be read, a column is missing, a number is not finite, or the rate differs from track
            to track.
    """
    file, columns = Path(path).expanduser(), columns or Columns()
    if columns.rate is not None:
        check_real("rate", columns.rate)
    texts = (columns.track,) if columns.agent is None else (columns.track, columns.agent)
    table = read_table(read_text(file), file.name, numbers=(columns.time, columns.x, columns.y), texts=texts)
    users = table[columns.track]
    if not len(users):
        raise bad("data", got=Described(f"{file.name} without a line of numbers"), expected="tracks")
    seconds = table[columns.time] / (columns.rate or 1.0)
    positions = np.stack([table[columns.x], table[columns.y]], axis=1)
    tracks = []
    for user in dict.fromkeys(users.tolist()):
        rows = users == user
        kind = "unknown" if columns.agent is None else str(table[columns.agent][rows][0])
        tracks += track_of(file.stem, user, kind, seconds[rows], positions[rows])
    if not tracks:
        got = Described(f"{file.name}, no track of which has two positions")
        raise bad("data", got=got, expected="tracks")
    _one_rate(tracks, file.name)
    return Tracks(file.stem, unit, tuple(tracks))


def _one_rate(tracks: list[Track], source: str) -> None:
    steps = {track.user: float(np.median(np.diff(track.seconds))) for track in tracks}
    shortest, longest = min(steps, key=lambda user: steps[user]), max(steps, key=lambda user: steps[user])
    if steps[longest] > (1 + SAME) * steps[shortest]:
        rates = [f"{1 / steps[user]:.4g} Hz in track {user!r}" for user in (shortest, longest)]
        got = Described(f"{' and '.join(rates)} of {source}")
        raise bad("data", got=got, expected="one rate in a file", hint="give each rate a file of its own")


__all__ = ["Columns", "load_own_tracks"]
