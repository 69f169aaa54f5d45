"""VRU: cyclists and pedestrians at an intersection in Aschaffenburg, in metres (Goldhammer et al. 2012–2020).

One file a track, in folders of road users and motions. Cyclists were recorded at 12.5 Hz, pedestrians at 50 Hz. Some
tracks have gaps of up to two seconds; they stay whole, and resampling draws a straight line through a gap.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from .._checks import Described, bad
from .own_copy import find_copy
from .tables import read_table
from .tracks import Track, Tracks, track_of

ARCHIVE = "VRUT_Dataset_complete.tar.gz"
SOURCE = "https://github.com/crowdbotp/OpenTraj (datasets/VRU)"
KINDS = {"cyclists": "bicycle", "pedestrians": "pedestrian"}
MOST_BYTES = 10_000_000
"""Largest file that is read from the archive; a track has some tens of kilobytes."""


def load_vru(path: str | Path | None = None) -> Tracks:
    """Loads the data set.

    Args:
        path: folder with the archive, or with the folders `cyclists` and `pedestrians` that it holds; without it
            `FASTSLOW_DATA`.

    Raises:
        UserError: it cannot be found or read.
    """
    folder = find_copy("vru", (ARCHIVE, *KINDS), path, SOURCE)
    tracks = sorted(_tracks(folder), key=lambda track: (track.agent, track.motion, track.user))
    if not tracks:
        raise bad("data", got=str(folder), expected=f"tracks in {' and '.join(KINDS)}", hint=f"fetch it from {SOURCE}")
    return Tracks("vru", "m", tuple(tracks))


def _tracks(folder: Path) -> Iterator[Track]:
    for name, text in _files(folder):
        parts = PurePosixPath(name).parts[-3:]
        # version control left files that are no tracks
        if len(parts) < 3 or parts[0] not in KINDS or not parts[2].endswith(".csv") or parts[1].startswith("."):
            continue
        table = read_table(text, name, numbers=("timestamp", "x", "y"))
        positions = np.stack([table["x"], table["y"]], axis=1)
        # files of different folders have the same numbers
        user = "/".join(parts).removesuffix(".csv")
        yield from track_of("vru", user, KINDS[parts[0]], table["timestamp"], positions, motion=parts[1])


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Names and contents of all files, from the archive or from folders; nothing is extracted."""
    archive = folder / ARCHIVE
    if not archive.is_file():
        for kind in KINDS:
            for file in sorted((folder / kind).rglob("*.csv")):
                yield file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8")
        return
    try:
        with tarfile.open(archive, "r:gz") as handle:
            for member in handle:
                if member.isfile() and member.name.endswith(".csv"):
                    if member.size > MOST_BYTES:
                        got = Described(f"{member.name} of over {MOST_BYTES} bytes in {archive}")
                        raise bad("data", got=got, expected="tracks alone", hint=f"fetch it from {SOURCE}")
                    stream = handle.extractfile(member)
                    if stream is not None:
                        yield member.name, stream.read().decode("utf-8")
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        raise bad("data", got=str(archive), expected="a whole copy", hint=f"fetch it from {SOURCE}") from error


__all__ = ["load_vru"]
