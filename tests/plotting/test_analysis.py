"""Synthetic gradients beside true ones over the updates."""

import numpy as np

from fastslow.plotting.analysis import over_training
from fastslow.plotting.curve import Curve


def curve(*values: float) -> Curve:
    """Two seeds, the second one a tenth larger."""
    column = np.array(values)
    return Curve(np.arange(1, len(values) + 1) * 10, np.stack([column, 1.1 * column], axis=1))


def test_ratios_and_cosines_are_drawn_over_the_updates() -> None:
    met = {"input": (curve(2.0, 4.0), curve(1.0, 8.0), curve(0.1, 0.5))}
    above, below = over_training({"both": met}).axes[:2]
    lines = {line.get_label(): line for axes in (above, below) for line in axes.lines if line.get_linewidth() == 2}
    assert list(lines) == ["both"]
    np.testing.assert_allclose(above.lines[-1].get_ydata(), [0.5, 2.0])
    np.testing.assert_allclose(below.lines[-1].get_ydata(), [0.105, 0.525])
    assert above.lines[-1].get_xdata().tolist() == [10, 20]


def test_a_controller_on_which_nothing_depends_says_so() -> None:
    met = {
        "input": (curve(2.0, 4.0), curve(1.0, 8.0), curve(0.1, 0.5)),
        "write": (curve(0.0, 0.0), curve(1.0, 1.0), curve(0.0, 0.0)),
    }
    figure = over_training({"both": met, "meta": met})
    noted = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert [bool(texts) for texts in noted] == [False, True, False, True]
    assert [len(axes.lines) for axes in figure.axes] == [7, 1, 7, 1]


def test_a_row_without_a_true_gradient_leaves_those_beside_it() -> None:
    nothing, some = (curve(0.0, 0.0), curve(1.0, 1.0), curve(0.0, 0.0)), (curve(2.0), curve(1.0), curve(0.5))
    above, _ = over_training({"both": {"write": nothing}, "streamed": {"write": some}}).axes
    assert not above.texts
    assert [line.get_label() for line in above.lines if line.get_linewidth() == 2] == ["streamed"]
