"""Checkpoints: the whole state of a run on disk, checked before it is read. The only file that knows Orbax."""

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from .._checks import LARGEST_INT, UserError
from .files import cannot_write, parse_json, replace_text, writing
from .fingerprint import named_arrays
from .state import TrainState

KEPT = 2
"""Whole checkpoints that stay on disk: the last one, and the one to fall back to."""
SEAL = "checksums.json"
"""Written last: the checksums of all other files of a checkpoint. Without it, or with others, it is not whole."""
NEWEST = "newest.json"
"""Beside the folder of the checkpoints: the step of the one that was saved last."""
TEMPORARY = "orbax-checkpoint-tmp"
"""Orbax writes into a folder with this in its name and renames it when all is written."""
SET_ASIDE = "damaged-"
DISCARDED = ".discarded-"

_orbax_log = logging.getLogger("absl")


class Checkpoints:
    """The checkpoints of one run: folders named by their step, each holding one `TrainState`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def steps(self) -> list[int]:
        """Steps of the checkpoints, rising. One that is still being written has another name and is not among them."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal() and path.is_dir())

    def newest(self) -> int | None:
        """Step of the checkpoint that was saved last, whether it is still there or not; None where none is recorded.

        Raises:
            UserError: the record cannot be read.
        """
        path = self._record
        if not path.exists():
            return None
        try:
            step = parse_json(path.read_bytes())["step"]
            if type(step) is int and 0 <= step <= LARGEST_INT:
                return step
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise UserError(
            f"{path}: does not hold the step of the checkpoint that was saved last; delete it to continue with the "
            "newest one that is there."
        )

    def require_newest(self) -> None:
        """Refuses to pass an older checkpoint off as the result of the run.

        Raises:
            UserError: the checkpoint that was saved last is not there.
        """
        newest, steps = self.newest(), self.steps()
        if newest is not None and newest not in steps:
            left = f"that of step {steps[-1]}" if steps else "none"
            raise UserError(
                f"{self.folder}: the checkpoint of step {newest}, which was saved last, is missing, and the newest one "
                f"left is {left}; put it back, or train on with --resume."
            )

    @property
    def _record(self) -> Path:
        return self.folder.with_name(NEWEST)

    def save(self, state: TrainState) -> None:
        """Copies a state to the host and begins to write it; returns before it is on disk.

        Args:
            state: the state of the run. It may be given to the next update at once: the copy has left the device.

        Raises:
            UserError: where the checkpoint before this one could not be written.
        """
        arrays = named_arrays(state)
        self.wait()
        self._writing = self._thread.submit(self._write, self.folder / str(int(arrays["step"])), arrays)

    def wait(self) -> None:
        """Waits until what is being written is on disk.

        Raises:
            UserError: where it could not be written; the checkpoints before it are whole.
        """
        if self._writing is not None:
            writing_now, self._writing = self._writing, None
            writing_now.result()

    def _write(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes a checkpoint, seals it, and drops all but the newest."""
        stored = {name: array for name, array in arrays.items() if array.size}  # Orbax refuses empty ones
        _orbax_log.addFilter(_not_of_orbax)
        try:
            _see_room(self.folder, sum(array.nbytes for array in stored.values()))
            with _context():
                ocp.save(str(path.absolute()), stored)
            replace_text(path / SEAL, json.dumps(_checksums(path), indent=1))
            replace_text(self._record, json.dumps({"step": int(arrays["step"])}) + "\n")
            for step in self.steps()[:-KEPT]:
                self._discard(self.folder / str(step))
        except (OSError, ValueError, RuntimeError) as error:
            self.clean()
            raise error if isinstance(error, UserError) else cannot_write(path, error) from error
        finally:
            _orbax_log.removeFilter(_not_of_orbax)

    def clean(self) -> None:
        """Removes what a killed run left half written or half deleted; only for the owner of the run folder."""
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            if TEMPORARY in path.name or path.name.startswith(DISCARDED):
                _remove(path)

    def load(self, like: PyTree) -> tuple[TrainState | None, tuple[str, ...]]:
        """Reads the newest whole checkpoint; writes nothing.

        Args:
            like: a state of the same structure, such as `jax.eval_shape` gives of the initial one.

        Returns:
            The state, with arrays on the host, or None where there is no checkpoint; and a sentence for each
            checkpoint that is missing or damaged and was passed over.

        Raises:
            UserError: where there were checkpoints but none is whole, or where one holds other arrays than `like`.
        """
        notices: list[str] = []
        steps, newest = self.steps(), self.newest()
        if newest is not None and newest > max(steps, default=-1):
            notices.append(
                f"The checkpoint of step {newest}, which was saved last, is missing: an earlier one is used."
            )
        for step in reversed(steps):
            path = self.folder / str(step)
            arrays = _arrays(path, step)
            if arrays is not None:
                return _rebuild(like, arrays, path), tuple(notices)
            notices.append(f"The checkpoint of step {step} is damaged and was passed over for an earlier one.")
        if steps or newest is not None:
            damaged = f"damaged: those of step {', '.join(map(str, steps))}" if steps else "all are missing"
            raise UserError(f"{self.folder}: no checkpoint in it is whole ({damaged}); start again with another --out.")
        return None, ()

    def continue_from(self, step: int) -> None:
        """Makes a step the newest: later checkpoints, which are damaged, are renamed and will be written again."""
        for later in self.steps():
            if later > step:
                aside = self.folder / f"{SET_ASIDE}{later}"
                with writing(aside):
                    shutil.rmtree(aside, ignore_errors=True)
                    os.replace(self.folder / str(later), aside)
        if self.newest() not in (None, step):
            replace_text(self._record, json.dumps({"step": step}) + "\n")

    def _discard(self, path: Path) -> None:
        # Renamed first: a half-deleted checkpoint must not look like a damaged one.
        gone = path.with_name(DISCARDED + path.name)
        os.replace(path, gone)
        shutil.rmtree(gone)


def _remove(path: Path) -> None:
    """Removes a folder into which a thread of Orbax may still be writing."""
    for _ in range(5):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.02)


def _see_room(folder: Path, nbytes: int) -> None:
    """Refuses a checkpoint that the disk has no room for, where that is seen before Orbax starts.

    Orbax finds a full disk out too, but its threads then go on printing errors of their own below the sentence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _context() -> ocp.Context:
    context = ocp.Context()
    # Made in the background, a folder that is refused leaves threads behind that wait minutes for it.
    context.async_options.create_directories_asynchronously = False
    return context


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Keeps the tracebacks of Orbax's threads from the terminal: what failed there is raised here, as a sentence."""
    return "orbax" not in record.pathname


def _checksums(path: Path) -> dict[str, str]:
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != SEAL)
    return {file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _is_whole(path: Path) -> bool:
    """Whether every file of a checkpoint is as it was written; found without Orbax, whose complaints are many."""
    try:
        sums = parse_json((path / SEAL).read_bytes())
        return bool(sums) and sums == _checksums(path)
    except (OSError, ValueError):
        return False


def _arrays(path: Path, step: int) -> Mapping[str, np.ndarray] | None:
    """The arrays of a checkpoint by their names, or None where it is not whole or not the one of its step."""
    if not _is_whole(path):
        return None
    _orbax_log.addFilter(_not_of_orbax)
    try:
        arrays = ocp.load(str(path.absolute()))
        return arrays if int(arrays["step"]) == step else None
    except (OSError, ValueError, RuntimeError, KeyError, TypeError):  # a seal that fits, around what is no checkpoint
        return None
    finally:
        _orbax_log.removeFilter(_not_of_orbax)


def _rebuild(like: PyTree, arrays: Mapping[str, np.ndarray], path: Path) -> TrainState:
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    found = []
    for keys, leaf in leaves:
        name = jax.tree_util.keystr(keys, simple=True, separator=".")
        array = np.zeros(leaf.shape, leaf.dtype) if leaf.size == 0 else arrays.get(name)
        if array is None or array.shape != leaf.shape or array.dtype != leaf.dtype:
            got = "nothing" if array is None else f"{array.dtype.name} {array.shape}"
            raise UserError(
                f"{path}: holds {got} for {name}, expected {leaf.dtype.name} {leaf.shape}; it was written by another "
                "configuration or version, so start again with another --out."
            )
        found.append(array)
    return jax.tree_util.tree_unflatten(structure, found)
