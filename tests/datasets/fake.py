"""A tiny copy of Omniglot: three characters of two alphabets and two of another, in two zips."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastslow._checks import UserError
from fastslow.datasets import omniglot as module
from fastslow.datasets.locate import Part
from fastslow.datasets.omniglot import Content, _load

FAKE = (
    Content(Part("images_background", "https://example.org/images_background.zip", ""), alphabets=2, classes=3),
    Content(Part("images_evaluation", "https://example.org/images_evaluation.zip", ""), alphabets=1, classes=2),
)
# Not in order, as in a folder: the reader sorts.
BACKGROUND = (
    "images_background/Alpha-Beta/character01",
    "images_background/Alpha/character02",
    "images_background/Alpha/character01",
)
EVALUATION = ("images_evaluation/Beta/character02", "images_evaluation/Beta/character01")


def png(seed: int, side: int = 105) -> bytes:
    """A black stroke on white, as in the data set's files."""
    paper = np.ones((side, side), bool)
    row, column = np.random.default_rng(seed).integers(5, side - 20, 2)
    paper[row : row + 3, 5:-5] = False
    paper[5:-5, column : column + 4] = False
    return as_png(Image.fromarray(paper))


def as_png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "png")
    return out.getvalue()


def members(classes: tuple[str, ...], seed: int = 0) -> dict[str, bytes]:
    """Drawings of some classes, by their names in the archive."""
    names = [f"{name}/{place:04}_{drawer:02}.png" for place, name in enumerate(classes) for drawer in range(20, 0, -1)]
    return {name: png(seed + place) for place, name in enumerate(names)}


def write_zip(file: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w") as out:
        for name, data in content.items():
            out.writestr(name, data)


def write_fake(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_zip(folder / "images_background.zip", members(BACKGROUND, seed))
    write_zip(folder / "images_evaluation.zip", members(EVALUATION, seed + 1000))
    return folder


def cache_file() -> Path:
    return Path(os.environ["FASTSLOW_CACHE"]) / module.SMALL.file


def refused(folder: Path, match: str) -> None:
    """The copy is refused in one sentence, and nothing of it is cached."""
    with pytest.raises(UserError, match=match) as error:
        _load(folder, FAKE)
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert ". " not in text
    assert not cache_file().exists()
