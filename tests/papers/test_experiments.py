"""Experiments end to end with a small task and network: what is trained, and what is read again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.cli.toy import put_in_place
from tests.results.rows import ROW

from fastslow._checks import UserError
from fastslow.configs.config import read_config
from fastslow.configs.json import to_json
from fastslow.configs.presets import SMOKE
from fastslow.models.flatten import FlattenConfig
from fastslow.papers.base import BUDGETS
from fastslow.papers.catalogue import EXPERIMENTS
from fastslow.papers.fast_slow import analysis, main, rare, regimes, sharing, table1, trajectories, worth
from fastslow.papers.rows import Row, Setting, run_rows
from fastslow.results.row import read_rows
from fastslow.training.metrics import read_metrics

TABLES = [regimes, table1, worth, rare, trajectories, sharing, analysis]
FLAT = FlattenConfig()
"""In place of convolutions, which take long to compile."""
SMALL = replace(
    SMOKE,
    model=replace(SMOKE.model, embed=FLAT),
    training=replace(SMOKE.training, steps=2, checkpoint_every=2, validate_every=2),
)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The small task in place, and the names of rows whose training reports."""
    put_in_place(monkeypatch.setattr)
    return []


def notices(told: list[str]):
    """A watch that gathers the sentences for the user."""
    return lambda name, report: told.extend(report.notices)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("table", TABLES, ids=lambda module: module.NAME)
def test_every_row_is_a_training_that_can_be_built(table, budget: str) -> None:
    rows = table.rows(budget)
    assert len({row.folder for row in rows}) == len({(row.name, str(row.settings)) for row in rows}) == len(rows)
    for row in rows:
        row.config.build()
        for config in (row.config, *row.measured):
            assert read_config(to_json(config)) == config


def test_rows_of_a_comparison_differ_in_what_is_compared_alone() -> None:
    rows = regimes.rows("laptop")
    for row in rows:
        assert replace(row.config, learner=rows[0].config.learner) == rows[0].config
    streamed, meta = (row.config.learner for row in reversed(rows[-2:]))
    assert replace(streamed, support_order="independent", query_memory="initial") == meta
    assert rows[0].config.training.seeds == 3


def test_table_1_compares_networks_on_the_same_episodes() -> None:
    """What serves any number of classes differs in model, learner, seeds and split alone, and is measured alike."""
    rows = [*table1.joined("laptop"), *table1.rivals_for_any_way("laptop")]
    rows = [row for row in rows if row.folder != table1.of_five_examples("laptop").folder]
    first = rows[0].config
    for row in rows:
        config = row.config
        assert config.task == replace(first.task, split=config.task.split)
        assert config.training == replace(first.training, seeds=config.training.seeds)
        assert config.optimizer == first.optimizer
        assert [setting.label for setting in row.settings] == [s.label for s in rows[0].settings]
        assert all(setting.task.split == config.task.split for setting in row.settings)
        assert ("ordered" in row.name) == (config.task.split == table1.ORDERED)
    assert first.training.seeds == 3


def test_the_analysis_changes_one_setting_of_a_row() -> None:
    rows = {row.name: row.config for row in analysis.rows("laptop")}
    assert {*analysis.TIMED, *analysis.DRAWN} <= set(rows)
    assert {row.name for row in analysis.rows("smoke")} >= {*analysis.TIMED, *analysis.DRAWN, *analysis.SMOKE_ROWS}
    streamed = rows[analysis.STREAMED].learner
    assert replace(streamed, support_order="independent", query_memory="initial") == rows[analysis.BOTH].learner
    for name, config in rows.items():
        of, _, setting = name.partition(": ")
        learner, base = config.learner, rows[of].learner
        assert replace(config, learner=base) == rows[of]
        assert learner.gradients
        changed = {"inner": "steps", "predictors": "feedback", "α": "feedback"}.get(setting.split(" ")[0])
        if changed is None:
            assert learner == base or name.endswith("streamed")
            continue
        assert getattr(learner, changed) != getattr(base, changed)
        assert replace(learner, **{changed: getattr(base, changed)}) == base
        if changed == "feedback":
            field = "only" if "predictors" in setting else "alpha"
            assert replace(learner.feedback, **{field: getattr(base.feedback, field)}) == base.feedback


@pytest.mark.slow
def test_the_analysis_measures_gradients_and_times(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [row for row in analysis.rows("smoke") if row.name in analysis.DRAWN[:1]]
    flat = lambda config: replace(config, model=SMALL.model, training=replace(SMALL.training, seeds=2))
    monkeypatch.setattr(analysis, "rows", lambda budget: [replace(row, config=flat(row.config)) for row in kept])
    monkeypatch.setattr(analysis, "DRAWN", analysis.DRAWN[:1])
    monkeypatch.setattr(analysis, "UPDATES", 1)
    rows = analysis.run(tmp_path, "smoke", resume=False, watch=lambda name, report: None)
    found = {(row.metric, row.axis.get("controller")): row.value for row in rows}
    assert set(found) == {
        ("accuracy", None),
        ("time of an update", None),
        *((metric, name) for metric in ("cosine", "ratio of norms") for name in ("input", "output")),
    }
    assert found["time of an update", None] > 0
    timed = next(row for row in rows if row.metric == "time of an update")
    assert (timed.seeds, timed.episodes) == ((0,), analysis.ROUNDS)
    lines = read_metrics(tmp_path / kept[0].folder / "metrics.jsonl")
    last = [line for line in lines if "validation_agreement_gradient_input" in line][-1]
    assert found["cosine", "input"] == pytest.approx(np.mean(last["validation_agreement_gradient_input"]))
    ratio = np.divide(last["validation_synthetic_gradient_output"], last["validation_true_gradient_output"])
    assert found["ratio of norms", "output"] == pytest.approx(np.mean(ratio))
    assert (tmp_path / "figures" / "gradients.png").is_file()


def test_the_sweep_draws_a_line_over_slots_for_each_network() -> None:
    at = lambda slots, value: replace(
        ROW, row=worth.name_of(slots, "memory alone"), axis={"setting": "a"}, value=value, ci95=(value, value)
    )
    (title,), (lines,) = zip(*worth.panels([at(5, 0.5), at(100, 0.75)]).items(), strict=True)
    assert title == "a"
    assert list(lines) == ["memory alone"]
    assert lines["memory alone"].tolist() == [[5, 0.5, 0.5, 0.5], [100, 0.75, 0.75, 0.75]]


def test_every_experiment_says_how_long_it_takes() -> None:
    for name, experiment in EXPERIMENTS.items():
        assert experiment.name == name
        assert set(experiment.expected) == set(BUDGETS)


def test_the_main_job_compares_a_network_with_each_of_its_parts(trained, tmp_path: Path) -> None:
    watch = lambda name, report: trained.append(name)
    out = tmp_path / "main"
    small = replace(main.tiny(), model=replace(main.tiny().model, embed=FLAT), training=SMALL.training)
    rows = main.run_main(out, small, resume=False, watch=watch, episodes=4)
    assert [row.row for row in rows] == [main.BOTH, main.MEMORY, main.STEPS, main.PIXELS]
    assert [row.facts.get("inner steps") for row in rows] == [1, 0, 1, None]
    both, memory, steps = (read_config(dict(row.config)) for row in rows[:3])
    assert [both.model.slots, memory.model.slots, steps.model.slots] == [5, 5, 0]
    assert replace(memory, learner=both.learner) == both == replace(steps, model=both.model)
    assert len({row.data["split"] for row in rows}) == 1
    assert read_rows(out / "result.json") == rows
    assert (out / "figures" / "learning_curve.png").is_file()

    # finished: read again, and its figures drawn again where they are gone
    trained.clear()
    (out / "figures" / "learning_curve.png").unlink()
    again = main.run_main(out, small, resume=True, watch=watch, episodes=4)
    assert trained == []
    assert [row.value for row in again] == [row.value for row in rows]
    assert (out / "figures" / "learning_curve.png").is_file()


def test_a_finished_row_is_read_or_measured_again_and_never_made_longer(trained, tmp_path: Path) -> None:
    watch = lambda name, report: trained.append(name)
    row = Row("one", "one", SMALL, {"accuracy": 0.5})
    first = run_rows("some", [row], tmp_path, resume=False, watch=watch, episodes=4)
    assert first[0].paper_value == 0.5
    trained.clear()
    assert run_rows("some", [row], tmp_path, resume=True, watch=watch, episodes=4) == first
    assert trained == []
    longer = replace(row, config=replace(SMALL, training=replace(SMALL.training, steps=4)))
    with pytest.raises(UserError, match=r"training\.steps: got 4, expected 2"):
        run_rows("some", [longer], tmp_path, resume=True, watch=watch, episodes=4)
    assert json.loads((tmp_path / "one" / "config.json").read_text())["training"]["steps"] == 2
    assert trained == []
    fresh = run_rows("some", [row], tmp_path / "fresh", resume=True, watch=notices(trained), episodes=4)
    assert any("holds no run yet: starting from the beginning" in notice for notice in trained)
    assert fresh[0].value == first[0].value
    steps = []
    measured = run_rows(
        "some", [row], tmp_path, resume=True, watch=lambda name, report: steps.append(report.step), episodes=6
    )
    assert measured[0].episodes == 6
    assert steps == [2]


def test_a_row_is_measured_in_each_of_its_settings(trained, tmp_path: Path) -> None:
    watch = lambda name, report: trained.append(name)
    settings = (
        Setting("as trained", SMALL.task, {"accuracy": 0.5}),
        Setting("more queries", replace(SMALL.task, queries=SMALL.task.queries + 1)),
    )
    row = Row("one", "one", SMALL, settings=settings)
    found = run_rows("some", [row], tmp_path, resume=False, watch=watch, episodes=4)
    assert [dict(result.axis) for result in found] == [{"setting": setting.label} for setting in settings]
    assert [result.config["task"] for result in found] == [to_json(setting.task) for setting in settings]
    assert [result.paper_value for result in found] == [0.5, None]
    assert found[0].params_digest == found[1].params_digest

    trained.clear()
    assert run_rows("some", [row], tmp_path, resume=True, watch=watch, episodes=4) == found
    assert trained == []
    more = replace(row, settings=(*settings, Setting("most queries", replace(SMALL.task, queries=3))))
    again = run_rows("some", [more], tmp_path, resume=True, watch=watch, episodes=4)
    assert [result.axis["setting"] for result in again] == ["as trained", "more queries", "most queries"]
