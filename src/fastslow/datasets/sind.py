"""SinD: road users at signalised intersections in China at 10 Hz, in metres (Xu et al. 2022); CC0 1.0."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from .._checks import bad
from .own_copy import find_copy
from .tables import read_table
from .tracks import Track, Tracks, track_of

SOURCE = "https://github.com/SOTIF-AVLab/SinD"
PATTERN = "*_Ped_smoothed_tracks.csv"


def load_sind(path: str | Path | None = None) -> Tracks:
    """Loads the pedestrians of all intersections that are at hand.

    Args:
        path: folder with files such as `Xian_Ped_smoothed_tracks.csv`, compressed or not; without it `FASTSLOW_DATA`.

    Raises:
        UserError: none can be found, or one cannot be read.
    """
    folder = find_copy("sind", (PATTERN, f"{PATTERN}.gz"), path, SOURCE)
    tracks: list[Track] = []
    packed = {file.name.partition("_")[0]: file for file in sorted(folder.glob(f"{PATTERN}.gz"))}
    files = packed | {file.name.partition("_")[0]: file for file in sorted(folder.glob(PATTERN))}
    for scene, file in sorted(files.items()):
        table = read_table(_text(file), file.name, numbers=("timestamp_ms", "x", "y"), texts=("track_id", "agent_type"))
        for user in dict.fromkeys(table["track_id"].tolist()):
            rows = table["track_id"] == user
            positions = np.stack([table["x"][rows], table["y"][rows]], axis=1)
            kind = str(table["agent_type"][rows][0])
            tracks += track_of(scene, user, kind, table["timestamp_ms"][rows] / 1000, positions)
    return Tracks("sind", "m", tuple(tracks))


def _text(file: Path) -> str:
    try:
        if file.suffix == ".gz":
            with gzip.open(file, "rt", encoding="utf-8") as stream:
                return stream.read()
        return file.read_text(encoding="utf-8")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise bad("data", got=str(file), expected="a whole copy", hint=f"fetch it from {SOURCE}") from error


__all__ = ["load_sind"]
