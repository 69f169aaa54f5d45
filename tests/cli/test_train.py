"""`fastslow train`, and what may be done with a run."""

import contextlib
import errno
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.toy import DATA

from fastslow._checks import UserError
from fastslow.cli import train
from fastslow.cli.folders import Notes, write_notes
from fastslow.cli.progress import Watcher
from fastslow.configs.config import read_config
from fastslow.configs.json import to_json
from fastslow.configs.presets import PRESETS, SMOKE
from fastslow.results.row import read_rows
from fastslow.training.folder import RunFolder
from fastslow.training.report import Report

CELL = replace(SMOKE.model.cell, memory=replace(SMOKE.model.cell.memory, slots=4))
ASKED = replace(SMOKE, model=replace(SMOKE.model, cell=CELL))


def cut_in_half(checkpoint):
    biggest = max((path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    biggest.write_bytes(biggest.read_bytes()[: biggest.stat().st_size // 2])


def test_a_run_ends_with_its_result(finished):
    folder, ended = finished
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == str(folder / "result.json")
    own, pixels = read_rows(folder / "result.json")
    assert (own.episodes, own.seeds) == (20, (0,))
    facts = {"protocol": "fine-tune", "regime": "meta", "transductive": False, "inner steps": 1, "updates": 4}
    assert own.facts == facts
    assert (pixels.row, pixels.value, pixels.facts) == ("pixel nearest neighbour", 1.0, {"transductive": False})
    assert own.data == pixels.data == DATA
    assert "pixel nearest neighbour" in ended.out
    assert "100.0 %" in ended.out


def test_a_run_says_where_it_lies_and_how_long_it_takes(finished, copy, call, toy):
    folder, ended = finished
    assert ended.err.splitlines()[0] == f"The run lies in {folder}."  # how long a changed preset takes is not known
    resumed = call("train", "--resume", "--out", copy, "--steps", 6)
    assert f"The run lies in {copy}." in resumed.err.splitlines()
    monitor = SMOKE.build().monitor
    start, later = (Report(step, 4, (0,), {}, monitor, {}, (None,), 0.0, None, 0.0, {}, ()) for step in (0, 2))
    with contextlib.redirect_stderr(io.StringIO()) as err, Watcher() as watcher:
        watch = train._noting(watcher, copy, Notes("smoke", 20), SMOKE)
        for report in start, later:
            watch("smoke", report)
    said = [line for line in err.getvalue().splitlines() if "lies in" in line]
    assert said == [f"The run lies in {copy} and takes about {PRESETS['smoke'].expected} on two cores."]


def test_progress_is_on_standard_error_alone(finished):
    _, ended = finished
    assert "smoke: step 4/4 · loss" in ended.err
    assert "step 4" not in ended.out
    assert "loss" not in ended.out


def test_the_run_folder_holds_what_others_rely_on(finished):
    folder, _ = finished
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert names == {f"figures/{name}.png" for name in ("learning_curve", "confusion", "memory", "gradients")}
    assert {"config.json", "metrics.jsonl", "checkpoints", "result.json"} <= {path.name for path in folder.iterdir()}


def test_the_configuration_is_rebuilt_from_the_run_folder(finished):
    stored = json.loads((finished[0] / "config.json").read_text())
    assert read_config(stored) == ASKED
    assert read_rows(finished[0] / "result.json")[0].config == json.loads(json.dumps(to_json(ASKED)))


def test_a_finished_run_is_not_trained_again(finished, call, monkeypatch):
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained again"))
    folder, first = finished
    before = (folder / "result.json").read_bytes()
    ended = call("train", "--resume", "--out", folder)
    assert (ended.code, ended.out) == (0, first.out)
    assert (folder / "result.json").read_bytes() == before


def test_test_episodes_are_gone_on_with_too(copy, call, monkeypatch):
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained again"))
    noted = json.loads((copy / "preset.json").read_text())
    assert (noted["preset"], noted["episodes"]) == ("smoke", 20)
    write_notes(copy, Notes("smoke", 7), ASKED)
    seen = []
    monkeypatch.setattr(train, "is_result_of", lambda row, config, episodes: seen.append(episodes) or True)
    for words in (), ("--episodes", 9):
        assert call("train", "--resume", "--out", copy, *words).code == 0
    (copy / "preset.json").unlink()
    assert call("train", "smoke", "--resume", "--out", copy, "--episodes", 11).code == 0
    assert seen == [7, 9, 11]


def test_json_is_alone_on_standard_output(finished, call):
    folder, _ = finished
    ended = call("train", "smoke", "--resume", "--out", folder, "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == json.loads((folder / "result.json").read_text())
    assert ended.err.splitlines()[-1] == str(folder / "result.json")


def test_a_run_goes_on_past_a_checkpoint_that_was_cut_in_half(copy, call, toy):
    cut_in_half(copy / "checkpoints" / "4")
    ended = call("train", "smoke", "--resume", "--out", copy, "--steps", 6)
    assert ended.code == 0, ended.err
    assert "checkpoint of step 4 is damaged" in ended.err
    assert [json.loads(line)["step"] for line in (copy / "metrics.jsonl").read_text().splitlines()] == [2, 4, 6]
    assert read_rows(copy / "result.json")[0].config["training"]["steps"] == 6


def test_a_run_whose_checkpoints_are_all_damaged_says_so(copy, call, toy):
    for checkpoint in (copy / "checkpoints").iterdir():
        cut_in_half(checkpoint)
    before = (copy / "result.json").read_bytes()
    ended = call("train", "--resume", "--out", copy, "--steps", 6)
    assert ended.code == 2
    assert "no checkpoint in it is whole" in ended.err
    assert (copy / "result.json").read_bytes() == before


@pytest.mark.parametrize(("verb", "grows"), [("train", True), ("reproduce", False)])
def test_a_run_of_the_main_job_may_grow_and_a_row_of_an_experiment_may_not(
    verb, grows, tmp_path, call, toy, monkeypatch
):
    def refused(*_, grow, **__):
        raise UserError(f"grow: {grow}")

    monkeypatch.setattr("fastslow.papers.rows.train", refused)
    ended = call(verb, "main" if verb == "train" else "fast-slow/main", "--out", tmp_path / "run")
    assert ended.code == 2
    assert f"grow: {grows}" in ended.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["smoke"], "add --resume to continue the run"),
        (["main", "--resume"], "preset: got 'main', expected smoke"),
        (["smoke", "--resume", "--task.way", 7], "task.way: got 7, expected 5"),
        (["smoke", "--resume", "--steps", 2], "training.steps: got 2, expected 4"),
    ],
)
def test_a_used_folder_is_refused(words, sentence, finished, call, toy):
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    ended = call("train", *words, "--out", folder)
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"} == before


def test_a_folder_in_use_by_another_process_is_refused(tmp_path, call, toy):
    with RunFolder(tmp_path, to_json(SMOKE)):
        ended = call("train", "smoke", "--out", tmp_path, "--resume", "--episodes", 20)
    assert ended.code == 2
    assert "in use by another process" in ended.err


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, call, toy):
    (tmp_path / "file").write_text("no folder")
    ended = call("train", "smoke", "--out", tmp_path / "file" / "run")
    assert ended.code == 2
    assert "cannot be written" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("where", ["fastslow.training.files.os.fsync", "fastslow.cli.train.train"])
def test_a_full_disk_is_one_sentence(where, tmp_path, call, toy, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, full)
    ended = call("train", "smoke", "--out", tmp_path)
    assert ended.code == 2
    assert "the disk is full" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


def test_an_error_nobody_foresaw_is_one_sentence_and_a_log(tmp_path, call, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the moon is in the way\nand more")

    monkeypatch.setattr(train, "train", fail)
    log = tmp_path / "error.log"
    ended = call("train", "smoke", "--out", tmp_path)
    assert ended.code == 1
    assert ended.err == f"fastslow: RuntimeError: the moon is in the way; the traceback is in {log}.\n"
    assert log.read_text().startswith("Traceback")
    monkeypatch.setenv("FASTSLOW_TRACEBACK", "1")
    assert "Traceback" in call("train", "smoke", "--out", tmp_path).err


def test_an_interrupt_says_how_to_go_on(copy, call, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", interrupted)
    ended = call("train", "--resume", "--out", copy, "--steps", 6)
    assert ended.code == 130
    assert ended.err.splitlines()[-1].endswith(f"continue with: fastslow train --resume --out {copy}")


def test_flags_reach_the_main_job(tmp_path, call, finished, monkeypatch):
    seen = []

    def run_main(out, config, **settings):
        seen.append((out, config, settings["resume"]))
        shutil.copytree(finished[0], out, dirs_exist_ok=True)
        return read_rows(out / "result.json")

    monkeypatch.setattr(train, "run_main", run_main)
    monkeypatch.chdir(tmp_path)
    words = (
        "--task.way",
        3,
        "--learner.gradient",
        "true",
        "--learner.rate",
        0.5,
        "--steps",
        7,
        "--seeds",
        2,
    )
    ended = call("train", *words)
    assert ended.code == 0
    [(out, config, resume)] = seen
    assert (out, resume) == (Path("runs/main-001"), False)
    assert (config.task.way, config.training.steps, config.training.seeds) == (3, 7, 2)
    assert (config.learner.gradient, config.learner.rate) == ("true", 0.5)
    assert ended.out.splitlines()[-1] == "runs/main-001/result.json"


def test_new_runs_are_numbered_and_the_newest_is_gone_on_with(tmp_path, call, finished, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("train", "smoke", "--resume")
    assert (ended.code, "no run runs/smoke-NNN" in ended.err) == (2, True)
    for number in ("001", "009"):
        shutil.copytree(finished[0], tmp_path / "runs" / f"smoke-{number}")
    ended = call("train", "smoke", "--resume")
    assert (ended.code, ended.err.splitlines()[0]) == (0, "Resuming runs/smoke-009.")
    seen = []
    monkeypatch.setattr(train, "train", lambda config, out, **_: seen.append(out) or 1 / 0)
    assert call("train", "smoke").code == 1
    assert seen == [Path("runs/smoke-010")]


def test_a_mistake_leaves_no_empty_folder(tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("train", "smoke", "--learner.feedback.regime", "both")
    assert ended.code == 2
    assert "regression" in ended.err
    assert list((tmp_path / "runs").iterdir()) == []
