"""Measures `FewShotClassifier` on characters that its model was not trained on, beside what anybody would try first.

    python scripts/check_other_characters.py [MODEL] [--episodes 200] [--data FOLDER] [--out FILE]

The characters are MNIST's test digits, scikit-learn's 8×8 digits, and the 26 capital letters in the 14 upright and
slanted text faces that come with matplotlib. An episode draws classes, labelled examples of each and five queries of
each, or as many as there are. The model's own read-out and the class means in its embedding stand beside the nearest
neighbour and logistic regression on the pixels that the model sees, all on the same episodes.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastslow._checks import UserError
from fastslow.datasets.images import to_ink_28
from fastslow.datasets.mnist import load_mnist
from fastslow.estimators import FewShotClassifier
from fastslow.results.measure import episodes_row
from fastslow.results.row import ResultRow, write_rows
from fastslow.results.tables import table
from fastslow.training.fingerprint import digest
from fastslow.zoo.saved import load

EXPERIMENT = "other-characters"
SETTINGS = ((5, 1), (5, 5), (10, 1), (10, 5))
QUERIES = 5
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic")),
    "cmr10",
    "cmss10",
)
LARGE, MARGIN = 96, 16
"""Points of a printed letter, and paper around it in pixels: a sixth of its size, as MNIST's digits have."""


@dataclass(frozen=True, eq=False)
class Characters:
    """Drawings with their classes. Attributes: `name`; `split`; `images`, ink = 255; `labels`."""

    name: str
    split: str
    images: UInt8[np.ndarray, "drawings 28 28"]
    labels: Int[np.ndarray, " drawings"]

    @property
    def data(self) -> dict[str, str | None]:
        """The `data` entry of a result row."""
        content = digest([self.images, self.labels])
        return {"name": self.name, "split": self.split, "digest": content, "scheme": "arrays-sha256"}


def characters(name: str, split: str, light: np.ndarray, labels: np.ndarray) -> Characters:
    """Light ink on dark paper, of any size, as the models see it."""
    images = np.rint(to_ink_28(light, "light") * 255).astype(np.uint8)
    return Characters(name, split, images, labels.astype(np.int64))


def printed(letter: str, face: str) -> UInt8[np.ndarray, "height columns"]:
    """One letter, its longer side as large as that of any other."""
    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"), LARGE)
    picture = Image.new("L", (3 * LARGE, 3 * LARGE))
    ImageDraw.Draw(picture).text((LARGE, LARGE), letter, fill=255, font=font)
    picture = picture.crop(picture.getbbox())
    width, height = picture.size
    side = max(width, height) + 2 * MARGIN
    square = Image.new("L", (side, side))
    square.paste(picture, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)


def all_characters(data: str | None) -> list[Characters]:
    """The three kinds of characters.

    Raises:
        UserError: MNIST cannot be found.
    """
    digits, (small, small_labels) = load_mnist(data).test, load_digits(return_X_y=True)
    letters = np.concatenate([to_ink_28(printed(c, face)[None], "light") for c in LETTERS for face in FACES])
    numbers = np.repeat(np.arange(len(LETTERS)), len(FACES))
    return [
        characters("MNIST", "test", digits.images, digits.labels),
        characters("8×8 digits", "whole", np.asarray(small).reshape(-1, 8, 8) / 16, np.asarray(small_labels)),
        characters("printed letters", "14 faces", letters, numbers),
    ]


def episodes_of(
    known: Characters, way: int, shot: int, episodes: int
) -> Iterator[tuple[Int[np.ndarray, " support"], Int[np.ndarray, " query"]]]:
    """Numbers of the drawings to learn from and of those to name."""
    rng = np.random.default_rng(way * 100 + shot)
    members = [np.flatnonzero(known.labels == c) for c in range(known.labels.max() + 1)]
    for _ in range(episodes):
        chosen = rng.choice(len(members), way, replace=False)
        drawn = [rng.choice(members[c], shot + QUERIES, replace=False) for c in chosen]
        yield np.concatenate([each[:shot] for each in drawn]), np.concatenate([each[shot:] for each in drawn])


def pixels(images: UInt8[np.ndarray, "items 28 28"]) -> Float[np.ndarray, "items pixels"]:
    """Flattened images in [0, 1]."""
    return images.reshape(len(images), -1) / 255


def rivals(model: str) -> dict[str, Callable[[], Any]]:
    """What is measured, by the rows' names."""
    return {
        "FewShotClassifier": partial(FewShotClassifier, model, ink="light"),
        "class means in its embedding": partial(FewShotClassifier, model, ink="light", readout="prototypes"),
        "nearest neighbour, pixels": lambda: make_pipeline(FunctionTransformer(pixels), KNeighborsClassifier(1)),
        "logistic regression, pixels": lambda: make_pipeline(
            FunctionTransformer(pixels), LogisticRegression(max_iter=1000)
        ),
    }


def measure(model: str, known: Characters, way: int, shot: int, episodes: int) -> dict[str, np.ndarray]:
    """Accuracy of each episode by each rival, `[episodes]`."""
    makers = rivals(model)
    found: dict[str, list[float]] = {name: [] for name in makers}
    for support, query in episodes_of(known, way, shot, episodes):
        for name, make in makers.items():
            fitted = make().fit(known.images[support], known.labels[support])
            found[name].append(fitted.score(known.images[query], known.labels[query]))
    return {name: np.array(each) for name, each in found.items()}


def rows(model: str, episodes: int, data: str | None) -> list[ResultRow]:
    """A result row for each rival, kind of character and setting.

    Raises:
        UserError: for a model or data that cannot be found.
    """
    saved, results = load(model), []
    for known in all_characters(data):
        for way, shot in SETTINGS:
            start = time.perf_counter()
            measured = measure(model, known, way, shot, episodes)
            seconds = time.perf_counter() - start
            for name, found in measured.items():
                fields = {"axis": {"setting": f"{way}-way {shot}-shot"}, "chance": 1 / way, "data": known.data}
                given = {"experiment": EXPERIMENT, "row": f"{known.name}: {name}", "seconds": seconds}
                results.append(episodes_row(saved.config, saved.seeds[:1], saved.digests[:1], found, **given, **fields))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="characters")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, default=Path("results") / EXPERIMENT / "characters.json")
    given = parser.parse_args()
    try:
        results = rows(given.model, given.episodes, given.data)
        write_rows(given.out, results)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(table(results))
    print(given.out)


if __name__ == "__main__":
    main()
