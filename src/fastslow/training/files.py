"""Files of a run folder: written whole or not at all, and one sentence where that fails."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._checks import UserError

DEEPEST = 50
"""Levels of nested lists and objects in a file that the package writes; it needs fewer than ten."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an error of the file system while writing `path` into a sentence for the user."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: BaseException) -> UserError:
    """The sentence for a file that could not be written: a full disk, or a folder that refuses."""
    text = f"{error}"
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "ENOSPC" in text or "No space left" in text:
        return UserError(
            f"{path}: the disk is full; what was saved before is whole, so free some space and try again, with "
            "--resume where a run was going on."
        )
    reason = getattr(error, "strerror", None) or text.splitlines()[0]
    return UserError(f"{path}: cannot be written ({reason}); make the folder writable, or choose another one.")


def check_writable(path: Path) -> None:
    """Raises `UserError` where `path` could not be written, before what is to be written was computed."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def replace_text(path: Path, text: str) -> None:
    """Writes a text file so that at every moment the old or the new text is there whole."""
    with writing(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            # `mkstemp` hides its file from others; the run folder's own files are as readable as its folder.
            Path(name).chmod(0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def parse_json(text: str | bytes) -> Any:
    """Reads JSON that a user may have changed.

    Raises:
        ValueError: it is no JSON, holds NaN or infinity by name, or is nested deeper than `DEEPEST`.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [data]
    for _ in range(DEEPEST):
        inner = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = [node for nodes in inner for node in nodes]
    if level:
        raise ValueError("it is nested too deeply")
    return data


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
