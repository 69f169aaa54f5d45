"""The metrics file: lines that are never half there."""

from pathlib import Path

import pytest

from fastslow._checks import UserError
from fastslow.training.metrics import MetricsLog, read_metrics


def written(folder: Path) -> MetricsLog:
    log = MetricsLog(folder / "metrics.jsonl")
    for step in (5, 10, 15):
        log.append({"step": step, "loss": [1 / step, None]})
    return log


def steps(log: MetricsLog) -> list[int]:
    return [row["step"] for row in read_metrics(log.path)]


def test_lines_are_on_disk_at_once(tmp_path: Path) -> None:
    log = written(tmp_path)
    assert log.path.read_text().splitlines()[0] == '{"step": 5, "loss": [0.2, null]}'
    assert steps(log) == [5, 10, 15]


@pytest.mark.parametrize(("step", "left"), [(0, []), (9, [5]), (10, [5, 10]), (99, [5, 10, 15])])
def test_cut_back_to_a_step(step: int, left: list[int], tmp_path: Path) -> None:
    log = written(tmp_path)
    last = log.cut_back(step)
    assert steps(log) == left
    assert (last or {}).get("step") == (left[-1] if left else None)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize("torn", ['{"step": 20, "lo', '{"step": 20}', "null\n", '{"x": 1}\n', "\n"])
def test_a_torn_line_goes(torn: str, tmp_path: Path) -> None:
    log = written(tmp_path)
    with log.path.open("a") as file:
        file.write(torn)
    log.cut_back(20)
    log.append({"step": 20})
    assert steps(log) == [5, 10, 15, 20]


def test_a_figure_that_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        MetricsLog(tmp_path / "metrics.jsonl").append({"step": 1, "loss": float("nan")})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"/dev/full: the disk is full; .* --resume"):
        MetricsLog(Path("/dev/full")).append({"step": 1})
