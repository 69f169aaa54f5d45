"""The experiment with paths: its rows, what is kept of their measurements, and what is drawn."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.tasks.test_tracks import OWN, table

from fastslow.papers.fast_slow import stanford, trajectories
from fastslow.tasks.tracks import TracksConfig

KEPT = {trajectories.NMN, "MetaNet"}


def test_rows_of_the_comparison_differ_in_the_feedback_alone() -> None:
    rows = {row.name: row.config for row in trajectories.rows("laptop")}
    for ending in ("", ", as printed", ", learned through"):
        one, other = rows[trajectories.NMN_SG + ending], rows[trajectories.NMN + ending]
        assert one != other
        assert replace(one, learner=replace(one.learner, feedback=other.learner.feedback)) == other
    assert {config.training.seeds for config in rows.values()} == {5}


def test_every_row_can_be_built_on_the_other_data_set_too() -> None:
    for row in trajectories.rows("laptop", stanford.STANFORD):
        row.config.build()


def test_rows_as_printed_have_the_papers_settings() -> None:
    for row in trajectories.rows("paper"):
        config = row.config
        if row.name.endswith("as printed"):
            assert (config.training.steps, config.optimizer.learning_rate) == (100, 1e-5)
            assert (config.task.origin, config.task.turned) == ("scene", False)


@pytest.fixture
def data(tmp_path: Path) -> TracksConfig:
    return replace(OWN, data=str(table(tmp_path)))


@pytest.mark.slow
def test_rows_are_trained_measured_and_drawn_and_read_again(
    data: TracksConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, told, out = trajectories.rows, [], tmp_path / "out"
    kept = lambda budget, data: [row for row in whole(budget, data) if row.name in KEPT]
    monkeypatch.setattr(trajectories, "rows", kept)
    run = lambda resume: trajectories.run_on(
        "x", data, out, "smoke", resume=resume, watch=lambda name, report: told.append(name)
    )
    found = run(False)
    names = [*trajectories.CONSTANT, trajectories.NMN, "MetaNet"]
    assert list(dict.fromkeys(row.row for row in found)) == names
    steps = lambda name: [row.axis["steps"] for row in found if (row.row, row.metric) == (name, "MSE")]
    assert steps(trajectories.NMN) == [0, 1, 8]
    assert steps("MetaNet") == [1]
    # straight paths are where constant velocity leads
    moving = [row.value for row in found if row.row == "constant velocity" and row.metric == "ADE"]
    assert max(moving) < 1e-4
    series = next(row.series for row in found if row.row == trajectories.NMN and row.series)
    assert series["MSE"]["steps"] == list(range(9))
    assert {file.name for file in (out / "figures").iterdir()} == {"errors.png", "paths.png"}
    told.clear()
    assert run(True) == found
    assert told == []
