"""Measures a model twice on the same test episodes: as arrays, and as raw images through `FewShotClassifier`.

    python scripts/check_raw_images.py [MODEL] [--episodes 1000] [--data FOLDER] [--out FILE]

The array pipeline shrinks each drawing once, then turns it; the classifier gets the drawing at its original 105×105,
dark ink on light paper, turned as the episode has it, and shrinks it itself. Their accuracies should differ by half a
point at most. MODEL is a release or a run trained on Omniglot; FILE is the result file to write.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from fastslow._checks import UserError, bad
from fastslow.datasets.omniglot import DRAWINGS, load_raw
from fastslow.datasets.splits import load_split
from fastslow.estimators import FewShotClassifier
from fastslow.metrics import ACCURACY
from fastslow.results.measure import episodes_row, facts_of
from fastslow.results.row import ResultRow, write_rows
from fastslow.tasks.base import Examples, TaskSplits
from fastslow.tasks.omniglot import OmniglotConfig, OmniglotTask
from fastslow.training.evaluate import EVALUATION_SEED, evaluate_all
from fastslow.training.state import draw
from fastslow.zoo.saved import Saved, load

EXPERIMENT = "raw-images"
TOLERANCE = 0.005
BATCH = 20


@dataclass(frozen=True)
class Comparison:
    """Accuracy of each episode, `[episodes]`, and the result rows of both ways."""

    arrays: Float[np.ndarray, " episodes"]
    raw: Float[np.ndarray, " episodes"]
    rows: tuple[ResultRow, ResultRow]

    @property
    def difference(self) -> float:
        """Mean accuracy on raw images minus that on arrays."""
        return float(self.raw.mean() - self.arrays.mean())


def numbered(classes: int) -> np.ndarray:
    """Images that name themselves, `[classes, drawings, 28, 28]`: a mark in a corner, then class and drawing."""
    images = np.zeros((classes, DRAWINGS, 28, 28), np.uint8)
    numbers = np.arange(classes)[:, None]
    images[:, :, 0, 0] = 255
    images[:, :, 0, 1], images[:, :, 0, 2] = numbers // 256, numbers % 256
    images[:, :, 0, 3] = np.arange(DRAWINGS)[None]
    return images


def read_number(image: Float[np.ndarray, "28 28"]) -> tuple[int, int, int]:
    """Class, drawing and quarter turns of a numbered image, by where its mark is."""
    values = np.rint(image * 255).astype(int)
    for turns in range(4):
        upright = np.rot90(values, -turns)
        if upright[0, 0] == 255:
            return 256 * upright[0, 1] + upright[0, 2], upright[0, 3], turns
    raise ValueError("an image without a mark")


def episodes_of(config: OmniglotConfig, classes: int, episodes: int) -> Iterator[tuple[Examples, Examples]]:
    """Support and queries of the stored evaluation episodes, with numbered images, one episode at a time."""
    images = jnp.asarray(numbered(classes))
    task = OmniglotTask(images, way=config.way, shot=config.shot, queries=config.queries, rotations=config.rotations)
    key = jax.random.split(jax.random.key(EVALUATION_SEED))[0]
    sample = jax.jit(lambda task, first: draw(task, key, jnp.int32(0), first + jnp.arange(BATCH)))
    for first in range(0, episodes, BATCH):
        batch = jax.device_get(sample(task, jnp.int32(first)))
        for place in range(min(BATCH, episodes - first)):
            yield jax.tree.map(lambda leaf, place=place: leaf[place], (batch.support, batch.query))


def on_raw_images(model: str | Path, config: OmniglotConfig, episodes: int) -> Float[np.ndarray, " episodes"]:
    """Accuracy of each evaluation episode through the classifier."""
    names = load_split(config.split).test
    dark = 255 - load_raw(names, config.data)

    def drawings(examples: Examples) -> np.ndarray:
        return np.stack([np.rot90(dark[c, d], k) for c, d, k in map(read_number, examples.inputs)])

    classifier = FewShotClassifier(model, ink="dark", readout="head")
    found = [
        classifier.fit(drawings(support), support.labels).score(drawings(query), query.labels)
        for support, query in episodes_of(config, len(names), episodes)
    ]
    return np.array(found)


def row(name: str, saved: Saved, tasks: TaskSplits, found: np.ndarray, seconds: float) -> ResultRow:
    """The result row of one way."""
    facts = facts_of(saved.config)
    fields = {"experiment": EXPERIMENT, "row": name, "chance": saved.config.task.spec.chance, "data": tasks.data}
    return episodes_row(saved.config, saved.seeds[:1], saved.digests[:1], found, facts=facts, seconds=seconds, **fields)


def compare(model: str | Path, *, episodes: int = 1000, data: str | None = None) -> Comparison:
    """Measures the first seed of a model both ways, on the same episodes.

    Args:
        model: name of a release, or path of a run folder or of a release's folder.
        episodes: how many.
        data: folder with Omniglot; see `OmniglotConfig`.

    Raises:
        UserError: for an unknown model, one of other data, or data that cannot be found.
    """
    saved = load(model)
    config = saved.config.task
    if not isinstance(config, OmniglotConfig):
        raise bad("model", got=saved.name, expected="a model trained on Omniglot")
    start = time.perf_counter()
    config = replace(config, data=data)
    tasks = config.build()
    states = jax.tree.map(lambda leaf: leaf[:1], saved.states)
    found = evaluate_all(saved.learner, states, tasks.test, episodes=episodes, batch=BATCH)[ACCURACY.key]
    arrays = (found.total / found.count)[0]
    between = time.perf_counter()
    raw = on_raw_images(model, config, episodes)
    times = between - start, time.perf_counter() - between
    names = "arrays", "FewShotClassifier on raw images"
    rows = [row(name, saved, tasks, found, t) for name, found, t in zip(names, (arrays, raw), times, strict=True)]
    return Comparison(arrays, raw, (rows[0], rows[1]))


def report(comparison: Comparison) -> dict[str, Any]:
    """Figures to print, in points."""
    told: dict[str, Any] = {row.row: f"{100 * row.value:.2f} %" for row in comparison.rows}
    told["difference"] = f"{100 * comparison.difference:+.2f} points"
    told["episodes with another accuracy"] = int((~np.isclose(comparison.arrays, comparison.raw)).sum())
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="characters")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, default=Path("results") / EXPERIMENT / "characters.json")
    given = parser.parse_args()
    try:
        comparison = compare(given.model, episodes=given.episodes, data=given.data)
        write_rows(given.out, comparison.rows)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    for name, figure in report(comparison).items():
        print(f"{name}: {figure}")
    print(given.out)
    if abs(comparison.difference) > TOLERANCE:
        sys.exit(f"They differ by more than {100 * TOLERANCE:g} points.")


if __name__ == "__main__":
    main()
