"""Streams MNIST's digits through `OnlineOneShot`, class after class, beside nearest neighbours.

    python scripts/check_online.py [MODEL] [--streams 3] [--slots 1000] [--data FOLDER] [--out FILE]

A new class comes every 100 examples, each example drawn uniformly from the classes so far; then come 1,000 more of all
ten. Measured is the share named rightly before the label came, over the first and the last 100 of these 1,000, and
over all of them. Nearest neighbours hold as many examples, kept by the same rule. MODEL was not trained on digits.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from fastslow._checks import UserError
from fastslow.datasets.images import to_ink_28
from fastslow.datasets.mnist import Digits, load_mnist
from fastslow.estimators import OnlineOneShot
from fastslow.estimators.engine import embedder_of, engine_of
from fastslow.estimators.slot_reader import SlotReader, unit
from fastslow.results.measure import episodes_row
from fastslow.results.row import ResultRow, write_rows
from fastslow.results.tables import table
from fastslow.zoo.saved import Saved, load

EXPERIMENT = "online-mnist"
CLASSES, EACH, AFTER, PART = 10, 100, 1000, 100
PARTS = {"first 100": slice(0, PART), "last 100": slice(-PART, None), "all 1,000": slice(None)}


def stream(labels: Int[np.ndarray, " digits"], seed: int) -> Int[np.ndarray, " steps"]:
    """Which digit comes at each step; none comes twice."""
    rng = np.random.default_rng(seed)
    left = {c: list(rng.permutation(np.flatnonzero(labels == c))) for c in range(CLASSES)}
    order, chosen = rng.permutation(CLASSES), []
    for known in range(1, CLASSES + 1):
        chosen += [left[rng.choice(order[:known])].pop() for _ in range(EACH)]
    chosen += [left[rng.choice(order)].pop() for _ in range(AFTER)]
    return np.array(chosen)


def by_estimator(model: OnlineOneShot, items: np.ndarray, labels: np.ndarray) -> Bool[np.ndarray, " after"]:
    """Whether each of the last examples was named rightly."""
    right = []
    for item, label in zip(items, labels.tolist(), strict=True):
        right.append(model.predict_one(item) == label)
        model.learn_one(item, label)
    return np.array(right[-AFTER:])


def by_neighbour(keys: Float[np.ndarray, "steps width"], labels: np.ndarray, slots: int) -> Bool[np.ndarray, " after"]:
    """The same for the nearest of the vectors that a memory holds."""
    reader, right = SlotReader(slots), []
    held = reader.start()
    for key, label in zip(keys, labels.tolist(), strict=True):
        right.append(len(held.keys) > 0 and held.numbers[np.argmax(held.keys @ key)] == label)
        held = reader.learn(held, key, label)
    return np.array(right[-AFTER:])


def measure(saved: Saved, digits: Digits, streams: int, slots: int) -> dict[str, Bool[np.ndarray, "streams after"]]:
    """Each way on the same streams."""
    ink = to_ink_28(digits.images, "light")
    engine = engine_of(saved.config)
    features = np.stack([unit(row) for row in engine.features(embedder_of(saved), ink)])
    pixels = np.stack([unit(row) for row in digits.images.reshape(len(ink), -1).astype(np.float64)])
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(streams):
        chosen = stream(digits.labels, seed)
        labels = digits.labels[chosen]
        own = by_estimator(OnlineOneShot(features=True, slots=slots), features[chosen], labels)
        found.setdefault("OnlineOneShot", []).append(own)
        found.setdefault("nearest neighbour, same features", []).append(by_neighbour(features[chosen], labels, slots))
        found.setdefault("nearest neighbour, pixels", []).append(by_neighbour(pixels[chosen], labels, slots))
    return {name: np.stack(each) for name, each in found.items()}


def rows(
    saved: Saved, found: dict[str, np.ndarray], slots: int, data: dict[str, str | None], seconds: float
) -> list[ResultRow]:
    """A result row for each way and part of the streams; a stream counts as an episode."""
    results = []
    for name, right in found.items():
        for part, where in PARTS.items():
            fields = {
                "experiment": EXPERIMENT,
                "row": name,
                "axis": {"part": part},
                "chance": 1 / CLASSES,
                "data": data,
            }
            facts = {"slots": slots, "model": saved.name}
            results.append(
                episodes_row(
                    saved.config,
                    saved.seeds[:1],
                    saved.digests[:1],
                    right[:, where].mean(axis=1),
                    facts=facts,
                    seconds=seconds,
                    **fields,
                )
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="characters")
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    start = time.perf_counter()
    try:
        saved, mnist = load(given.model), load_mnist(given.data)
        found = measure(saved, mnist.test, given.streams, given.slots)
        data = {"name": "mnist", "split": "test", "digest": mnist.sha256, "scheme": "files-sha256"}
        results = rows(saved, found, given.slots, data, time.perf_counter() - start)
        out = given.out or Path("results") / EXPERIMENT / f"{given.slots}-slots.json"
        write_rows(out, results)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(table(results))
    print(out)


if __name__ == "__main__":
    main()
