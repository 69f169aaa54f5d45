"""Attention over slots at a rare batch and at the frequent one after it."""

import numpy as np

from fastslow.plotting.rare import Attended, attention


def test_each_network_has_a_panel_with_its_slots_and_examples() -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(4), size=3)
    numbered = Attended(scores, ("5", "6", "0"), 2, ("1", "2", "3", "4"), holds=False)
    held = Attended(scores[:, :2], ("5", "6", "0"), 2, ("1", "–"), holds=True)
    figure = attention({"as printed": numbered, "held": held})
    panes = figure.axes[:2]
    for axes, seen in zip(panes, (numbered, held), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), seen.scores)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == list(seen.slots)
        assert [tick.get_text() for tick in axes.get_yticklabels()] == list(seen.labels)
        assert axes.lines[0].get_ydata()[0] == 1.5
    assert [axes.get_xlabel() for axes in panes] == ["slot", "slot, by the class it holds"]
