"""inD: road users at four German intersections at 25 Hz, in metres (Bock et al. 2020).

A recording `NN` has three files, `NN_tracks.csv`, `NN_tracksMeta.csv` and `NN_recordingMeta.csv`. Its licence forbids
passing it on: users bring their own copy.
"""

from pathlib import Path

import numpy as np

from .._checks import Described, bad
from .own_copy import find_copy
from .tables import Table, read_table, read_text
from .tracks import Track, Tracks, track_of

SOURCE = "https://levelxdata.com/ind-dataset"
RECORDINGS = "[0-9][0-9]_tracks.csv"
FILES = ("tracks", "tracksMeta", "recordingMeta")


def load_ind(path: str | Path | None = None) -> Tracks:
    """Loads all recordings that are at hand.

    Args:
        path: the folder with the recordings' files; without it `FASTSLOW_DATA`.

    Raises:
        UserError: none can be found, a recording lacks a file, or recordings differ in their rate.
    """
    folder = find_copy("ind", (RECORDINGS,), path, SOURCE)
    tracks: list[Track] = []
    rates: dict[float, str] = {}
    for file in sorted(folder.glob(RECORDINGS)):
        number = file.name[:2]
        meta, rate = _meta(folder, number)
        rates.setdefault(rate, number)
        if len(rates) > 1:
            got = Described(" and ".join(f"{rate:g} Hz in recording {name}" for rate, name in rates.items()))
            raise bad("data", got=got, expected="one rate in all recordings")
        tracks += _tracks(number, _table(file, ("trackId", "frame", "xCenter", "yCenter")), meta, rate)
    return Tracks("ind", "m", tuple(tracks))


def _meta(folder: Path, number: str) -> tuple[dict[int, str], float]:
    """The class of each track, and the frames a second."""
    missing = [name for name in FILES if not (folder / f"{number}_{name}.csv").is_file()]
    if missing:
        expected = f"also {number}_{missing[0]}.csv"
        raise bad("data", got=Described(f"recording {number} in {folder}"), expected=expected)
    users = _table(folder / f"{number}_tracksMeta.csv", ("trackId",), ("class",))
    recording = _table(folder / f"{number}_recordingMeta.csv", ("frameRate",))
    return dict(zip(users["trackId"].astype(int).tolist(), users["class"].tolist(), strict=True)), float(
        recording["frameRate"][0]
    )


def _tracks(number: str, table: Table, kinds: dict[int, str], rate: float) -> list[Track]:
    users, found = table["trackId"].astype(int), []
    for user in np.unique(users).tolist():
        if user not in kinds:
            expected = f"every track of {number}_tracks.csv"
            raise bad("data", got=Described(f"{number}_tracksMeta.csv without track {user}"), expected=expected)
        rows = users == user
        positions = np.stack([table["xCenter"][rows], table["yCenter"][rows]], axis=1)
        found += track_of(number, str(user), kinds[user], table["frame"][rows] / rate, positions)
    return found


def _table(file: Path, numbers: tuple[str, ...], texts: tuple[str, ...] = ()) -> Table:
    return read_table(read_text(file, f"fetch it from {SOURCE}"), file.name, numbers=numbers, texts=texts)


__all__ = ["load_ind"]
