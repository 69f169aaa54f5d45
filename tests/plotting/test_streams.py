import numpy as np

from fastslow.plotting import streams as stream_plots
from fastslow.plotting.curve import Curve
from fastslow.plotting.streams import Belief

STEPS = np.array([10, 20])


def test_curves_of_each_network_are_means_over_seeds_in_a_panel_of_their_own():
    curves = {"1st": Curve(STEPS, np.array([[0.1, 0.3], [np.nan, 0.4]])), "2nd": Curve(STEPS, np.ones((2, 1)))}
    figure = stream_plots.over_training({"LSTM": curves, "MANN": curves, "other": {}})
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["LSTM", "MANN", "other"]
    np.testing.assert_allclose(shown[0].lines[0].get_ydata(), [0.2, 0.4])
    np.testing.assert_array_equal(shown[1].lines[1].get_xdata(), STEPS)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1st", "2nd"]
    assert shown[0].get_ylim() == (0, 1.02)


def test_a_curve_of_nothing_is_left_out():
    curves = {"1st": Curve(STEPS, np.array([[0.1], [np.nan]])), "10th": Curve(STEPS, np.full((2, 1), np.nan))}
    figure = stream_plots.over_training({"MANN": curves})
    assert [line.get_label() for line in figure.axes[0].lines] == ["1st"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [10])


def test_shares_are_drawn_against_classes():
    figure = stream_plots.by_classes(np.array([50, 55]), {"2nd": np.array([0.5, np.nan])})
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [50, 55])
    assert figure.axes[0].get_xlabel() == "classes in an episode"


def test_a_belief_is_a_mean_and_two_deviations_beside_the_function():
    places = np.linspace(0, 1, 5)
    beliefs = {"MANN": Belief(np.zeros(5), np.full(5, 0.5)), "truth": Belief(np.ones(5), np.full(5, 0.1))}
    figure = stream_plots.regression(places, np.sin(places), (np.array([0.5]), np.array([0.4])), beliefs)
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("MANN", "truth")
    heights = first.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-1, 1)
    names = [line.get_label() for line in first.lines]
    assert names == ["function", "mean", "seen"]
    np.testing.assert_array_equal(first.lines[2].get_ydata(), [0.4])


def test_likelihoods_are_numbered_from_the_first_sample():
    figure = stream_plots.likelihoods({"2-D": {"truth": np.array([-1.0, 0.0]), "MANN": np.array([-1.5, -1.0])}})
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_xdata(), [1, 2])
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), [-1.5, -1.0])
