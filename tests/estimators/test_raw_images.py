"""The classifier on raw drawings agrees with the array pipeline, on the same episodes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scripts.check_raw_images import TOLERANCE, compare, episodes_of, numbered, read_number

from fastslow.tasks.omniglot import OmniglotConfig
from fastslow.zoo.saved import release_names


def test_numbered_images_name_themselves() -> None:
    images = numbered(300)
    for number, drawing, turns in [(0, 0, 0), (299, 19, 1), (256, 7, 2), (255, 3, 3)]:
        image = np.rot90(images[number, drawing], turns).astype(np.float32) / 255
        assert read_number(image) == (number, drawing, turns)


def test_episodes_hold_each_drawing_once() -> None:
    config = OmniglotConfig(way=3, shot=2, queries=4)
    episodes = list(episodes_of(config, classes=30, episodes=3))
    assert len(episodes) == 3
    for support, query in episodes:
        seen = [read_number(image) for image in (*support.inputs, *query.inputs)]
        labels = [*support.labels, *query.labels]
        assert len(set(seen)) == 3 * 6
        assert len({((c, k), label) for (c, _, k), label in zip(seen, labels, strict=True)}) == 3


@pytest.mark.slow
def test_both_ways_agree_on_held_out_characters(real_data: Path) -> None:
    if "characters" not in release_names():
        pytest.skip("no release named characters in this version")
    comparison = compare("characters", episodes=200, data=str(real_data))
    assert comparison.arrays.mean() > 0.95
    assert abs(comparison.difference) <= TOLERANCE
