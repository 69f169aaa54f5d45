"""Copies of Omniglot that are not whole, or not as it was published: refused in one sentence, and never cached."""

import io
import os
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fake import BACKGROUND, EVALUATION, FAKE, as_png, members, png, refused, write_zip

from fastslow.datasets.omniglot import _load


def test_a_truncated_zip(data):
    whole = (data / "images_background.zip").read_bytes()
    (data / "images_background.zip").write_bytes(whole[: len(whole) // 2])
    refused(data, "fetch it again")


def test_a_wrong_zip(data):
    write_zip(data / "images_background.zip", {"holiday/beach/sea/photo.png": png(0)})
    refused(data, "0 alphabets and 0 characters .* fetch https://example.org")


def test_the_zips_swapped(data):
    (data / "images_background.zip").rename(data / "other.zip")
    (data / "images_evaluation.zip").rename(data / "images_background.zip")
    (data / "other.zip").rename(data / "images_evaluation.zip")
    refused(data, "0 alphabets and 0 characters")


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "images_background/../../evil.png"])
def test_a_zip_whose_members_point_outside(data, name):
    write_zip(data / "images_background.zip", members(BACKGROUND) | {name: png(0)})
    refused(data, "only members inside the archive")


def test_missing_files(data):
    (data / "images_evaluation.zip").unlink()
    refused(data, r"images_evaluation\.zip is missing")


def test_a_class_too_few(data):
    write_zip(data / "images_evaluation.zip", members(EVALUATION[:1]))
    refused(data, "got 1 alphabets and 1 characters")


@pytest.mark.parametrize("extra", ["0001_01.png", "0001_00.png", "0001_1.png", "0002_13.png", "other.png"])
def test_each_drawer_must_be_there_once(data, extra):
    """Else the places of the drawings would be those of other drawers."""
    folder = "images_evaluation/Beta/character01/"
    content = members(EVALUATION)
    replaced = content.pop(f"{folder}0001_13.png")
    with zipfile.ZipFile(data / "images_evaluation.zip", "w") as out, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one name may be there twice
        for name, drawing in [*content.items(), (folder + extra, replaced)]:
            out.writestr(name, drawing)
    refused(data, f"the drawing [0-9a-z_]*.png of {folder[:-1]} .* by drawers 01 to 20")


def test_too_few_drawings(data):
    content = members(EVALUATION)
    content.pop("images_evaluation/Beta/character01/0001_13.png")
    write_zip(data / "images_evaluation.zip", content)
    refused(data, "19 drawings of images_evaluation/Beta/character01")


@pytest.mark.timeout(30)  # a pipe that nobody writes to makes its reader wait for ever
def test_a_pipe_among_the_drawings_is_no_drawing(data, tmp_path):
    for name in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(data / f"{name}.zip") as file:
            file.extractall(tmp_path / "folders")
    drawing = tmp_path / "folders" / "images_evaluation" / "Beta" / "character01" / "0001_13.png"
    drawing.unlink()
    os.mkfifo(drawing)
    refused(tmp_path / "folders", "19 drawings of images_evaluation/Beta/character01")


def test_eight_bits_of_grey_are_the_same_drawings(data):
    plain = _load(data, FAKE)
    grey = {name: as_png(Image.open(io.BytesIO(d)).convert("L")) for name, d in members(EVALUATION, 1000).items()}
    write_zip(data / "images_evaluation.zip", grey)
    assert _load(data, FAKE).sha256 == plain.sha256


@pytest.mark.parametrize("mode", ["I;16", "P", "LA", "RGB", "RGBA"])
def test_a_drawing_whose_values_would_change_is_refused(data, mode):
    drawing = Image.open(io.BytesIO(png(0))).convert("L")
    if mode == "I;16":
        drawing = Image.fromarray(np.asarray(drawing).astype(np.uint16) * 257)
    content = members(EVALUATION) | {"images_evaluation/Beta/character01/0001_13.png": as_png(drawing.convert(mode))}
    write_zip(data / "images_evaluation.zip", content)
    refused(data, f"0001_13.png of 105×105 pixels in mode {mode} .* 1 or 8 bits of grey")


@pytest.mark.parametrize(
    ("drawing", "match"), [(png(0, side=104), "104×104"), (b"GIF89a", "PNG"), (b"", "PNG"), (png(0)[:90], "PNG")]
)
def test_a_drawing_that_is_none(data, drawing, match):
    write_zip(
        data / "images_evaluation.zip",
        members(EVALUATION) | {"images_evaluation/Beta/character01/0001_13.png": drawing},
    )
    refused(data, f"0001_13.png.*{match}")


def test_what_else_a_zip_may_hold_is_passed_over(data):
    extra = {"__MACOSX/images_background/Alpha/character01/._0001_01.png": b"", "images_background/read.me": b"x"}
    plain = _load(data, FAKE)
    write_zip(data / "images_background.zip", members(BACKGROUND) | extra)
    assert _load(data, FAKE).sha256 == plain.sha256
