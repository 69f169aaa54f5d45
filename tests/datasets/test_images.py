"""Images of any size and type to what the models see."""

import numpy as np
import pytest

from fastslow._checks import UserError
from fastslow.datasets.images import shrink, to_ink_28


def test_shrinking_keeps_shape_and_sides():
    drawing = np.zeros((105, 105), np.uint8)
    drawing[:53] = 255  # ink above, paper below
    small = shrink(drawing)
    assert (small[:12] > 245).all()
    assert (small[16:] < 10).all()
    wide = np.full((10, 40), 255, np.uint8)  # a bar is centred on square paper, not stretched
    bar = shrink(wide)
    assert (bar[14, 2:-2] > 245).all()
    assert (bar[:7] < 10).all()
    assert (bar[-7:] < 10).all()


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (7, 50), (300, 200)])
def test_images_of_any_size_and_type(size):
    ink = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    out = to_ink_28(ink, "light")
    assert out.shape == (2, 28, 28)
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1
    if size[0] == size[1]:  # padding is paper: dark on light only turns round where there is none
        np.testing.assert_array_equal(to_ink_28(255 - ink, "dark"), out)
    np.testing.assert_array_equal(to_ink_28(ink.astype(np.float64) / 255, "light"), out)
    np.testing.assert_array_equal(to_ink_28(ink > 99, "light"), to_ink_28(np.where(ink > 99, 1.0, 0.0), "light"))


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (np.full((1, 9, 9), np.nan), "NaN"),
        (np.full((1, 9, 9), np.inf), "NaN or infinite"),
        (np.full((1, 9, 9), 200.0), "divide by 255"),
        (np.full((1, 9, 9), -0.5), r"float values in \[0, 1\]"),
        (np.zeros((1, 9, 9), np.int64), "int64"),
        (np.zeros((9, 9)), r"\[items, height, columns\]"),
        (np.zeros((1, 0, 9)), "no empty image"),
        (np.zeros((1, 1, 100_000)), "1×100000 pixels, expected at most 10,000 pixels a side; shrink them first"),
        (np.zeros((1, 10_001, 1)), "10001×1 pixels"),
    ],
)
def test_images_that_cannot_be_used(images, match):
    with pytest.raises(UserError, match=match):
        to_ink_28(images)


def test_ink_must_be_dark_or_light():
    with pytest.raises(UserError, match="one of dark, light"):
        to_ink_28(np.zeros((1, 9, 9)), "grey")
