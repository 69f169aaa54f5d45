"""The rows of mann's tables and figures: their sizes, what they differ in, and experiments from end to end."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.papers.drawn import PLACE, drawn

from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.configs.config import read_config
from fastslow.configs.json import to_json
from fastslow.configs.presets import sharp
from fastslow.optim.config import RMSPropConfig
from fastslow.papers.base import BUDGETS
from fastslow.papers.catalogue import find_experiment
from fastslow.papers.mann import ablations, figure2, figure3, figure4, figure5, neighbours, regression, table1, table2
from fastslow.papers.mann.settings import network, without_memory
from fastslow.tasks.omniglot_stream import OmniglotStreamConfig
from fastslow.training.fingerprint import SCHEME, tree_digest
from fastslow.training.state import one_seed


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PLACE, drawn)


def rows_of(table: str, budget: str) -> list:
    if table == "table2":
        return [row for block in table2.blocks(budget) for row in table2.rows(block)]
    if table == "figure4":
        return [figure4.row(budget)]
    if table == "regression":
        return [row for dimensions in (1, 2, 3) for row in regression.rows(dimensions, budget)]
    return {"ablations": ablations, "table1": table1, "figure2": figure2, "figure3": figure3}[table].rows(budget)


TABLES = ("table1", "table2", "ablations", "figure2", "figure3", "figure4", "regression")


@pytest.mark.parametrize(("table", "budget"), list(itertools.product(TABLES, BUDGETS)))
def test_every_row_is_a_training_that_can_be_built_and_read_again(table: str, budget: str) -> None:
    rows = rows_of(table, budget)
    assert len({row.folder for row in rows}) == len({row.name for row in rows}) == len(rows)
    for row in rows:
        row.config.build()
        assert read_config(to_json(row.config)) == row.config


def test_rows_have_the_papers_sizes() -> None:
    for table in TABLES:
        for row in rows_of(table, "paper"):
            cell, training = row.config.model.cell, row.config.training
            assert getattr(cell, "controller", cell).hidden == 200
            memory = getattr(cell, "memory", None)
            heads = 1 if "one_head" in row.folder or "three-of-four" in row.folder or "all-of" in row.folder else 4
            assert memory is None or (memory.slots, memory.width, memory.heads) == (128, 40, heads)
            assert (training.steps, training.batch) == (6250 if row.folder.endswith("6250") else 100_000, 16)
    lengths = {(row.config.task.classes, row.config.task.length) for row in rows_of("table2", "paper")}
    assert lengths == {(5, 50), (15, 100)}
    kept = [row.config for row in rows_of("figure3", "paper") if row.config.learner.persistent]
    assert [(config.task.classes, config.task.length) for config in kept] == [(5, 50), (10, 75)]
    task = figure4.row("paper").config.task
    assert (task.start, task.classes, task.length, task.grow_every) == (15, 25, 250, 10_000)
    assert [len(table2.PAPER[n]) for n in (5, 15)] == [6, 7]


def test_rows_of_a_table_differ_in_what_is_compared_alone() -> None:
    printed = network(OmniglotStreamConfig(), "paper", 0, seeds=3)
    networks = {
        "mann-sharp": sharp(printed),
        "mann": printed,
        "lstm": without_memory(printed),
        "feed-forward": replace(printed, model=replace(printed.model, cell=FeedForwardConfig(hidden=200))),
    }
    for row in table1.rows("paper"):
        name = next(name for name in networks if row.folder.removesuffix("-printed-rmsprop").startswith(name))
        config = replace(row.config, training=printed.training)
        if row.folder.endswith("rmsprop"):
            assert isinstance(config.optimizer, RMSPropConfig)
            config = replace(config, optimizer=printed.optimizer)
        assert config == networks[name]
    for kept, wiped in itertools.pairwise(figure3.rows("laptop")[:2]):
        assert replace(kept.config, learner=replace(kept.config.learner, persistent=False)) == wiped.config
    first, _, *_ = figure2.rows("laptop")
    assert first == next(row for row in table1.rows("laptop") if row.name == "LSTM")


@pytest.mark.slow
def test_figure_5_from_end_to_end_and_again(tmp_path: Path) -> None:
    seen = []
    run = lambda resume: figure5.run(tmp_path, "smoke", resume=resume, watch=lambda name, _: seen.append(name))
    rows = run(False)
    assert {row.row for row in rows} == {"1-D: MANN", "1-D: LSTM", "1-D: GP oracle"}
    assert (tmp_path / "figures" / "function.png").is_file()
    assert set(seen) == {"1-D: MANN", "1-D: LSTM"}
    seen.clear()
    again = run(True)
    assert seen == []
    assert [(row.row, row.value) for row in again] == [(row.row, row.value) for row in rows]


def test_neighbours_are_measured_with_an_autoencoder_of_their_own(in_place, tmp_path: Path) -> None:
    block = table2.blocks("smoke")[0]
    config = neighbours.autoencoder_config(block.streams, replace(block.base.training, steps=2))
    trained = neighbours.train_autoencoder(tmp_path / "a", config, resume=False, watch=lambda name, _: None)
    given = {"episodes": 20, "paper": block.paper(table2.PIXELS)}
    pixels = neighbours.neighbour_rows("mann/table2", "pixels", block.streams, **given)
    deep = neighbours.neighbour_rows("mann/table2", "deep", block.streams, **given, autoencoder=trained)
    for rows in (pixels, deep):
        assert [(row.metric, row.axis) for row in rows] == [("accuracy", {"instance": k}) for k in (1, 2, 3, 4, 5, 10)]
        assert rows[0].paper_value == 0.04
        assert {row.chance for row in rows} == {1 / 3125}
    assert deep[0].config["autoencoder"]["training"]["steps"] == 2
    params = one_seed(trained.states.params, 0)
    assert deep[0].params_digest == {"scheme": SCHEME, "values": [tree_digest(params)]}
    assert pixels[0].params_digest != deep[0].params_digest


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["mann/table1", "mann/table2", "mann/figure2", "mann/figure3", "mann/figure6"])
def test_every_experiment_runs_and_its_finished_rows_are_not_trained_again(name: str, in_place, tmp_path: Path) -> None:
    seen = []
    experiment = find_experiment(name)
    rows = experiment.run(tmp_path, "smoke", resume=False, watch=lambda row, _: seen.append(row))
    assert seen
    seen.clear()
    again = experiment.run(tmp_path, "smoke", resume=True, watch=lambda row, _: seen.append(row))
    assert seen == []
    found = [[(row.row, row.metric, row.axis, row.value) for row in each] for each in (rows, again)]
    assert found[0] == found[1]
    if name == "mann/table2":
        assert len({row.row for row in rows}) == 14


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_figure_4_tests_what_it_was_not_trained_on(in_place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(figure4, "TESTED", (6, 8, 10))
    rows = figure4.run(tmp_path, "smoke", resume=False, watch=lambda name, _: None)
    assert list(dict.fromkeys(row.row for row in rows)) == ["4 classes", "6 classes", "8 classes"]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"training.png", "classes.png"}
    assert np.isfinite([row.value for row in rows]).all()
