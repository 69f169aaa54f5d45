import errno

import numpy as np
import pytest
from PIL import Image
from tests.plotting import test_confusion, test_learning_curve, test_memory

from fastslow._checks import UserError
from fastslow.plotting.style import DPI, save

FIGURES = [test_learning_curve.drawn, test_confusion.drawn, lambda: test_memory.drawn()[2]]


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_are_saved_whole_and_large_enough(figure, tmp_path):
    drawn = figure()
    save(drawn, tmp_path / "figures" / "x.png")
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["x.png"]
    with Image.open(tmp_path / "figures" / "x.png") as image:
        assert image.size == tuple((drawn.get_size_inches() * DPI).astype(int))
        assert image.size[0] >= 600
        darkest, lightest = np.asarray(image.convert("L")).min(), np.asarray(image.convert("L")).max()
    assert (darkest < 60, lightest) == (True, 255)


def test_a_full_disk_leaves_the_old_figure(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fastslow.plotting.style.os.replace", full)
    with pytest.raises(UserError, match="the disk is full"):
        save(test_learning_curve.drawn(), path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.png", b"old")]
