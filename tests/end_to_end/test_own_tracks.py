"""A table of one's own tracks, from the command line to a result."""

from pathlib import Path

import pytest
from tests.tasks.test_tracks import table

from fastslow.cli.main import main
from fastslow.results.row import read_rows

SIZES = "--task.observed 12 --task.predicted 4 --task.rate 5 --task.shots 2 --task.queries 1 --task.training 4"
COLUMNS = ["track", "who", "time", "frame", "x", "east", "y", "north", "agent", "kind", "rate", "5"]
MODEL = "--model network --model.embed lstm-rows --model.cell.width 8 --learner fine-tune --learner.steps 1"
TRAINING = "--steps 2 --training.batch 2 --training.validation-episodes 2 --episodes 4 --optimizer.schedule constant"


@pytest.mark.slow
def test_a_network_learns_the_tracks_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = [f"--task.columns.{name}={value}" for name, value in zip(COLUMNS[::2], COLUMNS[1::2], strict=True)]
    agents = "--task.learned bike --task.tested walker --task.groups any --task.source file"
    out = tmp_path / "run"
    argv = ["train", "--task", "tracks", *f"{SIZES} {agents} {MODEL} {TRAINING}".split(), *columns]
    code = main([*argv, "--data", str(table(tmp_path)), "--out", str(out)])
    assert code == 0, capsys.readouterr().err
    rows = read_rows(out / "result.json")
    assert [(row.metric, row.unit) for row in rows] == [("MSE", "m²"), ("ADE", "m"), ("FDE", "m")]
    assert {file.name for file in (out / "figures").iterdir()} == {"learning_curve.png", "gradients.png"}
    assert main([*argv, "--data", str(tmp_path / "none.csv"), "--out", str(tmp_path / "other")]) == 2
    assert "none.csv" in capsys.readouterr().err
