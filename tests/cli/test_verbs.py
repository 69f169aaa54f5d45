"""The verbs beside `train`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fastslow import __version__
from fastslow.cli import evaluate, outline, reproduce
from fastslow.configs.presets import PRESETS
from fastslow.papers.base import Experiment
from fastslow.papers.catalogue import EXPERIMENTS
from fastslow.results.row import read_rows, write_rows


def test_evaluate_leaves_the_training_as_it_was(finished, call, toy):
    folder, _ = finished
    before = (folder / "result.json").read_bytes()
    ended = call("evaluate", folder, "--episodes", 4, "--statistics", "episode", "--split", "validation")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == str(folder / "evaluation.json")
    own, pixels = read_rows(folder / "evaluation.json")
    assert (own.facts["transductive"], own.episodes) == (True, 4)
    assert own.data["split"] == "5 each, validation classes"
    assert own.config["learner"]["statistics"] == "episode"
    assert (pixels.episodes, pixels.facts["transductive"]) == (4, False)
    assert own.params_digest == read_rows(folder / "result.json")[0].params_digest
    assert (folder / "result.json").read_bytes() == before


def test_evaluate_measures_what_training_measured(finished, call, toy, tmp_path):
    folder, _ = finished
    ended = call("evaluate", folder, "--episodes", 20, "--json", "--out", tmp_path / "x.json")
    assert ended.code == 0, ended.err
    again, first = json.loads(ended.out)[0], read_rows(folder / "result.json")[0]
    assert (again["value"], tuple(again["ci95"])) == (first.value, first.ci95)


def test_evaluate_sees_at_once_where_it_cannot_write(finished, call, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "measure", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file" / "x.json"):
        ended = call("evaluate", finished[0], "--out", out)
        assert (ended.code, "cannot be written" in ended.err.splitlines()[-1]) == (2, True)


def test_evaluate_overwrites_no_earlier_result_of_a_release(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("omniglot-result.json", "omniglot-result-2.json", "omniglot-result-3.json"):
        assert evaluate.default_out("omniglot") == Path(name)
        Path(name).touch()


def test_evaluate_takes_other_streams_for_networks_on_streams_alone(finished, call, toy):
    for flag, value in ("--classes", 5), ("--examples", 5), ("--examples", 0):
        ended = call("evaluate", finished[0], flag, value)
        assert (ended.code, ended.out) == (2, "")
        said = "streams: got a network for task glyphs, expected one that was trained on omniglot-stream"
        assert said in ended.err.splitlines()[-1]


def test_evaluate_measures_other_numbers_of_classes_and_examples(finished, call, toy, tmp_path):
    out = tmp_path / "x.json"
    ended = call("evaluate", finished[0], "--shot", 1, 2, "--episodes", 4, "--out", out, "--experiment", "mine")
    assert ended.code == 0, ended.err
    rows = read_rows(out)
    settings = ["5-way 1-shot"] * 2 + ["5-way 2-shot"] * 2
    assert [row.axis["setting"] for row in rows] == settings
    assert [row.config["task"]["shot"] for row in rows] == [1, 1, 2, 2]
    assert [row.row for row in rows[::2]] == [rows[0].row] * 2
    ended = call("evaluate", finished[0], "--way", 7)
    said = "fastslow: --way: got 7, expected 5, the number of classes that learner fine-tune is bound to.\n"
    assert (ended.code, ended.err.splitlines(keepends=True)[-1]) == (2, said)


def test_evaluate_replaces_results_alone(finished, call, toy, tmp_path, monkeypatch):
    row = read_rows(finished[0] / "result.json")[0]
    monkeypatch.setattr(evaluate, "measure", lambda *_, **__: [row])
    notes, out = tmp_path / "notes.md", tmp_path / "x.json"
    notes.write_text("Mine.")
    ended = call("evaluate", finished[0], "--out", notes)
    assert (ended.code, ended.out, notes.read_text()) == (2, "", "Mine.")
    said = f"fastslow: --out: got '{notes}', expected a new file, or a result file to replace; choose another name.\n"
    assert ended.err.endswith(said)
    first, again = (call("evaluate", finished[0], "--out", out, "--episodes", 4) for _ in range(2))
    assert (first.code, again.code) == (0, 0), again.err
    replaced = f"{out} holds 2 rows of earlier results, which the new ones replace."
    assert (replaced in first.err, replaced in again.err) == (False, True)


@pytest.mark.parametrize("verb", ["evaluate", "plot"])
def test_what_is_no_run_with_a_checkpoint_is_refused(verb, copy, call, toy, tmp_path):
    shutil.copytree(copy, tmp_path / "experiment" / "row")
    ended = call(verb, tmp_path / "experiment")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.endswith(f"which holds config.json; choose one of the runs in it: {tmp_path}/experiment/row.\n")
    shutil.rmtree(copy / "checkpoints")
    (copy / "newest.json").unlink(missing_ok=True)
    ended = call(verb, copy)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    said = "expected a run that has saved a checkpoint; wait until it has made 2 updates, or train on with --resume.\n"
    assert ended.err == f"fastslow: run: got '{copy}', {said}"


def test_plot_draws_all_figures_again(finished, call, toy, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "copy", ignore=shutil.ignore_patterns("figures"))
    ended = call("plot", folder)
    assert ended.code == 0, ended.err
    drawn = ended.out.splitlines()
    assert drawn == [f"{folder}/figures/{n}.png" for n in ("learning_curve", "confusion", "memory", "gradients")]
    for path in drawn:
        assert Path(path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.fixture
def experiment(finished, monkeypatch):
    """An experiment that is over at once."""
    row = replace(read_rows(finished[0] / "result.json")[0], experiment="fast-slow/main", value=0.5, ci95=(0.4, 0.6))
    found = Experiment(
        name="fast-slow/main",
        summary="",
        expected=dict.fromkeys(("smoke", "laptop", "paper"), "no time"),
        run=lambda out, budget, *, resume, watch: [replace(row, paper_value=0.75)],
    )
    monkeypatch.setattr(reproduce, "find_experiment", lambda name: found)


def test_reproduce_shows_the_paper_beside(experiment, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("reproduce", "fast-slow/main")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "runs/fast-slow-main-laptop-001/result.json"
    for figure in ("50.0 %", "40.0 % … 60.0 %", "75.0 %", "-25.0"):
        assert figure in ended.out
    assert "no time on two cores" in ended.err
    assert "The runs lie in runs/fast-slow-main-laptop-001." in ended.err
    assert read_rows(tmp_path / "runs/fast-slow-main-laptop-001/result.json")[0].paper_value == 0.75


def test_reproduce_saves_into_the_checkout(experiment, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = call("reproduce", "fast-slow/main", "--save")
    assert (refused.code, (tmp_path / "runs").exists()) == (2, False)
    (tmp_path / "README.md").write_text("")
    (tmp_path / "results").mkdir()
    refused = call("reproduce", "fast-slow/main", "--save", "--budget", "smoke")
    assert (refused.code, "smoke result" in refused.err) == (2, True)
    (tmp_path / "out" / "figures").mkdir(parents=True)
    (tmp_path / "out" / "figures" / "curve.png").write_bytes(b"a picture")
    ended = call("reproduce", "fast-slow/main", "--save", "--resume", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert str(tmp_path / "out" / "figures" / "curve.png") in ended.out
    saved = tmp_path / "results" / "fast-slow" / "main" / "laptop.json"
    assert saved.read_bytes() == (tmp_path / "out" / "result.json").read_bytes()
    assert saved.with_name("laptop-curve.png").read_bytes() == b"a picture"
    refused = call("reproduce", "fast-slow/main", "--out", tmp_path / "out")
    assert (refused.code, "--resume" in refused.err) == (2, True)


def test_report_tells_stale_tables(finished, call, tmp_path):
    row = replace(read_rows(finished[0] / "result.json")[0], experiment="some")
    write_rows(tmp_path / "results" / "some" / "laptop.json", [row])
    (tmp_path / "README.md").write_text("<!-- table:some -->\n<!-- end:some -->\n")
    stale = call("report", "--check", "--root", tmp_path)
    assert (stale.code, stale.out) == (1, "out of date: README.md: table:some\n")
    changed = call("report", "--root", tmp_path)
    assert (changed.code, changed.out) == (0, f"changed: {tmp_path / 'README.md'}\n")
    assert call("report", "--check", "--root", tmp_path).code == 0


def test_the_outline_is_what_the_modules_hold():
    assert [(e.name, e.summary, e.expected) for e in outline.presets()] == [
        (name, preset.summary, preset.expected) for name, preset in PRESETS.items()
    ]
    told = {e.name: (e.summary, e.expected) for e in outline.experiments()}
    assert told == {
        name: (found.summary, ", ".join(f"{budget} {time}" for budget, time in found.expected.items()))
        for name, found in EXPERIMENTS.items()
    }


def test_list_names_everything(call, monkeypatch, tmp_path):
    ended = call("list")
    assert (ended.code, ended.err) == (0, "")
    for name in (*PRESETS, *EXPERIMENTS):
        assert name in ended.out


def test_list_names_released_models(call, monkeypatch, tmp_path):
    folder = tmp_path / "zoo" / "releases" / "little"
    folder.mkdir(parents=True)
    (folder / "params.npz").write_bytes(b"")
    (folder / "config.json").write_text('{"task": {"way": 4, "shot": 2}}')
    (folder / "card.md").write_text("# little\n\nTells little\nthings apart. And more.\n")
    monkeypatch.setattr(outline, "_PACKAGE", tmp_path)
    assert outline.releases() == [outline.Entry("little", "Tells little things apart", "4-way 2-shot")]
    for task, made_for in (({"classes": 7}, "streams, 7 classes"), ({"kind": "gaussian-process"}, "gaussian-process")):
        (folder / "config.json").write_text(json.dumps({"task": task}))
        assert [entry.expected for entry in outline.releases()] == [made_for]


def test_the_version_is_told(call):
    assert call("--version").out == f"fastslow {__version__}\n"
