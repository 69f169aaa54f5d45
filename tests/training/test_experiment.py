"""What a run reports and keeps: every update, listed validations, a metric's direction, the last parameters."""

from dataclasses import asdict, replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.training.toy import Softmax, blobs, softmax

from fastslow._checks import UserError
from fastslow.learners.base import Figures
from fastslow.metrics import LOSS, Figure
from fastslow.tasks.base import AbstractTask
from fastslow.training.checkpoint import Checkpoints
from fastslow.training.config import TrainingConfig
from fastslow.training.fingerprint import tree_digest
from fastslow.training.folder import RunFolder
from fastslow.training.loop import fit, run_to_end
from fastslow.training.metrics import read_metrics
from fastslow.training.report import Report
from fastslow.training.state import TrainState, chosen_state, initial_state, stored_shapes

ALONE = TrainingConfig(steps=7, batch=4, log_every=1, validate_every=0, select="last", checkpoint_every=3, seeds=2)


def run(
    learner: Softmax, config: TrainingConfig, folder: Path | None = None, validation: AbstractTask | None = None
) -> tuple[TrainState, list[Report]]:
    reports: list[Report] = []
    if folder is None:
        return run_to_end(fit(learner, blobs(), config, validation=validation), reports.append), reports
    with RunFolder(folder, asdict(config)) as opened:
        state = run_to_end(fit(learner, blobs(), config, validation=validation, folder=opened), reports.append)
    return state, reports


def test_a_training_can_be_the_experiment(tmp_path: Path) -> None:
    """No validation, the metrics of every update, and no best parameters."""
    state, reports = run(softmax(), ALONE, tmp_path / "run")
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 8))
    assert [row["loss"] for row in rows] == [list(report.metrics["loss"]) for report in reports[1:]]
    assert all(len(row["accuracy"]) == 2 for row in rows)
    assert not any("validation" in name for row in rows for name in row)
    assert {report.best for report in reports} == {(None, None)}
    assert state.best is None
    assert tree_digest(chosen_state(state, "last")) == tree_digest(chosen_state(state)) == tree_digest(state.learner)


def test_series_of_single_updates_add_up_to_those_of_several() -> None:
    _, single = run(softmax(), ALONE)
    _, whole = run(softmax(), replace(ALONE, log_every=7))
    for key in ("loss", "accuracy"):
        means = np.mean([report.metrics[key] for report in single[1:]], axis=0)
        np.testing.assert_allclose(whole[-1].metrics[key], means, rtol=1e-5)


def test_validation_at_listed_steps_changes_no_update() -> None:
    config = replace(ALONE, log_every=3, validate_at=(2, 5))
    state, reports = run(softmax(), config, validation=blobs())
    assert [report.step for report in reports] == [0, 2, 3, 5, 6, 7]
    assert [report.step for report in reports if report.validation] == [2, 5]
    assert {key for report in reports for key in report.validation} == {"accuracy"}
    assert state.best is None
    assert tree_digest(state.learner) == tree_digest(run(softmax(), ALONE)[0].learner)


def test_a_run_without_best_parameters_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole, _ = run(softmax(), ALONE)
    run(softmax(), replace(ALONE, steps=4), tmp_path / "run")
    with RunFolder(tmp_path / "run", asdict(ALONE), resume=True) as opened:
        resumed = run_to_end(fit(softmax(), blobs(), ALONE, folder=opened))
    assert tree_digest(resumed) == tree_digest(whole)


class ByLoss(Softmax):
    """Is judged by its loss, of which less is better."""

    @property
    def monitor(self):
        return LOSS

    def evaluate(self, state, episodes, *, key):
        loss = jax.vmap(lambda episode: self._score(state.params, episode.query)[0])(episodes)
        return {**Softmax.evaluate(self, state, episodes, key=key), "loss": Figure(loss, jnp.ones_like(loss))}


class Worsening(ByLoss):
    """Climbs the loss."""

    def update(self, state, episodes, *, key):
        after, figures = Softmax.update(self, state, episodes, key=key)
        worse = jax.tree.map(lambda old, new: old - (new - old), state.params, after.params)
        return eqx.tree_at(lambda s: s.params, after, worse), figures


@pytest.mark.parametrize(("kind", "best"), [(ByLoss, 3), (Worsening, 1)])
def test_the_best_has_the_smallest_loss(kind: type, best: int) -> None:
    config = TrainingConfig(steps=3, batch=8, log_every=3, validate_every=1, validation_episodes=40)
    state, reports = run(softmax(kind), config, validation=blobs())
    values = [report.validation["loss"][0] for report in reports[1:]]
    assert np.argmin(values) + 1 == best, "the test needs a loss that falls, or one that rises"
    assert state.best.step.tolist() == [best]
    assert [report.best[0] for report in reports] == [None, *np.minimum.accumulate(values)]
    assert "accuracy" in reports[-1].validation


class Rare(Softmax):
    """Counts something in its second update alone."""

    def update(self, state, episodes, *, key):
        after, figures = Softmax.update(self, state, episodes, key=key)
        counted = (after.opt_state["count"] == 2).astype(jnp.float32)
        return after, {**figures, "rare": Figure(6 * counted, 4 * counted)}


def test_what_is_not_counted_has_no_value() -> None:
    _, reports = run(softmax(Rare), ALONE)
    assert [report.metrics["rare"] for report in reports[1:]] == [(None, None), (1.5, 1.5)] + 5 * [(None, None)]
    _, whole = run(softmax(Rare), replace(ALONE, log_every=7))
    assert whole[-1].metrics["rare"] == (1.5, 1.5), "updates in which nothing is counted do not lower it"


class Broken(Softmax):
    """Gives figures that an update must not give."""

    change: dict = eqx.field(static=True, default_factory=dict)

    def update(self, state, episodes, *, key):
        after, figures = Softmax.update(self, state, episodes, key=key)
        changed: Figures = {**figures, **{name: make() for name, make in self.change.items() if make}}
        return after, {name: figure for name, figure in changed.items() if self.change.get(name, 1) is not None}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"loss": None}, r"^metrics of the learner's update: got \['accuracy'\], expected also loss\.$"),
        ({"accuracy": None}, r"^metrics of the learner's update: got \['loss'\], expected also accuracy\.$"),
        ({"extra": lambda: Figure(jnp.ones(3), jnp.ones(3))}, r"^metric extra .*: got \(3,\), expected a scalar\.$"),
    ],
)
def test_figures_that_an_update_must_not_give_are_refused(change: dict, sentence: str) -> None:
    learner = eqx.tree_at(lambda one: one.rate, softmax(Broken), jnp.asarray(0.1))
    object.__setattr__(learner, "change", change)
    with pytest.raises(UserError, match=sentence):
        initial_state(learner, blobs(), ALONE)


@pytest.mark.parametrize("select", ["best", "last"])
def test_a_checkpoint_is_read_without_the_task(select: str, tmp_path: Path) -> None:
    config = replace(ALONE, select=select, validate_every=3)
    state, _ = run(softmax(), config, tmp_path / "run", validation=blobs())
    found, notices = Checkpoints(tmp_path / "run" / "checkpoints").load(stored_shapes(softmax(), config))
    assert notices == ()
    for which in ("best", "last"):
        expected, read = chosen_state(state, which), chosen_state(found, which)
        assert tree_digest(read.params) == tree_digest(expected.params)
        assert tree_digest(read.model_state) == tree_digest(expected.model_state)
    assert found.diverged.tolist() == [False, False]
