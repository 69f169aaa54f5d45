"""Trainings on streams end to end: what is refused, what is measured, and what resumed or shared runs give."""

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.papers.drawn import PLACE, PROCESS, drawn, smoke

from fastslow._checks import UserError
from fastslow.baselines.gp_oracle import GPOracle
from fastslow.configs.config import Config
from fastslow.configs.json import to_json
from fastslow.configs.run import Trained, train
from fastslow.learners.base import LearnerState
from fastslow.metrics import LOG_LIKELIHOOD, Axis, Figure
from fastslow.papers.mann import neighbours
from fastslow.papers.rows import Row, run_row, trained_before
from fastslow.results.measure import measure
from fastslow.results.statistics import interval
from fastslow.results.streams import on_streams
from fastslow.tasks.base import AbstractTask, SequenceEpisode, TaskSplits
from fastslow.tasks.gaussian_process import GaussianProcessConfig, sequential_nll
from fastslow.tasks.omniglot_stream import OmniglotStreamConfig
from fastslow.training.config import OverSeeds
from fastslow.training.evaluate import EVALUATION_SEED, evaluate_all
from fastslow.training.fingerprint import params_digest, tree_digest
from fastslow.training.folder import RunFolder
from fastslow.training.loop import fit, run_to_end
from fastslow.training.state import one_seed


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PLACE, drawn)


def test_a_network_can_be_measured_on_other_numbers_of_classes() -> None:
    task = OmniglotStreamConfig(classes=25, length=250, labels="strings", start=15)
    cases = ((50, None), (50, 500, True)), ((None, 70), (25, 70, False)), ((3, 400), (3, 400, False))
    for given, found in cases:
        other = task.with_streams(*given)
        assert (other.classes, other.length, other.balanced, other.start) == (*found, 0)
        assert replace(other, classes=25, length=250, balanced=False, start=15) == task
    with pytest.raises(UserError, match="classes: got 7, expected no number, as the network was not trained on lab"):
        OmniglotStreamConfig().with_streams(7)
    assert OmniglotStreamConfig().with_streams(None, 70).length == 70
    with pytest.raises(UserError, match="classes: got 0"):
        task.with_streams(0)
    with pytest.raises(UserError, match="examples: got 3, expected at least one for each of the 5 classes"):
        task.with_streams(5, 3)


def of_config(config: Config, tasks: TaskSplits) -> Trained:
    """A network whose parameters do not matter."""
    return Trained(config, config.build(), tasks, LearnerState((), (), ()), (0,), seconds=1.0)


def test_it_can_be_measured_on_more_classes_than_there_are_to_train_or_validate_on() -> None:
    task = OmniglotStreamConfig(classes=3, length=6, labels="strings")
    few = drawn(task)
    tasks = replace(few, validation=eqx.tree_at(lambda t: t.images, few.validation, few.validation.images[:4]))
    trained = of_config(smoke(task), tasks)
    other = on_streams(trained, 30)
    assert (other.tasks.test.classes, other.tasks.test.length, other.tasks.test.balanced) == (30, 300, True)
    assert (other.tasks.test.images == few.test.images).all()
    assert other.config == replace(trained.config, task=task.with_streams(30))
    with pytest.raises(UserError, match="classes: got 31, expected at most the 30 characters there are"):
        on_streams(trained, 31)
    said = "streams: got a network for task gaussian-process, expected one that was trained on omniglot-stream"
    with pytest.raises(UserError, match=said):
        on_streams(of_config(smoke(), PROCESS.build()), 7)


def test_accuracies_by_instance_have_the_bootstraps_interval() -> None:
    metric = OmniglotStreamConfig().spec.metrics[0]
    places = {label: place for place, label in enumerate(metric.axis.labels)}
    rng = np.random.default_rng(0)
    count = rng.integers(0, 4, size=(1, 400, len(places)))
    count[..., places[3]] = 0
    count[..., places[20]] = rng.integers(0, 2, size=(1, 400))  # too rare to be reported
    count[..., places[100]] = 2
    total = rng.binomial(count, 0.7)
    found = metric.reduce(Figure(total.astype(float), count.astype(float)))
    assert list(found) == [1, 2, 4, 5, 10, 50, 100]
    for label in (1, 10):
        correct, counts = total[0, :, places[label]], count[0, :, places[label]]
        mean, low, high = interval(found[label], bounds=(0.0, 1.0))
        assert mean == pytest.approx(correct.sum() / counts.sum())
        samples = [rng.integers(0, 400, 400) for _ in range(2000)]
        ends = np.quantile([correct[again].sum() / counts[again].sum() for again in samples], [0.025, 0.975])
        np.testing.assert_allclose([low, high], ends, atol=0.01)
        assert high - low < 0.2


def test_a_row_that_was_trained_for_a_table_can_be_copied_to_a_figure(tmp_path: Path) -> None:
    row = Row("one", "one", smoke())
    given = {"resume": True, "watch": lambda *_: None, "episodes": 4}
    first, _ = run_row("mann/table", row, tmp_path / "table", **given)
    shutil.copytree(tmp_path / "table" / "one", tmp_path / "figure" / "one")
    again, trained = run_row("mann/figure", row, tmp_path / "figure", **given)
    assert trained is None
    assert again == [replace(result, experiment="mann/figure") for result in first]
    states = trained_before(tmp_path / "figure" / "one").states
    assert first[0].params_digest == params_digest([one_seed(states.params, 0)])
    # its step sizes have come down already, so a longer run would not be the row that it is called
    longer = replace(row.config, training=replace(row.config.training, steps=8))
    with pytest.raises(UserError, match=r"training.steps: got 8, expected 4 as in .*config.json; resume with"):
        run_row("mann/table", replace(row, config=longer), tmp_path / "table", **given)


class Withheld(AbstractTask[SequenceEpisode]):
    """Classes that nothing may be drawn from."""

    def sample(self, key, step):
        raise AssertionError("drawn from the test classes")


def test_no_training_draws_from_test_classes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(PLACE, lambda config: replace(drawn(config), test=Withheld()))
    config = smoke(OmniglotStreamConfig(classes=2, length=4))
    trained = train(config, tmp_path / "run")
    autoencoder = neighbours.autoencoder_config(config.task, config.training)
    neighbours.train_autoencoder(tmp_path / "autoencoder", autoencoder, resume=False, watch=lambda *_: None)
    with pytest.raises(AssertionError, match="drawn from the test classes"):
        measure(trained, experiment="x", row="y", episodes=2)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (OmniglotStreamConfig(classes=31, length=310), "classes: got 31, expected at most the 30 characters there are"),
        (OmniglotStreamConfig(classes=5, length=4), "length: got 4, expected at least one step for each"),
        (GaussianProcessConfig(jitter=1e-9), "jitter: got 1e-09, expected at least"),
        (GaussianProcessConfig(dimensions=4), "dimensions: got 4, expected 1, 2 or 3"),
    ],
    ids=["classes", "length", "singular", "dimensions"],
)
def test_streams_that_cannot_be_are_refused_before_anything_is_written(
    task, said: str, in_place, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        train(smoke(task), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def after(folder: Path | None, config: Config, *, stop: int | None = None, resume: bool = False, **given):
    """The last state of a training and the steps of its reports; no state where it was stopped after a report."""
    steps = []
    note = lambda report: steps.append(report.step)
    learner, tasks = config.build(), config.task.build()
    start = lambda opened: fit(
        learner, tasks.train, config.training, validation=tasks.validation, folder=opened, **given
    )
    if folder is None:
        return run_to_end(start(None), note), steps
    with RunFolder(folder, to_json(config), resume=resume) as opened:
        reports = start(opened)
        if stop is None:
            return run_to_end(reports, note), steps
        for report in reports:
            note(report)
            if report.step >= stop:
                reports.close()
    return None, steps


GROWING = OmniglotStreamConfig(classes=4, length=12, labels="strings", start=2, grow_every=1)


@pytest.mark.parametrize(
    "config", [smoke(seeds=2, persistent=True), smoke(GROWING)], ids=["persistent memories", "a curriculum"]
)
def test_a_resumed_run_gives_the_same_bits(config: Config, in_place, tmp_path: Path) -> None:
    whole, _ = after(tmp_path / "whole", config)
    stopped, steps = after(tmp_path / "halves", config, stop=2)
    assert stopped is None
    assert steps[-1] == 2
    again, steps = after(tmp_path / "halves", config, resume=True)
    assert (steps[0], steps[-1]) == (2, 4)
    assert tree_digest(again) == tree_digest(whole)
    if config.learner.persistent:
        assert any((leaf != 0).any() for leaf in jax.tree.leaves(whole.learner.model_state))


@pytest.mark.parametrize("how", ["unroll", "vmap"])
def test_seeds_side_by_side_and_devices_are_as_alone(how: OverSeeds) -> None:
    both, second = smoke(seeds=2, persistent=True), smoke(persistent=True)
    both = replace(both, training=replace(both.training, over_seeds=how))
    second = replace(second, training=replace(second.training, seed=1))
    together, _ = after(None, both)
    mine = jax.tree.map(lambda leaf: leaf[1:], (together.learner.params, together.learner.model_state))
    for given in ({}, {"devices": jax.devices()[:1]}):
        alone = after(None, second, **given)[0].learner
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
        jax.tree.map(close, mine, (alone.params, alone.model_state))


def test_persistent_memories_are_measured_as_often_as_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Three memories on two devices: a batch is of six episodes, which begins with the first of three each time."""
    config = smoke(persistent=True)
    trained = train(replace(config, training=replace(config.training, batch=3)), tmp_path / "run")
    assert trained.learner.slots == 3
    batches = []

    def measured(*given, batch: int, **named):
        batches.append(batch)
        return evaluate_all(*given, batch=batch, **named)

    monkeypatch.setattr("fastslow.results.measure.evaluate_all", measured)
    measure(trained, experiment="x", row="y", episodes=4)
    assert batches == [math.lcm(3, jax.device_count())]


def test_numbers_are_measured_by_their_likelihood(tmp_path: Path) -> None:
    trained = train(smoke(seeds=2), tmp_path / "run")
    rows = measure(trained, experiment="x", row="y", episodes=8)
    assert [(row.metric, row.unit, row.axis) for row in rows] == [
        ("log likelihood", "nats", {}),
        ("log likelihood", "nats", {"seen": 0}),
    ]
    found = evaluate_all(trained.learner, trained.states, trained.tasks.test, episodes=8, batch=20)
    for row, key in zip(rows, ("log_likelihood", "log_likelihood/seen"), strict=True):
        np.testing.assert_allclose(row.value, found[key].total.sum() / found[key].count.sum(), rtol=1e-5)
        low, high = row.ci95
        assert low < row.value < high
        assert row.chance is None
    assert rows[0].value < 0


def test_the_oracle_knows_what_the_process_knows_and_no_other_process_is_better() -> None:
    test, every = PROCESS.build().test, LOG_LIKELIHOOD.along(Axis("seen", tuple(range(PROCESS.length))))

    def likelihood(config: GaussianProcessConfig) -> dict[str, Figure]:
        return evaluate_all(GPOracle(config, (LOG_LIKELIHOOD, every)), None, test, episodes=200, batch=20)

    mean = lambda figure: figure.total.sum() / figure.count.sum()
    found = likelihood(PROCESS)
    for other in ({"scale": 1.0}, {"scale": 0.25}, {"variance": 2.0}, {"variance": 0.5}, {"jitter": 0.1}):
        worse = likelihood(replace(PROCESS, **other))
        assert mean(worse["log_likelihood"]) < mean(found["log_likelihood"]), other
    key, _ = jax.random.split(jax.random.key(EVALUATION_SEED))
    episode = test.sample(jax.random.fold_in(key, 3), jnp.int32(0))
    nll = sequential_nll(PROCESS, episode.inputs.x, episode.targets[:, 0])
    steps, whole = found[every.key], found["log_likelihood"]
    np.testing.assert_allclose(steps.total[0, 3], -nll, rtol=1e-4)
    np.testing.assert_allclose(whole.total, steps.total.sum(axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(whole.count, PROCESS.length)


def test_likelihoods_are_given_after_some_numbers_of_values() -> None:
    metrics = GaussianProcessConfig(length=12).spec.metrics
    assert [metric.key for metric in metrics] == ["log_likelihood", "log_likelihood/seen"]
    assert metrics[1].axis.labels == (0, 10)
