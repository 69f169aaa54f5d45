"""The script that measures the classifier on characters of other kinds: its data, its episodes and its rows."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scripts.check_other_characters import FACES, LETTERS, characters, episodes_of, measure, printed, rivals
from tests.estimators.pictures import drawings

from fastslow.results.measure import episodes_row
from fastslow.zoo.saved import load

# light strokes; eight classes of twelve drawings
MARKS = characters("marks", "whole", 255 - drawings(8, 12, side=60), np.repeat(np.arange(8), 12))


@pytest.mark.parametrize("face", FACES)
def test_a_printed_letter_is_large_and_in_the_middle(face: str) -> None:
    images = {letter: printed(letter, face).astype(float) for letter in LETTERS}
    for image in images.values():
        side = len(image)
        assert image.shape == (side, side)
        rows, columns = np.nonzero(image)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert max(height, width) > 0.6 * side
        assert abs(rows.min() + rows.max() - side + 1) <= 1
        assert abs(columns.min() + columns.max() - side + 1) <= 1
    assert len({image.tobytes() for image in images.values()}) == len(LETTERS)


def test_an_episode_asks_for_other_drawings_of_the_same_classes() -> None:
    for support, query in episodes_of(MARKS, way=5, shot=3, episodes=20):
        known = np.bincount(MARKS.labels[support], minlength=8)
        assert sorted(known.tolist()) == [0, 0, 0, 3, 3, 3, 3, 3]
        np.testing.assert_array_equal(np.bincount(MARKS.labels[query], minlength=8), known // 3 * 5)
        assert not set(support) & set(query)


def test_everyone_answers_the_same_episodes(any_way_model: Path) -> None:
    found = measure(str(any_way_model), MARKS, way=5, shot=1, episodes=3)
    assert list(found) == list(rivals(""))
    assert all(each.shape == (3,) for each in found.values())
    # each class is a patch in a place of its own
    assert found["nearest neighbour, pixels"].mean() > 0.9
    assert found["logistic regression, pixels"].mean() > 0.9


def test_a_row_is_about_the_first_seed(any_way_model: Path) -> None:
    saved = load(any_way_model)
    shared = {"experiment": "other-characters", "chance": 0.2, "data": MARKS.data, "seconds": 1.0}
    row = episodes_row(
        saved.config,
        saved.seeds[:1],
        saved.digests[:1],
        np.array([0.5, 1.0, 0.75]),
        row="one",
        axis={"setting": "marks"},
        **shared,
    )
    assert (row.value, row.episodes, row.seeds) == (0.75, 3, (0,))
    assert row.params_digest["values"] == list(saved.digests)
    assert row.config["model"]["kind"] == "any-way"
