"""The metrics file: lines that are never half there."""

from pathlib import Path

import pytest

from fastslow._checks import UserError
from fastslow.training.metrics import MetricsLog, read_metrics


def written(folder: Path) -> MetricsLog:
    log = MetricsLog(folder / "metrics.jsonl")
    for step in (5, 10, 15):
        log.append({"step": step, "seconds": step / 10, "loss": [1 / step, None]})
    return log


def steps(log: MetricsLog) -> list[int]:
    return [row["step"] for row in read_metrics(log.path)]


def test_lines_are_on_disk_at_once(tmp_path: Path) -> None:
    log = written(tmp_path)
    assert log.path.read_text().splitlines()[0] == '{"step": 5, "seconds": 0.5, "loss": [0.2, null]}'
    assert steps(log) == [5, 10, 15]


@pytest.mark.parametrize(("step", "left"), [(0, []), (9, [5]), (10, [5, 10]), (99, [5, 10, 15])])
def test_cut_back_to_a_step(step: int, left: list[int], tmp_path: Path) -> None:
    log = written(tmp_path)
    last = log.cut_back(step)
    assert steps(log) == left
    assert (last or {}).get("step") == (left[-1] if left else None)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize("torn", ['{"step": 20, "lo', '{"step": 20}', "null\n", '{"x": 1}\n', "\n", "[" * 100_000])
def test_a_torn_last_line_is_removed(torn: str, tmp_path: Path) -> None:
    log = written(tmp_path)
    with log.path.open("a") as file:
        file.write(torn)
    log.cut_back(20)
    log.append({"step": 20, "seconds": 2.0})
    assert steps(log) == [5, 10, 15, 20]


def test_a_figure_that_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        MetricsLog(tmp_path / "metrics.jsonl").append({"step": 1, "loss": float("nan")})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"/dev/full: the disk is full; .* --resume"):
        MetricsLog(Path("/dev/full")).append({"step": 1})


DAMAGED = [
    b"junk",
    b"",
    b"null",
    b"[" * 100_000,
    b'{"seconds": 1}',
    b'{"step": null, "seconds": 1}',
    b'{"step": "5", "seconds": 1}',
    b'{"step": 1e999, "seconds": 1}',
    b'{"step": true, "seconds": 1}',
    b'{"step": -1, "seconds": 1}',
    b'{"step": 5}',
    b'{"step": 5, "seconds": null}',
    b'{"step": 5, "seconds": NaN}',
    b'{"step": 5, "seconds": 1, "loss": "low"}',
    b'{"step": 5, "seconds": 1, "loss": [Infinity]}',
    b'{"step": 5, "seconds": 1, "loss": [[1.0]]}',
    b'{"step": 5, "seconds": 1' + b"0" * 400 + b"}",
    b'{"step": 5, "seconds": 1, "loss": ["\xff"]}',
]


@pytest.mark.parametrize("line", DAMAGED, ids=lambda line: line[:40].decode("latin-1"))
@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_line_before_the_last_is_refused_and_the_file_stays(line: bytes, place: int, tmp_path: Path) -> None:
    log = written(tmp_path)
    lines = log.path.read_bytes().splitlines(keepends=True)
    lines[place] = line + b"\n"
    log.path.write_bytes(before := b"".join(lines))
    sentence = rf"metrics\.jsonl: line {place + 1} is no report of a training \([^\n]*\); [^\n]*\.$"
    for read in (lambda: read_metrics(log.path), lambda: log.cut_back(99), lambda: log.cut_back(0)):
        with pytest.raises(UserError, match=sentence):
            read()
    assert log.path.read_bytes() == before


def test_a_damaged_line_before_a_torn_one_is_refused(tmp_path: Path) -> None:
    log = written(tmp_path)
    with log.path.open("a") as file:
        file.write('junk\n{"step": 20')
    with pytest.raises(UserError, match="line 4 is no report"):
        read_metrics(log.path)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\); choose another run folder\.$"):
        read_metrics(tmp_path)


def test_no_file_is_no_line(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []
