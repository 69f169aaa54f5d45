"""The loop on the host: when it reports, validates and saves, and that stopping it anywhere changes nothing."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
import pytest
from tests.training.toy import Softmax, blobs, softmax

from fastslow._checks import UserError
from fastslow.training.checkpoint import Checkpoints
from fastslow.training.config import TrainingConfig
from fastslow.training.evaluate import evaluate_all
from fastslow.training.fingerprint import named_arrays, tree_digest
from fastslow.training.folder import RunFolder
from fastslow.training.loop import TrainingDivergedError, fit, run_to_end
from fastslow.training.metrics import read_metrics
from fastslow.training.report import Report
from fastslow.training.state import TrainState, chosen_state

CONFIG = TrainingConfig(
    steps=12, batch=4, log_every=3, validate_every=4, validation_episodes=10, checkpoint_every=5, seed=2, seeds=2
)


def run(
    folder: Path,
    config: TrainingConfig = CONFIG,
    *,
    resume: bool = False,
    learner: Softmax | None = None,
    watch: Callable[[Report], object] | None = None,
) -> TrainState:
    with RunFolder(folder, asdict(config), resume=resume) as opened:
        return run_to_end(fit(learner or softmax(), blobs(), config, validation=blobs(), folder=opened), watch)


def rows(folder: Path) -> list[dict]:
    """The metrics without what the clock says."""
    kept = list(read_metrics(folder / "metrics.jsonl"))
    return [{name: value for name, value in row.items() if "second" not in name} for row in kept]


def stop_at(step: int) -> Callable[[Report], None]:
    def watch(report: Report) -> None:
        if report.step == step:
            raise InterruptedError

    return watch


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainState, list[Report]]:
    folder, reports = tmp_path_factory.mktemp("run") / "whole", []
    return folder, run(folder, watch=reports.append), reports


def test_reports_come_when_they_are_due(undisturbed) -> None:
    _, state, reports = undisturbed
    assert [report.step for report in reports] == [0, 3, 4, 6, 8, 9, 12]
    assert reports[0].metrics == {}
    assert all(set(report.metrics) == {"loss", "accuracy"} for report in reports[1:])
    assert [report.step for report in reports if report.validation] == [4, 8, 12]
    assert reports[1].best == (None, None)
    assert reports[-1].best == tuple(state.best.value.tolist())
    assert reports[-1].seeds == (2, 3)
    assert reports[-1].steps == 12
    assert reports[-1].steps_per_second > 0
    assert [r.remaining is None for r in reports] == [True] + 6 * [False]
    assert reports[-1].remaining == 0
    # at the rate since the first update, whatever came between two reports
    seconds = [r.remaining / (12 - r.step) * (r.step - 1) for r in reports[1:-1]]
    assert seconds == sorted(seconds)
    assert [r.seconds for r in reports] == sorted(r.seconds for r in reports)
    assert int(state.step) == 12


def test_metrics_are_means_since_the_last_report(undisturbed) -> None:
    singles = list(fit(softmax(), blobs(), replace(CONFIG, log_every=1)))
    loss = {report.step: report.metrics["loss"] for report in singles[1:]}
    for report in undisturbed[2][1:]:
        first = 3 * ((report.step - 1) // 3) + 1
        expected = np.mean([loss[step] for step in range(first, report.step + 1)], axis=0)
        np.testing.assert_allclose(report.metrics["loss"], expected, rtol=1e-5)


def test_the_folder_holds_what_was_reported(undisturbed) -> None:
    folder, state, reports = undisturbed
    assert [row["step"] for row in rows(folder)] == [3, 4, 6, 8, 9, 12]
    assert rows(folder)[-1]["loss"] == list(reports[-1].metrics["loss"])
    assert rows(folder)[-1]["validation_accuracy"] == list(reports[-1].validation["accuracy"])
    assert Checkpoints(folder / "checkpoints").steps() == [10, 12]
    saved, _ = Checkpoints(folder / "checkpoints").load(state)
    assert tree_digest(saved) == tree_digest(state)


def test_validation_finds_what_evaluation_finds(undisturbed) -> None:
    _, state, reports = undisturbed
    states, seed = chosen_state(state), CONFIG.validation_seed
    figure = evaluate_all(softmax(), states, blobs(), episodes=10, batch=4, seed=seed)["accuracy"]
    again = figure.total / figure.count
    assert again.shape == (2, 10)
    np.testing.assert_allclose(again.mean(axis=1), reports[-1].best, rtol=1e-6)
    assert len(np.unique(again)) > 1


def test_evaluation_episodes_do_not_depend_on_how_many_there_are(undisturbed) -> None:
    states = chosen_state(undisturbed[1])
    few, many = (evaluate_all(softmax(), states, blobs(), episodes=n, batch=4)["accuracy"].total for n in (5, 9))
    np.testing.assert_array_equal(few, many[:, :5])


@pytest.mark.parametrize("step", [0, 4, 6, 9])
def test_a_run_stopped_anywhere_continues_bit_for_bit(step: int, undisturbed, tmp_path: Path) -> None:
    folder, state, _ = undisturbed
    with pytest.raises(InterruptedError):
        run(tmp_path / "run", watch=stop_at(step))
    reports: list[Report] = []
    resumed = run(tmp_path / "run", resume=True, watch=reports.append)
    assert reports[0].step == (5 if step > 5 else 0)
    assert any("no checkpoint yet" in notice for notice in reports[0].notices) == (step <= 5)
    assert tree_digest(resumed) == tree_digest(state)
    assert rows(tmp_path / "run") == rows(folder)


def test_a_finished_run_may_be_made_longer(undisturbed, tmp_path: Path) -> None:
    run(tmp_path / "run", replace(CONFIG, steps=7))
    reports: list[Report] = []
    longer = run(tmp_path / "run", resume=True, watch=reports.append)
    assert reports[0].step == 7
    assert tree_digest(longer.learner) == tree_digest(undisturbed[1].learner)
    assert [report.step for report in train_again(tmp_path / "run")] == [12], "nothing is left to do"


def train_again(folder: Path) -> list[Report]:
    reports: list[Report] = []
    run(folder, resume=True, watch=reports.append)
    return reports


def test_interrupt_saves_the_step_that_ran_and_loses_nothing(undisturbed, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)

    def interrupt(report: Report) -> None:
        if report.step == 8:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", watch=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [5, 8]
    resumed = run(tmp_path / "run", resume=True)
    assert tree_digest(resumed) == tree_digest(undisturbed[1])


@pytest.fixture
def as_in_front() -> Iterator[None]:
    """Ctrl-C does what it does in a terminal: a shell starts what runs behind it with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_interrupt_does_not_wait(as_in_front: None) -> None:
    def twice(report: Report) -> None:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run_to_end(fit(softmax(), blobs(), CONFIG), twice)


def test_a_seed_that_diverges_is_named_and_the_others_continue(tmp_path: Path) -> None:
    reports: list[Report] = []
    state = run(tmp_path / "run", learner=softmax(loss_diverges=(-1, 5)), watch=reports.append)
    assert [report.diverged for report in reports] == [{}, {}, {}, {2: 5}, {2: 5}, {2: 5}, {2: 5}]
    said = [notice for report in reports for notice in report.notices]
    (sentence,) = said
    assert sentence.startswith("Seed 2 diverged at step 5: its loss or parameters were no longer finite; ")
    assert reports[-1].metrics["loss"][0] is None
    assert reports[-1].metrics["loss"][1] is not None
    assert reports[-1].validation["accuracy"][0] is None
    assert reports[-1].best[0] is not None
    assert rows(tmp_path / "run")[-1]["loss"][0] is None
    assert all(np.isfinite(array).all() for array in named_arrays(state).values())


def test_the_run_ends_when_no_seed_is_left(tmp_path: Path) -> None:
    learner = softmax(loss_diverges=(7, 5))
    with pytest.raises(TrainingDivergedError, match=r"seed 2 at step 5, seed 3 at step 7\.$"):
        run(tmp_path / "run", learner=learner)
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    assert checkpoints.steps() == [5, 8]
    with pytest.raises(TrainingDivergedError):
        run(tmp_path / "run", learner=learner, resume=True)


def test_a_full_disk_stops_the_run_and_loses_nothing(
    undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("fastslow.training.checkpoint.ocp.save", failing_after(1))
        with pytest.raises(UserError, match=r"checkpoints/10: the disk is full; .* --resume"):
            run(tmp_path / "run")
    resumed = run(tmp_path / "run", resume=True)
    assert tree_digest(resumed) == tree_digest(undisturbed[1])


def failing_after(saves: int) -> Callable:
    from orbax.checkpoint import v1 as ocp

    whole, count = ocp.save, iter(range(100))

    def save(*arguments: object, **options: object) -> object:
        if next(count) >= saves:
            raise OSError(28, "No space left on device")
        return whole(*arguments, **options)

    return save


def test_resume_with_other_versions_warns(undisturbed, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        run(tmp_path / "run", watch=stop_at(9))
    recorded = tmp_path / "run" / "environment.json"
    recorded.write_text(recorded.read_text().replace(jax.__version__, "0.9.0"))
    reports = train_again(tmp_path / "run")
    (notice,) = reports[0].notices
    assert f"jax 0.9.0 → {jax.__version__}" in notice
    assert "devices" not in notice


def test_resume_on_other_devices_warns(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        run(tmp_path / "run", watch=stop_at(9))
    with RunFolder(tmp_path / "run", asdict(CONFIG), resume=True) as opened:
        first = next(fit(softmax(), blobs(), CONFIG, folder=opened, devices=jax.devices()[:1]))
    assert first.step == 5
    (notice,) = first.notices
    assert notice == "Resumed with other versions or machines (devices 2 → 1): numbers may differ in the last digits."
