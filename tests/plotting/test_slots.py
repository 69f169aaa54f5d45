import numpy as np

from fastslow.plotting.slots import over_slots


def test_slots_are_evenly_spaced_and_each_setting_has_a_panel():
    line = np.array([[0, 0.5, 0.45, 0.55], [100, 0.9, 0.88, 0.92]])
    figure = over_slots({"5-way": {"both": line, "memory": line[1:]}, "20-way": {"both": line}})
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("5-way", "20-way")
    np.testing.assert_array_equal(first.lines[0].get_xdata(), [0, 1])
    np.testing.assert_array_equal(first.lines[1].get_xdata(), [1])
    np.testing.assert_allclose(first.lines[0].get_ydata(), [50, 90])
    assert [label.get_text() for label in first.get_xticklabels()] == ["0", "100"]
