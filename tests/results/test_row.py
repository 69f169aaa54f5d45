import json
import math
import os
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fastslow._checks import UserError
from fastslow.results.row import (
    ResultRow,
    commit,
    environment,
    hardware,
    loaded_commit,
    read_rows,
    versions,
    write_rows,
)

CONTRACT = (
    "experiment row metric value ci95 chance episodes seeds protocol regime transductive paper_value config "
    "params_sha256 data commit versions hardware seconds"
)

ROW = ResultRow(
    experiment="omniglot",
    row="NMN + SG",
    metric="accuracy",
    value=0.976,
    ci95=(0.974, 0.978),
    chance=0.2,
    episodes=1800,
    seeds=(0, 1, 2),
    protocol="fine-tune",
    regime="meta",
    transductive=False,
    paper_value=0.99,
    config={"way": 5, "learner": {"steps": 2}},
    params_sha256=("0" * 64, "1" * 64, "a" * 64),
    data={"name": "omniglot", "split": "omniglot_1200_423", "sha256": "f" * 64},
    commit="c" * 40,
    versions={"jax": "0.10.1"},
    hardware={"cpu": "a µ-processor", "cores": 2, "devices": ["cpu", "cpu"]},
    seconds=12.5,
)


def stored(path: Path, **changes: Any) -> Path:
    """A file with one row, as someone's editor may have left it."""
    write_rows(path, [ROW])
    (row,) = json.loads(path.read_text())
    path.write_text(json.dumps([row | changes]))
    return path


@pytest.mark.smoke
def test_fields_are_those_that_others_rely_on() -> None:
    assert [field.name for field in fields(ResultRow)] == CONTRACT.split()


@pytest.mark.smoke
def test_rows_survive_the_file(tmp_path: Path) -> None:
    rows = [ROW, replace(ROW, row="pixels", protocol=None, regime=None, chance=None, paper_value=None, commit=None)]
    write_rows(tmp_path / "new" / "main.json", rows)
    assert read_rows(tmp_path / "new" / "main.json") == rows


def test_file_is_plain_json_in_the_order_of_the_contract(tmp_path: Path) -> None:
    write_rows(tmp_path / "main.json", [ROW])
    (row,) = json.loads((tmp_path / "main.json").read_text())
    assert list(row) == CONTRACT.split()
    assert row["ci95"] == [0.974, 0.978]
    assert row["seeds"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("field", "came"),
    [
        ("experiment", ""),
        ("row", 3),
        ("metric", None),
        ("value", "0.976"),
        ("value", True),
        ("value", 97.6),
        ("value", 0.98),  # outside its interval
        ("ci95", [0.978, 0.974]),
        ("ci95", [0.974]),
        ("ci95", [0.974, None]),
        ("ci95", 0.974),
        ("chance", 20),
        ("episodes", 0),
        ("episodes", 600.0),
        ("seeds", []),
        ("seeds", [0, 0, 1]),
        ("seeds", 3),
        ("seeds", [0, 1]),  # three checksums
        ("protocol", "finetune"),
        ("regime", "sg"),
        ("transductive", None),
        ("paper_value", 99.0),
        ("config", []),
        ("params_sha256", ["0" * 64]),
        ("params_sha256", ["0" * 64, "1" * 64, "z" * 64]),
        ("data", {"name": "omniglot", "split": "x"}),
        ("data", {"name": "omniglot", "split": "x", "sha256": "f"}),
        ("data", {"name": "omniglot", "split": "x", "sha256": None, "licence": "MIT"}),
        ("commit", "HEAD"),
        ("versions", {}),
        ("versions", {"jax": 10}),
        ("hardware", "laptop"),
        ("seconds", -1.0),
    ],
)
def test_a_wrong_field_is_named(field: str, came: Any, tmp_path: Path) -> None:
    path = stored(tmp_path / "main.json", **{field: came})
    with pytest.raises(UserError, match=r"main\.json, row 0: (\w+): got") as caught:
        read_rows(path)
    assert field in str(caught.value)


def test_whole_numbers_without_a_point_are_read(tmp_path: Path) -> None:
    path = stored(tmp_path / "main.json", value=1, ci95=[1, 1], chance=0, paper_value=1, seconds=3)
    assert read_rows(path)[0] == replace(ROW, value=1.0, ci95=(1.0, 1.0), chance=0.0, paper_value=1.0, seconds=3.0)


def test_an_unknown_and_a_missing_field_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="note"):
        read_rows(stored(tmp_path / "main.json", note="x"))
    path = tmp_path / "main.json"
    (row,) = json.loads(stored(path).read_text())
    del row["regime"]
    path.write_text(json.dumps([row]))
    with pytest.raises(UserError, match="'regime'"):
        read_rows(path)


@pytest.mark.parametrize("text", ["", "[", "{}", "[1]", "\xff", '[{"experiment": NaN}]'])
def test_what_is_no_result_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "main.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"main\.json"):
        read_rows(tmp_path / "main.json")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_rows(tmp_path / "main.json")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_makes_no_row(value: float) -> None:
    with pytest.raises(UserError, match="value"):
        replace(ROW, value=value, metric="mse")


def test_other_metrics_need_not_be_shares() -> None:
    assert replace(ROW, metric="mse", value=3.2, ci95=(3.0, 3.4), chance=None, paper_value=5.0).value == 3.2


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "main.json"
    write_rows(path, [ROW])
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full"):
        write_rows(path, [ROW, ROW])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["main.json"]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_rows(tmp_path / "results" / "main.json", [ROW])


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
    monkeypatch.setattr("fastslow.results.row.commit", lambda: next(answers))
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
