"""Where and with what a result was measured: the commit, the versions and the machine."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from .. import __version__
from .folder import processor

_FOLDER = Path(__file__).parents[1]


def environment() -> dict[str, Any]:
    """The fields of a result row that state where it was measured: `commit`, `versions` and `hardware`."""
    return {"commit": loaded_commit(), "versions": versions(), "hardware": hardware()}


@cache
def loaded_commit() -> str | None:
    """`commit()` when this process first asked for it: as its training began, hours before it is measured."""
    return commit()


def commit(folder: Path = _FOLDER) -> str | None:
    """The commit of the checkout whose code this is, or None where no commit holds it.

    That is so for an installed copy, outside a checkout, and for code with changes that are not committed.

    Args:
        folder: a folder of the package's source. A copy that merely lies inside some checkout (a virtual environment)
            is not tracked there, so it has no commit.
    """
    try:
        if not _git(folder, "ls-files", ".") or _git(folder, "status", "--porcelain", "--", "."):
            return None
        return _git(folder, "rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):  # no git, no checkout, no commit yet
        return None


def _git(folder: Path, *argv: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *argv], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of the package and of what its numbers rest on."""
    named = {name: version(name) for name in ("jax", "jaxlib", "numpy")}
    return {"fastslow": __version__, **named, "python": platform.python_version()}


def hardware() -> dict[str, Any]:
    """The machine: `cpu` (its model), `cores` that this process may use, and `devices` that JAX computes on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": processor(), "cores": cores, "devices": [device.device_kind for device in jax.devices()]}
