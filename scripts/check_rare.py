"""Streams MNIST's digits, five of them rare, through `OnlineOneShot`, beside memories that keep the last examples.

    python scripts/check_rare.py [MODEL] [--streams 10] [--slots 1000] [--data FOLDER] [--out FILE]

Of 5,000 examples every hundredth is of a rare digit, ten of each; all others are drawn from the five frequent ones.
Which digits are rare is drawn for each stream. Afterwards 200 unseen images of each digit are named. Examples are
images, which MODEL embeds, or feature vectors that know nothing of it: the first 48 principal components of the pixels
of the first 1,000 examples. A memory whose slots are used by writes alone loses its oldest example (least used).
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.decomposition import PCA

from fastslow._checks import UserError
from fastslow.datasets.images import to_ink_28
from fastslow.datasets.mnist import MNIST, load_mnist
from fastslow.estimators import OnlineOneShot
from fastslow.estimators.engine import embedder_of, engine_of
from fastslow.estimators.slot_reader import SlotReader, Slots, unit
from fastslow.results.measure import episodes_row
from fastslow.results.row import ResultRow, write_rows
from fastslow.results.tables import table
from fastslow.zoo.saved import Saved, load

EXPERIMENT = "online-rare"
CLASSES, RARE, EXAMPLES, EVERY, TESTED, COMPONENTS = 10, 5, 5_000, 100, 200, 48


def stream(labels: Int[np.ndarray, " digits"], seed: int) -> tuple[Int[np.ndarray, " steps"], set[int]]:
    """Which digit comes at each step, and the rare classes; none comes twice."""
    rng = np.random.default_rng(seed)
    left = {c: list(rng.permutation(np.flatnonzero(labels == c))) for c in range(CLASSES)}
    order = rng.permutation(CLASSES).tolist()
    rare, frequent = order[:RARE], order[RARE:]
    turns = iter(rng.permutation(np.repeat(rare, EXAMPLES // EVERY // RARE)).tolist())
    chosen = [
        left[next(turns) if step % EVERY == EVERY - 1 else rng.choice(frequent)].pop() for step in range(EXAMPLES)
    ]
    return np.array(chosen), set(rare)


def balanced(keys: np.ndarray, labels: np.ndarray, tests: np.ndarray, slots: int) -> Int[np.ndarray, " tests"]:
    """What the estimator takes the tests for."""
    model = OnlineOneShot(features=True, slots=slots)
    for key, label in zip(keys, labels.tolist(), strict=True):
        model.learn_one(key, label)
    return np.array([model.predict_one(key) for key in tests])


def last(keys: np.ndarray, labels: np.ndarray, tests: np.ndarray, slots: int) -> Int[np.ndarray, " tests"]:
    """The same of a memory that holds the last examples; a class without one is no answer."""
    kept, places = np.unique(labels[-slots:], return_inverse=True)
    held = Slots(keys[-slots:].astype(np.float32), places)
    reader = SlotReader(slots)
    return kept[[int(np.argmax(reader.predict(held, key.astype(np.float32), len(kept)))) for key in tests]]


Found = dict[str, dict[str, Float[np.ndarray, " streams"]]]
"""Accuracy of each way on each group of digits."""


def measure(saved: Saved, mnist: MNIST, streams: int, slots: int) -> Found:
    """Accuracy on both groups of each way on the same streams."""
    engine, embedder = engine_of(saved.config), embedder_of(saved)
    features = lambda images: np.stack([unit(f) for f in engine.features(embedder, to_ink_28(images, "light"))])
    pixels = lambda images: images.reshape(len(images), -1).astype(np.float64)
    tested = np.concatenate([np.flatnonzero(mnist.test.labels == c)[:TESTED] for c in range(CLASSES)])
    truth, images = mnist.test.labels[tested].astype(int), mnist.test.images[tested]
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(streams):
        chosen, rare = stream(mnist.train.labels, seed)
        labels, shown = mnist.train.labels[chosen].astype(int), mnist.train.images[chosen]
        components = PCA(COMPONENTS, random_state=0).fit(pixels(shown[:1000]))
        reduced = lambda x, fitted=components: np.stack([unit(row) for row in fitted.transform(pixels(x))])
        is_rare: Bool[np.ndarray, " tests"] = np.isin(truth, list(rare))
        for kind, keys_of in (("images", features), ("feature vectors", reduced)):
            keys, tests = keys_of(shown), keys_of(images)
            for name, way in (("OnlineOneShot", balanced), ("least-used eviction", last)):
                right = way(keys, labels, tests, slots) == truth
                groups = found.setdefault(f"{kind}: {name}", {"rare": [], "frequent": []})
                groups["rare"].append(float(right[is_rare].mean()))
                groups["frequent"].append(float(right[~is_rare].mean()))
    return {name: {group: np.array(each) for group, each in groups.items()} for name, groups in found.items()}


def rows(saved: Saved, found: Found, slots: int, data: dict[str, str | None], seconds: float) -> list[ResultRow]:
    """A result row for each way and group; a stream counts as an episode."""
    results = []
    for name, groups in found.items():
        for group, values in groups.items():
            fields = {"experiment": EXPERIMENT, "row": name, "axis": {"digits": group}, "chance": 1 / CLASSES}
            facts = {"slots": slots, "model": saved.name if name.startswith("images") else None}
            given = (saved.config, saved.seeds[:1], saved.digests[:1], values)
            results.append(episodes_row(*given, facts=facts, seconds=seconds, data=data, **fields))
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
        found = measure(saved, mnist, given.streams, given.slots)
        data = {"name": "mnist", "split": "train, test", "digest": mnist.sha256, "scheme": "files-sha256"}
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
