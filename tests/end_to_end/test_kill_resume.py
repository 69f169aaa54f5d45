"""A run that is killed again and again ends with the same bits as a run that is never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastslow.training.metrics import read_metrics

KILLS, TORN = 10, 3


class Starts:
    """The program that trains in children, one at a time."""

    def __init__(self, root: Path, cache: Path) -> None:
        # One thread while it forks: the pool of the linear algebra would not be there in the children.
        # And no word from the loader of compiled programs, which finds flags that are no features of the processor.
        alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.training.starts", str(cache)],
            cwd=root,
            env=alone,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, folder: Path, *, resume: bool, pace: float) -> int:
        """Begins to train in a child and gives its process number."""
        self._program.stdin.write(json.dumps({"folder": str(folder), "resume": resume, "pace": pace}) + "\n")
        self._program.stdin.flush()
        return int(self._program.stdout.readline())

    def end(self) -> int:
        """Waits for the child and gives its exit code."""
        return int(self._program.stdout.readline())

    def close(self) -> None:
        self._program.communicate()


@pytest.fixture
def starts(root: Path, tmp_path: Path) -> Iterator[Starts]:
    program = Starts(root, tmp_path / "compiled")
    yield program
    program.close()


def wait_for(condition: Callable[[], object], child: int) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        os.kill(child, 0)
        assert time.monotonic() < deadline, "the child does nothing"
        time.sleep(0.0005)


def half_written(folder: Path) -> bool:
    return any(folder.glob("checkpoints/*.orbax-checkpoint-tmp*"))


def newest(folder: Path) -> int:
    return max((0, *(int(path.name) for path in folder.glob("checkpoints/*") if path.name.isdecimal())))


def began_at(folder: Path) -> list[dict]:
    began = Path(f"{folder}.began")
    return [json.loads(line) for line in began.read_text().splitlines()] if began.exists() else []


def figures(folder: Path) -> list[dict]:
    rows = read_metrics(folder / "metrics.jsonl")
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def test_killed_ten_times_and_still_the_same_bits(starts: Starts, tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    starts.begin(calm, resume=False, pace=0)
    assert starts.end() == 0

    chance = random.Random(11)
    kills = torn = 0
    while kills < KILLS or torn < TORN:
        assert kills < 2 * KILLS, "too few kills met a checkpoint's writing"
        child = starts.begin(killed, resume=kills > 0, pace=0.03)
        wait_for(lambda known=kills: len(began_at(killed)) > known, child)
        if kills > 1:  # the first two starts end before there is a whole checkpoint
            wait_for(lambda: newest(killed) > began_at(killed)[-1]["step"], child)
        if not kills % 2:
            time.sleep(chance.uniform(0, 0.3))
        else:
            wait_for(lambda: half_written(killed), child)
            time.sleep(chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        assert starts.end() == -signal.SIGKILL
        kills += 1
        torn += half_written(killed)
    starts.begin(killed, resume=True, pace=0)
    assert starts.end() == 0

    begun = began_at(killed)
    assert len(begun) == kills + 1
    assert len({start["step"] for start in begun}) >= 4, "hardly any start continued from a checkpoint"
    assert "starting from the beginning" in begun[1]["notices"][0]
    assert not half_written(killed)
    assert Path(f"{killed}.sha256").read_text() == Path(f"{calm}.sha256").read_text()
    assert figures(killed) == figures(calm)
