"""The run folder: who may use it, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fastslow._checks import UserError
from fastslow.training.folder import RunFolder

CONFIG = {"name": "x", "training": {"steps": 10, "batch": 4}, "sizes": (1, 2)}


def opened(path: Path, config: dict = CONFIG, *, resume: bool = False) -> RunFolder:
    return RunFolder(path, config, resume=resume)


@pytest.fixture
def used(tmp_path: Path) -> Path:
    with opened(tmp_path / "run") as folder:
        assert not folder.resuming
        assert folder.notices == []
    return tmp_path / "run"


def test_a_new_folder_holds_its_configuration(used: Path) -> None:
    assert json.loads((used / "config.json").read_text()) == json.loads(json.dumps(CONFIG))


def test_a_used_folder_is_refused_without_resume(used: Path) -> None:
    with pytest.raises(UserError, match=r"run: holds a run .* add --resume .* or choose another --out\.$"):
        opened(used)
    with opened(used, resume=True) as folder:
        assert folder.resuming


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(UserError, match="--out"):
        opened(tmp_path)
    with pytest.raises(UserError, match=r"no config\.json"):
        opened(tmp_path, resume=True)
    assert (tmp_path / "thesis.txt").read_text() == "dear"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_resume_of_nothing_starts_and_says_so(tmp_path: Path) -> None:
    with opened(tmp_path / "a" / "run", resume=True) as folder:
        assert not folder.resuming
        assert folder.notices == [f"{folder.path} holds no run yet: starting from the beginning."]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({**CONFIG, "name": "y"}, "^name: got 'y', expected 'x'"),
        ({**CONFIG, "training": {"steps": 10, "batch": 8}}, r"^training\.batch: got 8, expected 4"),
        ({**CONFIG, "training": {"steps": 9, "batch": 4}}, r"^training\.steps: got 9, expected 10 .* or more"),
        ({**CONFIG, "sizes": (1, 3)}, "^sizes: "),
        ({**CONFIG, "more": 1}, "^more: got 1, expected nothing"),
        ({"name": "x", "training": {"steps": 10, "batch": 4}}, "^sizes: got nothing"),
    ],
)
def test_another_configuration_is_refused_by_name(config: dict, named: str, used: Path) -> None:
    before = (used / "config.json").read_bytes()
    with pytest.raises(UserError, match=named):
        opened(used, config, resume=True)
    assert (used / "config.json").read_bytes() == before


def test_steps_may_grow(used: Path) -> None:
    before = (used / "config.json").read_bytes()
    with opened(used, {**CONFIG, "training": {"steps": 20, "batch": 4}}, resume=True) as folder:
        assert (used / "config.json").read_bytes() == before, "written before all was checked"
        folder.record(2)
    with pytest.raises(UserError, match="got 10, expected 20"):
        opened(used, resume=True)


def test_one_process_at_a_time(used: Path) -> None:
    hold = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, used / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(UserError, match=r"in use by another process; wait .* another --out\.$"):
            opened(used, resume=True)
        other.kill()  # the lock of a killed process is free
    opened(used, resume=True).close()


@pytest.mark.parametrize("place", ["file/run", "file"])
def test_a_place_that_cannot_be_written_is_told(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written \(.*\); make the folder writable, or choose another one\."):
        opened(tmp_path / place)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": '])
def test_a_torn_configuration_is_told(content: str, used: Path) -> None:
    (used / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json: "):
        opened(used, resume=True)


def test_the_environment_is_recorded_and_compared(used: Path) -> None:
    with opened(used, resume=True) as folder:
        assert folder.record(2) == ()
        assert json.loads((used / "environment.json").read_text())["devices"] == 2
        assert folder.record(2) == ()
        assert "devices 2 → 1" in folder.record(1)[0]
