"""Data sets whose licences forbid passing them on: a user's own copy is found, and never downloaded."""

import os
from pathlib import Path

from .._checks import bad


def find_copy(dataset: str, files: tuple[str, ...], path: str | Path | None, source: str) -> Path:
    """The folder with a user's copy.

    Args:
        dataset: name of the data set, and of its folder.
        files: patterns of what the folder must hold; one of them is enough.
        path: the folder, or one that holds it; without it `FASTSLOW_DATA`.
        source: where the data set may be had.

    Raises:
        UserError: it is not there.
    """
    named = path if path is not None else os.environ.get("FASTSLOW_DATA")
    listed = " or ".join(files)
    if named is None:
        hint = f"fetch it from {source} and name its folder"
        raise bad("data", got=None, expected=f"a folder with {listed} of {dataset}", hint=hint)
    for folder in (Path(named).expanduser(), Path(named).expanduser() / dataset):
        if any(next(folder.glob(file), None) for file in files):
            return folder
    expected = f"a folder with {listed}, or with a folder {dataset} that holds it"
    raise bad("data", got=str(named), expected=expected, hint=f"fetch it from {source}")


__all__ = ["find_copy"]
