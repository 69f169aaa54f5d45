import contextlib
import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.toy import put_in_place

from fastslow.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run(*words) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def call():
    """Runs a command in this process."""
    return run


@pytest.fixture
def toy(monkeypatch):
    """Trains on a small task instead of generated characters."""
    put_in_place(monkeypatch.setattr)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run of the smoke preset, and how its command ended."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as patch:
        put_in_place(patch.setattr)
        return folder, run("train", "smoke", "--out", folder, "--model.cell.memory.slots", "4")


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(finished[0], tmp_path / "copy"))
