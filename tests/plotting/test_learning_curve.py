import numpy as np
import pytest

from fastslow.metrics import ACCURACY, LOG_LIKELIHOOD, LOSS, Metric
from fastslow.plotting.curve import Curve
from fastslow.plotting.learning_curve import learning_curve


def curve(values, every=10):
    values = np.asarray(values, dtype=np.float64)
    return Curve(every * np.arange(1, len(values) + 1), values if values.ndim == 2 else values[:, None])


def drawn(**changes):
    given = {
        "monitor": ACCURACY,
        "training": curve([[0.2, 0.3], [0.5, np.nan], [0.8, 0.9]]),
        "validation": curve([[0.6, 0.7]], every=30),
        "loss": curve([[2.0, 2.0], [1.0, np.nan], [0.1, 0.3], [np.nan, np.nan]]),
        "chance": 0.2,
        "references": {"pixels": 0.55, "baseline": 0.85},
    }
    return learning_curve(**{**given, **changes})


def test_learning_curve_has_means_over_seeds_chance_and_references():
    figure = drawn()
    top, bottom = figure.axes
    assert (top.get_ylabel(), bottom.get_ylabel(), bottom.get_xlabel()) == ("accuracy", "loss", "updates")
    lines = {line.get_label(): line for line in top.lines}
    assert {"training", "validation, held-out classes", "pixels: 55.0 %", "baseline: 85.0 %", "chance: 20.0 %"} <= set(
        lines
    )
    np.testing.assert_allclose(lines["training"].get_ydata(), [0.25, 0.5, 0.85])  # a dead seed is left out
    np.testing.assert_array_equal(lines["training"].get_xdata(), [10, 20, 30])
    assert list(lines["chance: 20.0 %"].get_ydata()) == [0.2, 0.2]
    assert len(figure.legends[0].get_texts()) == 5
    assert top.get_ylim() == (0, 1.02)


def test_learning_curve_takes_a_run_that_was_never_validated():
    top = drawn(validation=curve(np.zeros((0, 2))), references={}).axes[0]
    assert "validation, held-out classes" not in {line.get_label() for line in top.lines}


@pytest.mark.parametrize(("losses", "scale"), [([2.0, 1.9], "linear"), ([2.0, 0.1], "log"), ([2.0, -0.1], "linear")])
def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_scale(losses, scale):
    assert drawn(loss=curve(losses)).axes[1].get_yscale() == scale


def test_a_metric_without_bounds_is_drawn_in_its_unit():
    references = {"GP oracle": 1.23456}
    figure = drawn(monitor=LOG_LIKELIHOOD, training=curve([-1.0, 1.5]), chance=None, references=references)
    top = figure.axes[0]
    assert top.get_ylabel() == "log likelihood, nats"
    assert top.get_ylim()[0] < -0.5
    assert "GP oracle: 1.23" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    ("metric", "label", "percent"),
    [
        (Metric("overlap", "share", (0.0, 1.0), larger_is_better=True), "overlap", True),
        (Metric("accuracy", "1", None, larger_is_better=True), "accuracy", False),
        (LOSS, "loss, nats", False),
    ],
)
def test_the_unit_and_not_the_name_decides_on_percent(metric, label, percent):
    top = drawn(monitor=metric).axes[0]
    assert top.get_ylabel() == label
    assert (top.get_ylim() == (0, 1.02)) == percent


def test_several_references_have_a_colour_each():
    top = drawn(references={f"r{i}": 0.1 * i for i in range(6)}).axes[0]
    lines = [line for line in top.lines if line.get_label().startswith("r")]
    assert len(lines) == 6
    assert len({line.get_color() for line in lines}) == 4
