"""Run folders by their names: `runs/<name>-NNN` in the current folder."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .._checks import LARGEST_INT, UserError
from ..configs.config import Config
from ..configs.json import to_json
from ..training.files import replace_text, writing
from ..training.folder import read_json

RUNS = Path("runs")
_NOTES, _SEAL = "preset.json", "sha256"


def newest(name: str) -> Path | None:
    """The folder of a name with the highest number, or None."""
    numbered = [(number, path) for path in RUNS.glob(f"{name}-*") if (number := _number(path, name)) is not None]
    return max(numbered)[1] if numbered else None


def _number(path: Path, name: str) -> int | None:
    found = re.fullmatch(re.escape(name) + r"-(\d{3,})", path.name)
    return int(found[1]) if found and path.is_dir() else None


def resumable(name: str, command: str) -> Path:
    """The newest folder of a name.

    Raises:
        UserError: there is none.
    """
    found = newest(name)
    if found is None:
        raise UserError(f"--resume: there is no run {RUNS / name}-NNN in this folder to resume; type `{command}`.")
    return found


@contextlib.contextmanager
def claimed(name: str) -> Iterator[Path]:
    """Makes the folder with the next free number, so that no other process takes it; gone again if left empty."""
    with writing(RUNS):
        folder = _made(name)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # not empty: it is in use
            folder.rmdir()


def _made(name: str) -> Path:
    last = newest(name)
    number = 1 if last is None else (_number(last, name) or 0) + 1
    while True:
        folder = RUNS / f"{name}-{number:03d}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


@dataclass(frozen=True)
class Notes:
    """What a run folder notes beside its configuration. Attributes: `preset`, its name; `episodes` it is tested on."""

    preset: str
    episodes: int


def write_notes(folder: Path, notes: Notes, config: Config) -> None:
    """Notes in a run folder what it is a run of."""
    text = json.dumps({**asdict(notes), _SEAL: _seal(notes, config)}) + "\n"
    if not (folder / _NOTES).is_file() or (folder / _NOTES).read_text(encoding="utf-8") != text:
        replace_text(folder / _NOTES, text)


def read_notes(folder: Path, config: Config) -> Notes | None:
    """What was noted, or None where nothing was.

    Args:
        folder: of the run.
        config: of the run.

    Raises:
        UserError: the file is not the one that was written for this run.
    """
    path = folder / _NOTES
    if not path.exists():
        return None
    found = read_json(path)
    preset, episodes = found.get("preset"), found.get("episodes")
    if (
        isinstance(preset, str)
        and isinstance(episodes, int)
        and found.get(_SEAL) == _seal(Notes(preset, episodes), config)
    ):
        return Notes(preset, episodes)
    raise UserError(
        f"{path}: is not the file that was written for this run; delete it, then type its preset and --episodes."
    )


def _seal(notes: Notes, config: Config) -> str:
    """A checksum of the notes and of what the configuration of a run keeps for ever."""
    lasting = to_json(replace(config, training=replace(config.training, steps=LARGEST_INT)))
    return hashlib.sha256(json.dumps([asdict(notes), lasting], sort_keys=True).encode()).hexdigest()
