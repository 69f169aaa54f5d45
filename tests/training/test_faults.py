"""Run folders that were changed by hand: refused in one sentence, before a byte of them is written."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.training.toy import blobs, softmax

from fastslow._checks import UserError
from fastslow.training.checkpoint import SEAL, Checkpoints
from fastslow.training.config import TrainingConfig
from fastslow.training.fingerprint import tree_digest
from fastslow.training.folder import RunFolder, read_json
from fastslow.training.loop import fit, run_to_end
from fastslow.training.metrics import read_metrics
from fastslow.training.report import Report
from fastslow.training.state import TrainState, stored_shapes

CONFIG = TrainingConfig(steps=6, batch=4, log_every=2, validate_every=3, validation_episodes=4, checkpoint_every=2)
LONGER = replace(CONFIG, steps=8)


def run(folder: Path, config: TrainingConfig, *, resume: bool) -> tuple[TrainState, list[Report]]:
    reports: list[Report] = []
    with RunFolder(folder, asdict(config), resume=resume) as opened:
        state = run_to_end(fit(softmax(), blobs(), config, validation=blobs(), folder=opened), reports.append)
    return state, reports


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(folder, CONFIG, resume=False)
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def first_line_is_junk(folder: Path) -> None:
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(["junk\n", *lines[1:]]))


def checkpoints_are_a_file(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints")
    (folder / "checkpoints").write_text("")


def checkpoints_are_gone(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints")


def every_checkpoint_is_damaged(folder: Path) -> None:
    for step in Checkpoints(folder / "checkpoints").steps():
        (folder / "checkpoints" / str(step) / SEAL).write_text("{}")


def text_in(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


DEEP = "[" * 100_000
FAULTS = {
    "junk in line 1": (first_line_is_junk, r"metrics\.jsonl: line 1 is no report"),
    "a file for checkpoints": (checkpoints_are_a_file, r"checkpoints: is a file where a folder is expected"),
    "no checkpoints": (checkpoints_are_gone, r"no checkpoint in it is whole \(all are missing\)"),
    "damaged checkpoints": (
        every_checkpoint_is_damaged,
        r"no checkpoint in it is whole \(damaged: those of step 4, 6\)",
    ),
    "half an environment": (text_in("environment.json", "{"), r"environment\.json: cannot be read"),
    "a list for an environment": (text_in("environment.json", "[]"), r"environment\.json: got list"),
    "a deep environment": (text_in("environment.json", DEEP), r"environment\.json: cannot be read \(it is nested"),
    "a deep configuration": (text_in("config.json", DEEP), r"config\.json: cannot be read \(it is nested"),
    "text for steps": (text_in("config.json", '{"steps": "x"}'), r"batch: got 4, expected nothing as in"),
    "junk for the newest step": (text_in("newest.json", "[]"), r"newest\.json: does not hold the step"),
    "a deep newest step": (text_in("newest.json", DEEP), r"newest\.json: does not hold the step"),
    "text for the newest step": (text_in("newest.json", '{"step": "6"}'), r"newest\.json: does not hold the step"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("config", [CONFIG, LONGER], ids=["same", "longer"])
def test_a_fault_is_one_sentence_and_nothing_is_written(fault: str, config: TrainingConfig, copy: Path) -> None:
    harm, sentence = FAULTS[fault]
    harm(copy)
    before = contents(copy)
    with pytest.raises(UserError, match=sentence) as refused:
        run(copy, config, resume=True)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")
    assert contents(copy) == before


def test_text_for_steps_is_named(copy: Path) -> None:
    stored = json.loads((copy / "config.json").read_text())
    for wrong in ("6", None, [6], 6.5, True):
        (copy / "config.json").write_text(json.dumps({**stored, "steps": wrong}))
        with pytest.raises(UserError, match=r"^steps(\.0)?: got .*, expected .* as in "):
            run(copy, LONGER, resume=True)


def test_a_run_without_a_fault_may_be_made_longer(copy: Path) -> None:
    state, reports = run(copy, LONGER, resume=True)
    assert (reports[0].step, int(state.step)) == (6, 8)
    assert read_json(copy / "config.json")["steps"] == 8
    assert read_json(copy / "newest.json") == {"step": 8}


def an_empty_one(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()
    (checkpoint / SEAL).write_text("{}")


def one_of_text(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()
    (checkpoint / "text").write_text("dear")
    (checkpoint / SEAL).write_text(json.dumps({"text": hashlib.sha256(b"dear").hexdigest()}))


def one_of_another_step(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)
    shutil.copytree(checkpoint.with_name("4"), checkpoint)


def one_with_a_deep_seal(checkpoint: Path) -> None:
    (checkpoint / SEAL).write_text(DEEP)


@pytest.mark.parametrize("harm", [an_empty_one, one_of_text, one_of_another_step, one_with_a_deep_seal])
def test_no_checkpoint_under_a_valid_seal_gives_way_to_the_one_before(
    harm: Callable[[Path], None], copy: Path, finished: Path
) -> None:
    harm(copy / "checkpoints" / "6")
    state, reports = run(copy, CONFIG, resume=True)
    assert reports[0].step == 4
    assert "The checkpoint of step 6 is damaged and was passed over for an earlier one." in reports[0].notices
    whole, _ = Checkpoints(finished / "checkpoints").load(stored_shapes(softmax(), CONFIG))
    assert tree_digest(state.learner.params) == tree_digest(whole.learner.params)


def test_a_run_whose_newest_checkpoint_is_missing_says_so_and_trains_it_again(copy: Path, finished: Path) -> None:
    shutil.rmtree(copy / "checkpoints" / "6")
    checkpoints = Checkpoints(copy / "checkpoints")
    with pytest.raises(UserError, match=r"the checkpoint of step 6, which was saved last, is missing, .* of step 4; "):
        checkpoints.require_newest()
    _, reports = run(copy, CONFIG, resume=True)
    assert reports[0].step == 4
    assert any("checkpoint of step 6, which was saved last, is missing" in said for said in reports[0].notices)
    checkpoints.require_newest()
    without_time = lambda folder: [{**row, "seconds": 0, "steps_per_second": 0} for row in read_metrics(folder)]
    assert without_time(copy / "metrics.jsonl") == without_time(finished / "metrics.jsonl")


def test_a_run_of_an_older_version_has_no_record(copy: Path) -> None:
    (copy / "newest.json").unlink()
    shutil.rmtree(copy / "checkpoints" / "6")
    Checkpoints(copy / "checkpoints").require_newest()
    assert run(copy, CONFIG, resume=True)[1][0].step == 4
    assert read_json(copy / "newest.json") == {"step": 6}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DEEP, "nested too deeply"),
        ("[" * 60 + "]" * 60, "nested too deeply"),
        ('{"x": NaN}', "NaN is no"),
        ("\udcff", ""),
    ],
)
def test_json_that_a_run_folder_never_holds_is_one_sentence(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=rf"^[^\n]*x\.json: cannot be read \([^\n]*{reason}[^\n]*\.$"):
        read_json(tmp_path / "x.json")
