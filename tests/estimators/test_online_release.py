"""The released network on streams holds what its card says, asked the way users ask it."""

from pathlib import Path

import jax
import numpy as np
import pytest

from fastslow.datasets.omniglot import DRAWINGS, load_raw
from fastslow.datasets.splits import load_split
from fastslow.estimators import OnlineOneShot
from fastslow.results.row import read_rows
from fastslow.tasks.glyphs import GlyphsConfig

STREAMS = 20


def by_instance(drawings: np.ndarray, order: np.ndarray, model: OnlineOneShot) -> dict[int, list[bool]]:
    """Whether each drawing was named rightly before its label came, by which of its class it is.

    Args:
        drawings: `[classes, drawings, height, width]`; the labels are the places of the classes.
        order: class of each step.
        model: learns from the stream.
    """
    found: dict[int, list[bool]] = {}
    for step, number in enumerate(order):
        before = int((order[:step] == number).sum())
        drawing = drawings[number, before]
        found.setdefault(before + 1, []).append(model.predict_one(drawing) == number)
        model.learn_one(drawing, int(number))
    return found


def shares(streams: list[dict[int, list[bool]]]) -> dict[int, float]:
    return {k: float(np.mean([correct for stream in streams for correct in stream.get(k, [])])) for k in (2, 5, 10)}


def test_it_learns_generated_characters_too() -> None:
    """Five classes of drawings unlike those it was trained on; by chance a fifth are named rightly."""
    task = GlyphsConfig(way=5, shot=10, queries=1).build().test
    rng, streams = np.random.default_rng(0), []
    for seed in range(4):
        given = jax.jit(task.sample)(jax.random.key(seed), 0).support
        images, labels = np.asarray(given.inputs), np.asarray(given.labels)
        drawings = np.stack([images[labels == k] for k in range(5)])
        model = OnlineOneShot("omniglot-stream", ink="light")
        streams.append(by_instance(drawings, rng.permutation(np.repeat(np.arange(5), 10)), model))
    found = shares(streams)
    assert found[2] > 0.7
    assert found[5] > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("classes", [5, 15, 30])
def test_it_holds_what_is_stated_on_held_out_drawings(root: Path, real_data: Path, classes: int) -> None:
    """Upright drawings, and answers among the classes seen: no harder than what was measured."""
    row = f"the released network, {classes} classes, 10 examples of each"
    results = read_rows(root / "results" / "mann" / "release" / "1-ten-each.json")
    stated = {result.axis["instance"]: result.value for result in results if result.row == row}
    names = load_split("omniglot_1200_423").test
    dark = 255 - load_raw(names, str(real_data))
    rng, streams = np.random.default_rng(classes), []
    for _ in range(STREAMS):
        chosen = dark[rng.choice(len(names), classes, replace=False)]
        hands = np.stack([each[rng.permutation(DRAWINGS)] for each in chosen])
        streams.append(
            by_instance(hands, rng.permutation(np.repeat(np.arange(classes), 10)), OnlineOneShot("omniglot-stream"))
        )
    found = shares(streams)
    for k in (2, 10):
        value = stated[k]
        assert found[k] > value - 3 * np.sqrt(value * (1 - value) / (STREAMS * classes))
