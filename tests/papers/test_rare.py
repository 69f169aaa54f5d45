"""The experiment with rare digits: which rows are trained, what is measured of them, and what is drawn."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.results.rows import ROW

from fastslow.datasets.mnist import MNIST, Digits
from fastslow.models.flatten import FlattenConfig
from fastslow.papers.fast_slow import rare
from fastslow.papers.rows import Row
from fastslow.tasks import rare_digits

TRAINED = {rare.LITERAL, rare.BASELINE, rare.PLAIN}


def toy(count: int, seed: int) -> Digits:
    """Images that are known by the place of a bright square."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 4, :8] = 255
    return Digits(images, labels)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy data set, flat embeddings, and three of the rows."""
    whole = rare.rows
    monkeypatch.setattr(rare_digits, "load_mnist", lambda path: MNIST(toy(300, 0), toy(120, 1), "0" * 64))
    monkeypatch.setattr(rare_digits, "HELD_OUT", 60)
    monkeypatch.setattr(rare, "BLOCKS", 3)

    def flat(row: Row) -> Row:
        model = replace(row.config.model, embed=FlattenConfig())
        return replace(row, config=replace(row.config, model=model))

    monkeypatch.setattr(rare, "rows", lambda budget: [flat(row) for row in whole(budget) if row.name in TRAINED])


def test_rows_differ_in_cell_and_learner_alone_and_end_before_a_rare_batch() -> None:
    rows = rare.rows("laptop")
    first = rows[0].config
    for row in rows:
        config = row.config
        assert replace(config, model=first.model, learner=first.learner) == first
        assert config.model.embed == first.model.embed
        assert (config.training.steps + 1) % config.task.every == 0
        assert config.training.steps in config.training.validate_at
    best, without = (row.config for row in rows if row.name in (rare.BEST, rare.WITHOUT))
    assert replace(best, learner=replace(best.learner, feedback=without.learner.feedback)) == without
    assert first.training.seeds == 5


@pytest.mark.slow
def test_rows_are_trained_measured_and_drawn_and_read_again(small: None, tmp_path: Path) -> None:
    told = []
    watch = lambda name, report: told.append(name)
    found = rare.run(tmp_path, "smoke", resume=False, watch=watch)
    assert {(row.row, row.axis["digits"]) for row in found} == {
        (name, group) for name in (*TRAINED, *rare.READ_OUT.values()) for group in ("rare", "frequent")
    }
    assert all(0 <= row.value <= 1 for row in found)
    plain = [row for row in found if row.row == rare.PLAIN]
    series = plain[0].series["validation_accuracy, digits rare"]
    # just before and right after each fourth update
    assert series["steps"] == [3, 4, 7, 8, 11]
    for answer, name in rare.READ_OUT.items():
        (one, _) = (row for row in found if row.row == name)
        assert one.config["learner"]["answer"] == answer
        assert one.params_digest == plain[0].params_digest
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        "gradients.png",
        "accuracy.png",
        "attention.png",
    }
    told.clear()
    assert rare.run(tmp_path, "smoke", resume=True, watch=watch) == found
    assert told == []


def test_spread_and_peaks_are_those_of_the_series(tmp_path: Path, small: None) -> None:
    """Gradients of 1 and 3 in turn, and at the rare batches 9, 0 and 9 by seed."""
    row = next(row for row in rare.rows("laptop") if row.name == rare.BASELINE)
    steps = np.arange(1, 10_000)
    norms = np.stack([1 + 2 * (steps % 2.0)] * 3, axis=1)
    norms[steps % 500 == 0] = [9.0, 0.0, 9.0]
    lines = [
        {"step": int(step), "seconds": 1.0, "true_gradient_output": values.tolist()}
        for step, values in zip(steps, norms, strict=True)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(ROW.seeds) == 3
    spread, peaks = rare.gradient_rows(tmp_path, row, [ROW])
    frequent = norms[steps % 500 != 0, 0]
    assert spread.value == pytest.approx(frequent.std() / frequent.mean())
    assert spread.unit == "1"
    # 19 rare batches among the 20 largest of the first and third seed, none of the second
    assert peaks.value == pytest.approx((19 / 20 + 0 + 19 / 20) / 3)
    assert rare.gradient_rows(tmp_path, replace(row, name="other"), [ROW]) == []
