import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.results.rows import ROW

from fastslow.training.provenance import commit, environment, hardware, loaded_commit, versions


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_of_tracked_code_alone(tmp_path: Path) -> None:
    source, copy = tmp_path / "src", tmp_path / ".venv"
    for folder in (source, copy):
        folder.mkdir()
        (folder / "code.py").write_text("")
    assert commit(source) is None  # outside a checkout
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "src")
    assert commit(source) is None  # nothing committed yet
    git(tmp_path, "commit", "--quiet", "--no-verify", "-m", "first")
    assert commit(source) == git(tmp_path, "rev-parse", "HEAD")
    assert commit(copy) is None  # an installed copy, inside the checkout but not of it


def test_commit_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() is None


@pytest.mark.smoke
def test_a_commit_made_meanwhile_is_not_that_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["a" * 40, "b" * 40])
    monkeypatch.setattr("fastslow.training.provenance.commit", lambda: next(answers))
    loaded_commit.cache_clear()
    assert [loaded_commit(), environment()["commit"]] == ["a" * 40] * 2
    loaded_commit.cache_clear()


def test_environment_makes_a_valid_row() -> None:
    row = replace(ROW, **environment())
    assert set(row.versions) == {"fastslow", "jax", "jaxlib", "numpy", "python"}
    assert row.hardware["devices"] == ["cpu", "cpu"]
    assert row.hardware["cores"] >= 1
    assert row.hardware["cpu"]


def test_cpu_model_where_there_is_no_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert hardware()["cpu"]


@pytest.mark.smoke
def test_versions_are_those_installed() -> None:
    import jax
    import numpy as np

    import fastslow

    assert versions()["jax"] == jax.__version__
    assert versions()["numpy"] == np.__version__
    assert versions()["fastslow"] == fastslow.__version__
