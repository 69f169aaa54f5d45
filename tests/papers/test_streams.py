"""Trainings on streams end to end: what is refused, what is measured, what a resumed or a shared one comes to."""

import itertools
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
from fastslow.configs.streams import StreamConfig, StreamModelConfig, check_model, with_streams
from fastslow.results.pipeline import Trained, by_instance, by_seen, measure, on_streams, train_run
from fastslow.tasks.splits import TaskSplits

from fastslow._checks import UserError
from fastslow.baselines.gp_oracle import TrueProcess
from fastslow.configs.config import build_any_learner, build_tasks, read_config
from fastslow.learners.base import LearnerState
from fastslow.papers.base import BUDGETS
from fastslow.papers.catalogue import find_experiment
from fastslow.papers.mann import figure2, figure3, figure4, figure5, neighbours, regression, table1, table2
from fastslow.papers.mann.settings import network, sharp
from fastslow.papers.rows import Row, run_row, trained_before
from fastslow.results.statistics import interval
from fastslow.tasks.base import AbstractTask, Examples, SequenceEpisode
from fastslow.tasks.gaussian_process import GaussianProcessConfig, gaussian_process_tasks, sequential_surprise
from fastslow.tasks.omniglot_stream import OmniglotStreamConfig, OmniglotStreamTask
from fastslow.training.config import OverSeeds, to_json
from fastslow.training.evaluate import evaluate_all
from fastslow.training.fingerprint import params_sha256
from fastslow.training.folder import RunFolder
from fastslow.training.loop import fit, train
from fastslow.training.state import one_seed

PROCESS = GaussianProcessConfig(length=8)


def smoke(seeds: int = 1, **choices) -> StreamConfig:
    config = sharp(network(PROCESS, "smoke", 0))
    return replace(
        config,
        training=replace(config.training, seeds=seeds),
        model=replace(config.model, **choices),
    )


def drawn(config: OmniglotStreamConfig) -> TaskSplits:
    """Streams of random drawings in place of Omniglot's."""
    rng = np.random.default_rng(0)

    def task(start: int = 0) -> OmniglotStreamTask:
        images = jnp.asarray(255 * (rng.uniform(size=(30, 20, 35, 35)) > 0.8), jnp.uint8)
        given = (config.classes, config.length, config.labels, config.balanced)
        return OmniglotStreamTask(images, *given, start=start, grow_every=config.grow_every)

    return TaskSplits(task(config.start), task(), task(), name="drawn", split="drawn", sha256="0" * 64)


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("config", "mann.neighbours"):
        monkeypatch.setattr(f"fastslow.experiments.{module}.omniglot_stream_tasks", drawn)


def rows_of(table: str, budget: str) -> list:
    if table == "table2":
        return [row for block in table2.blocks(budget) for row in table2.rows(block)]
    if table == "figure4":
        return [figure4.row(budget)]
    if table == "regression":
        return [row for dimensions in (1, 2, 3) for row in regression.rows(dimensions, budget)]
    return {"table1": table1, "figure2": figure2, "figure3": figure3}[table].rows(budget)


TABLES = ("table1", "table2", "figure2", "figure3", "figure4", "regression")


@pytest.mark.parametrize(("table", "budget"), list(itertools.product(TABLES, BUDGETS)))
def test_every_row_is_a_training_that_can_be_built_and_read_again(table: str, budget: str) -> None:
    rows = rows_of(table, budget)
    assert len({row.folder for row in rows}) == len({row.name for row in rows}) == len(rows)
    for row in rows:
        build_any_learner(row.config)
        assert read_config(to_json(row.config)) == row.config


def test_rows_have_the_papers_sizes() -> None:
    for table in TABLES:
        for row in rows_of(table, "paper"):
            model, training = row.config.model, row.config.training
            assert (model.hidden, model.slots, model.width, model.heads) == (200, 128, 40, 4)
            assert (training.steps, training.batch) == (6250 if row.folder.endswith("6250") else 100_000, 16)
    lengths = {(row.config.task.classes, row.config.task.length) for row in rows_of("table2", "paper")}
    assert lengths == {(5, 50), (15, 100)}
    kept = [row.config for row in rows_of("figure3", "paper") if row.config.model.persistent]
    assert [(config.task.classes, config.task.length) for config in kept] == [(5, 50), (10, 75)]
    task = figure4.row("paper").config.task
    assert (task.start, task.classes, task.length, task.grow_every) == (15, 25, 250, 10_000)
    assert [len(table2.PAPER[n]) for n in (5, 15)] == [6, 7]


def test_a_network_can_be_measured_on_other_numbers_of_classes() -> None:
    task = OmniglotStreamConfig(classes=25, length=250, labels="strings", start=15)
    cases = ((50, None), (50, 500, True)), ((None, 70), (25, 70, False)), ((3, 400), (3, 400, False))
    for given, found in cases:
        config = with_streams(StreamConfig(task), *given)
        assert (config.task.classes, config.task.length, config.task.balanced, config.task.start) == (*found, 0)
    assert replace(config, task=task) == StreamConfig(task)
    with pytest.raises(UserError, match="classes: got 7, wanted no number, as the network was not trained on lab"):
        with_streams(StreamConfig(OmniglotStreamConfig()), 7)
    assert with_streams(StreamConfig(OmniglotStreamConfig()), None, 70).task.length == 70
    with pytest.raises(UserError, match="streams: got 'a network for real numbers', wanted one that was trained on ch"):
        with_streams(StreamConfig(PROCESS), 7)
    with pytest.raises(UserError, match="classes: got 0"):
        with_streams(StreamConfig(task), 0)
    with pytest.raises(UserError, match="examples: got 3, wanted at least one for each of the 5 classes"):
        with_streams(StreamConfig(task), 5, 3)


def test_it_can_be_measured_on_more_classes_than_there_are_to_train_or_validate_on() -> None:
    task = OmniglotStreamConfig(classes=3, length=6, labels="strings")
    few = drawn(task)
    tasks = replace(few, validation=eqx.tree_at(lambda t: t.images, few.validation, few.validation.images[:4]))
    config = replace(smoke(), task=task)
    trained = Trained(config, build_any_learner(config), tasks, LearnerState((), (), ()), (0,), seconds=1.0)
    other = on_streams(trained, 30)
    assert (other.tasks.test.classes, other.tasks.test.length, other.tasks.test.balanced) == (30, 300, True)
    assert (other.tasks.test.images == few.test.images).all()
    assert other.config == with_streams(config, 30)
    with pytest.raises(UserError, match="classes: got 31, wanted at most the 30 characters there are"):
        on_streams(trained, 31)


def test_rows_of_a_table_differ_in_what_is_compared_alone() -> None:
    printed = network(OmniglotStreamConfig(), "paper", 0, seeds=3)
    for row in table1.rows("paper"):
        model = replace(row.config.model, cell="mann", strength="none", written="key")
        assert replace(row.config, model=model, training=printed.training) == printed
    for kept, wiped in itertools.pairwise(figure3.rows("laptop")[:2]):
        assert replace(kept.config, model=replace(kept.config.model, persistent=False)) == wiped.config
    first, _, *_ = figure2.rows("laptop")
    assert first == next(row for row in table1.rows("laptop") if row.name == "LSTM")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"cell": "lstm", "persistent": True}, "persistent: got True, wanted False, as lstm has no such choice"),
        ({"cell": "lstm", "strength": "learned"}, "strength: got 'learned', wanted none, as lstm has no"),
        ({"cell": "feed-forward", "memory": "tape"}, "memory: got 'tape', wanted least-used, as feed-forward has no"),
        (
            {"controller": "feed-forward", "key_source": "hidden"},
            "key_source: got 'hidden', wanted cell, as a feed-forward controller has no such choice",
        ),
        ({"memory": "tape", "share": "one-each"}, "share: got 'one-each', wanted shared, as the tape memory has no"),
    ],
    ids=str,
)
def test_choices_without_effect_are_refused(choices: dict, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        check_model(StreamModelConfig(**choices))
    with pytest.raises(UserError, match=re.escape(said)):
        build_any_learner(StreamConfig(PROCESS, model=StreamModelConfig(**choices)))


def test_a_memory_is_not_kept_where_the_number_of_classes_grows() -> None:
    task = OmniglotStreamConfig(classes=4, length=40, start=2)
    with pytest.raises(UserError, match="persistent: got True, wanted False where the number of classes grows"):
        build_any_learner(StreamConfig(task, model=StreamModelConfig(persistent=True)))


def test_figures_by_instance_are_hits_by_instances_with_an_interval_as_the_bootstraps() -> None:
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 4, size=(1, 400, 100))
    seen[..., 2] = 0  # never
    seen[..., 19] = rng.integers(0, 2, size=(1, 400))  # of few classes
    seen[..., 99] = 2
    found = {"seen": seen.astype(float), "hits": rng.binomial(seen, 0.7).astype(float)}
    figures = by_instance(found)
    assert list(figures) == [f"accuracy of instance {k}" for k in (1, 2, 4, 5, 10, 50, 100)]
    for k in (1, 10):
        hits, counts = (found[name][0, :, k - 1] for name in ("hits", "seen"))
        mean, low, high = interval(figures[f"accuracy of instance {k}"], bounds=(0.0, 1.0))
        assert mean == pytest.approx(hits.sum() / counts.sum())
        drawn = [rng.integers(0, 400, 400) for _ in range(2000)]
        ends = np.quantile([hits[again].sum() / counts[again].sum() for again in drawn], [0.025, 0.975])
        np.testing.assert_allclose([low, high], ends, atol=0.01)
        assert high - low < 0.2


def test_a_row_that_was_trained_for_a_table_can_be_copied_to_a_figure(tmp_path: Path) -> None:
    row = Row("one", "one", smoke(), None)
    given = {"resume": True, "watch": lambda *_: None, "episodes": 4}
    first, _ = run_row("mann/table", row, tmp_path / "table", **given)
    shutil.copytree(tmp_path / "table" / "one", tmp_path / "figure" / "one")
    again, trained = run_row("mann/figure", row, tmp_path / "figure", **given)
    assert trained is None
    assert again == [replace(result, experiment="mann/figure") for result in first]
    states = trained_before(tmp_path / "figure" / "one").states
    assert first[0].params_sha256 == (params_sha256(one_seed(states.params, 0)),)


def test_a_row_that_became_longer_is_not_gone_on_with(tmp_path: Path) -> None:
    """Its step sizes have come down already, so it would not be the row that it is called."""
    config = smoke()
    given = {"resume": True, "watch": lambda *_: None, "episodes": 4}
    run_row("mann/table", Row("one", "one", config, None), tmp_path, **given)
    longer = replace(config, training=replace(config.training, steps=8))
    with pytest.raises(UserError, match=r"training.steps: got 8, wanted 4 as in .*config.json; resume with"):
        run_row("mann/table", Row("one", "one", longer, None), tmp_path, **given)


class Withheld(AbstractTask[SequenceEpisode]):
    """Classes that nothing may be drawn from."""

    def sample(self, key, step):
        raise AssertionError("drawn from the test classes")


def test_no_training_draws_from_test_classes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def withheld(config: OmniglotStreamConfig) -> TaskSplits:
        return replace(drawn(config), test=Withheld())

    for module in ("config", "mann.neighbours"):
        monkeypatch.setattr(f"fastslow.experiments.{module}.omniglot_stream_tasks", withheld)
    config = replace(smoke(), task=OmniglotStreamConfig(classes=2, length=4))
    trained = train_run(config, tmp_path / "run")
    given = {"resume": False, "watch": lambda *_: None}
    neighbours.train_autoencoder(tmp_path / "autoencoder", config.task, config.training, **given)
    with pytest.raises(AssertionError, match="drawn from the test classes"):
        measure(trained, experiment="x", row="y", episodes=2)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (OmniglotStreamConfig(classes=31, length=310), "classes: got 31, wanted at most the 30 characters there are"),
        (
            OmniglotStreamConfig(classes=5, length=4),
            "length: got 4, wanted at least one step for each",
        ),
        (GaussianProcessConfig(jitter=1e-9), "jitter: got 1e-09, wanted at least"),
        (GaussianProcessConfig(dimensions=4), "dimensions: got 4, wanted 1, 2 or 3"),
    ],
    ids=["classes", "length", "singular", "dimensions"],
)
def test_streams_that_cannot_be_are_refused_before_anything_is_written(
    task, said: str, in_place, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        train_run(replace(smoke(), task=task), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- a run


def after(folder: Path | None, config: StreamConfig, *, stop: int | None = None, resume: bool = False, **given):
    """The last state of a training and the steps of its reports; no state where it was stopped after a report."""
    steps = []
    note = lambda report: steps.append(report.step)
    learner, tasks = build_any_learner(config), build_tasks(config.task)
    if folder is None:
        return train(fit(learner, tasks.train, config.training, validation=tasks.validation, **given), note), steps
    with RunFolder(folder, to_json(config), resume=resume) as opened:
        reports = fit(learner, tasks.train, config.training, validation=tasks.validation, folder=opened, **given)
        if stop is None:
            return train(reports, note), steps
        for report in reports:
            note(report)
            if report.step >= stop:
                reports.close()
    return None, steps


GROWING = OmniglotStreamConfig(classes=4, length=12, labels="strings", start=2, grow_every=1)


@pytest.mark.parametrize(
    "config",
    [smoke(seeds=2, persistent=True), replace(smoke(), task=GROWING)],
    ids=["memories that last", "a curriculum"],
)
def test_a_run_goes_on_bit_for_bit(config: StreamConfig, in_place, tmp_path: Path) -> None:
    whole, _ = after(tmp_path / "whole", config)
    stopped, steps = after(tmp_path / "halves", config, stop=2)
    assert stopped is None
    assert steps[-1] == 2
    again, steps = after(tmp_path / "halves", config, resume=True)
    assert (steps[0], steps[-1]) == (2, 4)
    assert params_sha256(again) == params_sha256(whole)
    if config.model.persistent:
        assert any((leaf != 0).any() for leaf in jax.tree.leaves(whole.learner.running))


@pytest.mark.parametrize("how", ["unroll", "vmap"])
def test_seeds_side_by_side_and_devices_are_as_alone(how: OverSeeds) -> None:
    both, second = smoke(seeds=2, persistent=True), smoke(persistent=True)
    both = replace(both, training=replace(both.training, over_seeds=how))
    second = replace(second, training=replace(second.training, seed=1))
    together, _ = after(None, both)
    mine = jax.tree.map(lambda leaf: leaf[1:], (together.learner.params, together.learner.running))
    for given in ({}, {"devices": jax.devices()[:1]}):
        alone = after(None, second, **given)[0].learner
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
        jax.tree.map(close, mine, (alone.params, alone.running))


def test_memories_that_last_are_measured_as_often_as_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Three memories on two devices: a batch is of six episodes, which begins with the first of three each time."""
    config = smoke(persistent=True)
    trained = train_run(replace(config, training=replace(config.training, batch=3)), tmp_path / "run")
    assert trained.learner.lanes == 3
    batches = []

    def measured(*given, batch: int, **named):
        batches.append(batch)
        return evaluate_all(*given, batch=batch, **named)

    monkeypatch.setattr("fastslow.results.pipeline.evaluate_all", measured)
    measure(trained, experiment="x", row="y", episodes=4)
    assert batches == [math.lcm(3, jax.device_count())]


def test_numbers_are_measured_by_their_likelihood(tmp_path: Path) -> None:
    trained = train_run(smoke(seeds=2), tmp_path / "run")
    rows = {row.metric: row for row in measure(trained, experiment="x", row="y", episodes=8)}
    assert list(rows) == ["log likelihood", "log likelihood after 0"]
    found = evaluate_all(trained.learner, trained.states, trained.tasks.test, episodes=8, batch=20)
    np.testing.assert_allclose(rows["log likelihood"].value, -found["surprise"].mean(), rtol=1e-5)
    np.testing.assert_allclose(rows["log likelihood after 0"].value, -found["surprise"][..., 0].mean(), rtol=1e-5)
    low, high = rows["log likelihood"].ci95
    assert low < rows["log likelihood"].value < high < 0
    assert {row.chance for row in rows.values()} == {None}


def test_the_true_process_tells_what_the_process_tells_and_no_other_process_is_better() -> None:
    tasks = gaussian_process_tasks(PROCESS)
    learner = TrueProcess(PROCESS)
    state = jax.tree.map(lambda leaf: leaf[None], learner.init(key=jax.random.key(0)))
    found = evaluate_all(learner, state, tasks.test, episodes=200, batch=20)
    for other in ({"scale": 1.0}, {"scale": 0.25}, {"variance": 2.0}, {"variance": 0.5}, {"jitter": 0.1}):
        worse = evaluate_all(TrueProcess(replace(PROCESS, **other)), state, tasks.test, episodes=200, batch=20)
        assert worse["log_likelihood"].mean() < found["log_likelihood"].mean(), other
    key, _ = jax.random.split(jax.random.key(20201111))
    episode = tasks.test.sample(jax.random.fold_in(key, 3), jnp.int32(0))
    np.testing.assert_allclose(
        found["surprise"][0, 3], sequential_surprise(PROCESS, episode.inputs, episode.targets[:, 0]), rtol=1e-4
    )
    np.testing.assert_allclose(found["log_likelihood"], -found["surprise"].mean(axis=-1), rtol=1e-5)
    first, episodes = learner.init(key=key), jax.tree.map(lambda leaf: leaf[None], episode)
    for refused in (
        lambda: learner.update(first, episodes, key=key),
        lambda: learner.adapt(first, Examples(episode.inputs, episode.instance), key=key),
        lambda: learner.predict(None, episode.inputs),
    ):
        with pytest.raises(UserError, match=r"no parameters to train|nothing to learn"):
            refused()


def test_likelihoods_are_told_after_some_numbers_of_values() -> None:
    surprise = np.arange(24.0).reshape(1, 2, 12)
    found = by_seen({"surprise": surprise, "log_likelihood": -surprise.mean(-1)})
    assert list(found) == ["log likelihood", "log likelihood after 0", "log likelihood after 10"]
    np.testing.assert_array_equal(found["log likelihood after 10"], [[-10, -22]])


# --- experiments


def test_figure_5_from_end_to_end_and_again(tmp_path: Path) -> None:
    seen = []
    run = lambda resume: figure5.run(tmp_path, "smoke", resume=resume, watch=lambda name, _: seen.append(name))
    rows = run(False)
    assert {row.row for row in rows} == {"1-D: MANN", "1-D: LSTM", "1-D: true process"}
    assert (tmp_path / "figures" / "function.png").is_file()
    assert set(seen) == {"1-D: MANN", "1-D: LSTM"}
    seen.clear()
    again = run(True)
    assert seen == []
    assert [(row.row, row.value) for row in again] == [(row.row, row.value) for row in rows]


def test_neighbours_are_measured_with_an_autoencoder_of_their_own(in_place, tmp_path: Path) -> None:
    block = table2.blocks("smoke")[0]
    training = replace(block.base.training, steps=2)
    trained = neighbours.train_autoencoder(
        tmp_path / "a", block.streams, training, resume=False, watch=lambda name, _: None
    )
    given = {"episodes": 20, "paper": block.paper(table2.PIXELS)}
    pixels = neighbours.neighbour_rows("mann/table2", "pixels", block.streams, **given)
    deep = neighbours.neighbour_rows("mann/table2", "deep", block.streams, **given, autoencoder=trained)
    for rows in (pixels, deep):
        assert [row.metric for row in rows] == [f"accuracy of instance {k}" for k in (1, 2, 3, 4, 5, 10)]
        assert rows[0].paper_value == 0.04
        assert {row.chance for row in rows} == {1 / 3125}
    assert deep[0].config["autoencoder"]["training"]["steps"] == 2
    assert deep[0].params_sha256 == (params_sha256(trained[0]),)
    assert pixels[0].params_sha256 != deep[0].params_sha256


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
    assert [(row.row, row.metric, row.value) for row in again] == [(row.row, row.metric, row.value) for row in rows]
    if name == "mann/table2":
        assert len({row.row for row in rows}) == 13


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_figure_4_tests_what_it_was_not_trained_on(in_place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(figure4, "TESTED", (6, 8, 10))
    rows = figure4.run(tmp_path, "smoke", resume=False, watch=lambda name, _: None)
    assert list(dict.fromkeys(row.row for row in rows)) == ["4 classes", "6 classes", "8 classes"]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"training.png", "classes.png"}
