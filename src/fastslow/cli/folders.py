"""Run folders by their names: `runs/<name>-NNN` in the current folder."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from .._checks import UserError
from ..training.files import replace_text, writing
from ..training.folder import read_json

RUNS = Path("runs")
_PRESET = "preset.json"


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
        raise UserError(f"--resume: there is no run {RUNS / name}-NNN in this folder to go on with; type `{command}`.")
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


def remember_preset(folder: Path, preset: str, episodes: int) -> None:
    """Notes in a run folder which preset it is a run of, and how many test episodes it is to be measured on."""
    text = json.dumps({"preset": preset, "episodes": episodes}) + "\n"
    if not (folder / _PRESET).is_file() or (folder / _PRESET).read_text(encoding="utf-8") != text:
        replace_text(folder / _PRESET, text)


def remembered_preset(folder: Path) -> str | None:
    """The preset that a run folder is a run of, or None where it was not noted."""
    return str(read_json(folder / _PRESET).get("preset")) if (folder / _PRESET).is_file() else None


def remembered_episodes(folder: Path) -> int | None:
    """The test episodes of a run, or None where they were not noted."""
    found = read_json(folder / _PRESET).get("episodes") if (folder / _PRESET).is_file() else None
    return found if isinstance(found, int) else None
