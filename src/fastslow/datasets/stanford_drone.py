"""The Stanford Drone Dataset: road users seen from above at 30 Hz, in pixels (Robicquet et al. 2016).

`estimated_scales.yaml` of OpenTraj turns pixels into metres. Positions are the middles of boxes. Rows that say the road
user is out of view are left out, and a track is cut where they were.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._checks import Described, bad
from .own_copy import find_copy
from .tables import read_text
from .tracks import Track, Tracks, Unit, track_of

ARCHIVE, SCALES = "annotations.zip", "estimated_scales.yaml"
SOURCE = "https://cvgl.stanford.edu/projects/uav_data (annotations) and https://github.com/crowdbotp/OpenTraj (scales)"
RATE = 30.0
COLUMNS = 10
KINDS = {
    "Biker": "bicycle",
    "Pedestrian": "pedestrian",
    "Skater": "skater",
    "Cart": "cart",
    "Car": "car",
    "Bus": "bus",
}
MOST_BYTES = 200_000_000
"""Largest file that is read from the archive."""


def load_stanford_drone(path: str | Path | None = None, *, unit: Unit = "m") -> Tracks:
    """Loads the data set.

    Args:
        path: folder with `annotations.zip`, or with the folder `annotations` that it holds; without it `FASTSLOW_DATA`.
        unit: of positions; metres need `estimated_scales.yaml` beside it.

    Raises:
        UserError: it cannot be found or read, or a video has no scale.
    """
    folder = find_copy("stanford_drone", (ARCHIVE, "annotations"), path, SOURCE)
    scales = read_scales(folder / SCALES) if unit == "m" else {}
    tracks: list[Track] = []
    for scene, text in _files(folder):
        if unit == "m" and scene not in scales:
            got = Described(f"{SCALES} without {scene}")
            raise bad("data", got=got, expected="a scale for every video", hint="use unit px")
        tracks += _tracks(scene, text, scales.get(scene, 1.0))
    if not tracks:
        raise bad("data", got=str(folder), expected="annotations.txt files", hint=f"fetch them from {SOURCE}")
    return Tracks("stanford_drone", unit, tuple(tracks))


def read_scales(file: Path) -> dict[str, float]:
    """Metres a pixel, by `scene/video`, from a file of two levels of names with a number `scale` each.

    Raises:
        UserError: it cannot be read.
    """
    scales, scene, video = {}, "", ""
    for line in read_text(file, f"fetch it from {SOURCE}").splitlines():
        found = re.match(r"( *)([\w-]+):\s*([\d.eE+-]*)\s*$", line)
        if found is None:
            continue
        depth, name, value = len(found[1]), found[2], found[3]
        if value and name == "scale":
            scales[f"{scene}/{video}"] = float(value)
        elif not value and depth == 0:
            scene = name
        elif not value:
            video = name
    return scales


def _tracks(scene: str, text: str, scale: float) -> Iterator[Track]:
    users: dict[str, list[tuple[float, float, float]]] = {}
    kinds: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        cells = line.split(maxsplit=COLUMNS - 1)
        if len(cells) != COLUMNS:
            got = Described(f"line {number} of {scene} with {len(cells)} columns")
            raise bad("data", got=got, expected=f"{COLUMNS}")
        try:
            left, top, right, bottom, frame, lost = (int(cell) for cell in cells[1:7])
        except ValueError as error:
            got = Described(f"line {number} of {scene}: {line[:60]!r}")
            raise bad("data", got=got, expected="whole numbers in the first seven columns") from error
        if not lost:
            place = (frame / RATE, scale * (left + right) / 2, scale * (top + bottom) / 2)
            users.setdefault(cells[0], []).append(place)
            label = cells[9].strip('"')
            kinds[cells[0]] = KINDS.get(label, label.lower())
    for user, places in users.items():
        rows = np.array(places)
        for track in track_of(scene, user, kinds[user], rows[:, 0], rows[:, 1:]):
            yield from _whole(track)


def _whole(track: Track) -> Iterator[Track]:
    """The parts of a track between its gaps, of at least two positions."""
    for number, piece in enumerate(track.pieces(1.5 / RATE)):
        user = f"{piece.user}.{number}" if number else piece.user
        yield from track_of(piece.scene, user, piece.agent, piece.seconds, piece.positions)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """`scene/video` and the annotations of each video, in order; nothing is extracted."""
    archive = folder / ARCHIVE
    try:
        if not archive.is_file():
            for file in sorted((folder / "annotations").glob("*/*/annotations.txt")):
                yield "/".join(file.parts[-3:-1]), file.read_text(encoding="utf-8")
            return
        with zipfile.ZipFile(archive) as handle:
            for name in sorted(handle.namelist()):
                parts = name.split("/")
                if parts[-1] == "annotations.txt" and len(parts) > 2:
                    if handle.getinfo(name).file_size > MOST_BYTES:
                        got = Described(f"{name} of over {MOST_BYTES} bytes in {archive}")
                        raise bad("data", got=got, expected="annotations alone", hint=f"fetch them from {SOURCE}")
                    yield "/".join(parts[-3:-1]), handle.read(name).decode("utf-8")
    except (zipfile.BadZipFile, OSError, EOFError, UnicodeDecodeError) as error:
        raise bad("data", got=str(folder), expected="a whole copy", hint=f"fetch it from {SOURCE}") from error


__all__ = ["load_stanford_drone", "read_scales"]
