"""Errors after each step and drawn paths: a network has one colour in both."""

import numpy as np

from fastslow.plotting.curve import Curve
from fastslow.plotting.paths import Drawn, errors, paths

NAMES = ("constant velocity", "one", "two")


def test_what_learns_nothing_is_dashed_and_others_keep_their_colour() -> None:
    curves = {name: Curve(np.arange(3), np.full((3, 2), 1.0 + i)) for i, name in enumerate(NAMES)}
    above = errors({"other tracks": curves}, "m²", "inner steps", NAMES[:1]).axes[0]
    lines = {line.get_label(): line for line in above.lines}
    assert lines[NAMES[0]].get_linestyle() != "-"
    assert [lines[name].get_linestyle() for name in NAMES[1:]] == ["-", "-"]
    straight = np.stack([np.arange(4.0), np.zeros(4)], axis=1)
    user = Drawn(straight, straight + 4, dict.fromkeys(NAMES[1:], straight + 4))
    figure = paths([[user, user], [user, user]], "m", ("cyclists", "pedestrians"))
    assert len(figure.axes) == 4
    assert [figure.axes[i].get_title() for i in (0, 2)] == ["cyclists", "pedestrians"]
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert [drawn[name].get_color() for name in NAMES[1:]] == [lines[name].get_color() for name in NAMES[1:]]
    np.testing.assert_array_equal(drawn["truth"].get_xydata(), straight + 4)
