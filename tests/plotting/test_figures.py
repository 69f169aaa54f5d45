import errno

import numpy as np
import pytest
from PIL import Image

from fastslow._checks import UserError
from fastslow.plotting import figures as plots

CONTROLLERS = ("input", "output", "write")
RNG = np.random.default_rng(0)


def curve(values, every=10):
    values = np.asarray(values, dtype=np.float64)
    return plots.Curve(every * np.arange(1, len(values) + 1), values if values.ndim == 2 else values[:, None])


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def learning_curve(**changes):
    given = {
        "accuracy": curve([[0.2, 0.3], [0.5, np.nan], [0.8, 0.9]]),
        "validation": curve([[0.6, 0.7]], every=30),
        "loss": curve([[2.0, 2.0], [1.0, np.nan], [0.1, 0.3], [np.nan, np.nan]]),
        "chance": 0.2,
        "references": {"pixels": 0.55, "baseline": 0.85},
    }
    return plots.learning_curve(**{**given, **changes})


def test_learning_curve_has_means_over_seeds_chance_and_references():
    figure = learning_curve()
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
    top = learning_curve(validation=curve(np.zeros((0, 2))), references={}).axes[0]
    assert "validation, held-out classes" not in {line.get_label() for line in top.lines}


@pytest.mark.parametrize(("losses", "scale"), [([2.0, 1.9], "linear"), ([2.0, 0.1], "log"), ([2.0, -0.1], "linear")])
def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_scale(losses, scale):
    assert learning_curve(loss=curve(losses)).axes[1].get_yscale() == scale


def confusion(way=3):
    labels = np.array([2, 0, 1, 0])
    probabilities = np.full((4, way), 0.1 / (way - 1))
    probabilities[np.arange(4), [2, 0, 1, 1]] = 0.9  # the last query, of class 0, is taken for class 1
    return plots.confusion(probabilities, labels, RNG.random((4, 28, 28)), RNG.random((way, 28, 28)))


def test_confusion_is_sorted_and_marks_what_was_mistaken():
    figure = confusion()
    heat = figure.axes[3]
    drawn = heat.images[0].get_array()
    assert drawn.shape == (4, 3)
    np.testing.assert_array_equal(np.argmax(drawn, axis=1), [0, 1, 1, 2])  # by true class: 0, 0, 1, 2
    frames = [(round(p.get_x() + 0.46), round(p.get_y() + 0.46), p.get_edgecolor()[:3]) for p in heat.patches]
    assert [frame[:2] for frame in frames] == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]
    assert len({color for *_, color in frames}) == 3
    assert figure.get_suptitle() == "One test episode: 3 of 4 queries named rightly"
    assert figure.axes[1].images[0].get_array().shape == (28, 3 * 28)
    assert figure.axes[2].images[0].get_array().shape == (4 * 28, 28)
    assert figure.axes[2].get_ylabel() == "queries, sorted by true class"


def test_confusion_grows_with_its_queries():
    few, many = (
        plots.confusion(np.eye(20)[labels], labels, np.zeros((n, 28, 28)), np.zeros((20, 28, 28)))
        for n, labels in ((20, np.arange(20)), (40, np.arange(40) % 20))
    )
    assert many.get_size_inches()[1] > few.get_size_inches()[1] + 3


def memory(steps=7, support=3):
    scores = RNG.dirichlet(np.ones(4), steps)
    contents = RNG.normal(size=(3, 4, 6))
    images = RNG.random((steps, 28, 28))
    return scores, contents, plots.memory(contents, ["before", "after", "later"], scores, images, support, "A note")


def test_memory_shows_contents_on_one_scale_and_scores_over_steps():
    scores, contents, figure = memory()
    panels = figure.axes[:3]
    assert [axes.get_title() for axes in panels] == ["before", "after", "later"]
    for axes, content in zip(panels, contents, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), content)
        assert axes.images[0].get_clim() == (-np.abs(contents).max(), np.abs(contents).max())
    [heat] = [axes for axes in figure.axes if axes.get_xlabel() == "support set (3), then queries (4)"]
    np.testing.assert_array_equal(heat.images[0].get_array(), scores.T)
    assert heat.images[0].get_clim()[0] == 0
    assert [line.get_xdata()[0] for line in heat.lines] == [2.5]  # between support set and queries
    assert figure.get_suptitle() == "A note"
    assert {"memory content", "slot score $z_t$"} <= {axes.get_ylabel() for axes in figure.axes}


def test_an_empty_memory_can_be_drawn():
    figure = plots.memory(np.zeros((1, 2, 3)), ["M"], np.ones((2, 2)) / 2, np.zeros((2, 28, 28)), 1, "")
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def norms(shape, scale=1.0):
    return {name: scale * RNG.uniform(0.1, 1, shape) for name in CONTROLLERS}


def test_gradients_over_fast_steps_have_a_mean_and_their_items():
    true, synthetic = norms((5, 3)), norms((5, 3), 0.01)
    agreement = {name: np.full((5, 3), 0.25) for name in CONTROLLERS}
    figure = plots.gradients(true, synthetic, agreement)
    assert titles(figure) == [f"{name} controller\ncosine between them +0.25" for name in CONTROLLERS]
    for axes, name in zip(figure.axes, CONTROLLERS, strict=True):
        assert axes.get_xlabel() == "fast step"
        assert axes.get_xlim() == (0.5, 5.5)
        means = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "-"]
        np.testing.assert_allclose(means, [true[name].mean(axis=1), synthetic[name].mean(axis=1)])
    assert figure.axes[0].get_yscale() == "log"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true, backpropagation", "synthetic"]


def test_gradients_over_an_episode_are_drawn_step_by_step():
    true = norms((1, 9))
    figure = plots.gradients(true, {}, {}, support=4)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), true["input"][0])
    assert axes.lines[1].get_xdata()[0] == 4.5
    assert axes.get_xlim() == (0.5, 9.5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true, backpropagation"]


def test_a_controller_without_a_true_gradient_is_said_to_have_none():
    true = {**norms((2, 3)), "write": np.zeros((2, 3))}
    figure = plots.gradients(true, norms((2, 3)), {name: np.zeros((2, 3)) for name in CONTROLLERS})
    assert "no true gradient" in titles(figure)[2]
    assert "cosine" in titles(figure)[0]
    nothing = {name: np.zeros((1, 2)) for name in CONTROLLERS}
    assert plots.gradients(nothing, {}, {}).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("figure", [learning_curve, confusion, lambda: memory()[2]])
def test_figures_are_saved_whole_and_large_enough(figure, tmp_path):
    drawn = figure()
    plots.save(drawn, tmp_path / "figures" / "x.png")
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["x.png"]
    with Image.open(tmp_path / "figures" / "x.png") as image:
        assert image.size == tuple((drawn.get_size_inches() * plots.DPI).astype(int))
        assert image.size[0] >= 600
        darkest, lightest = np.asarray(image.convert("L")).min(), np.asarray(image.convert("L")).max()
    assert (darkest < 60, lightest) == (True, 255)


def test_a_full_disk_leaves_the_old_figure(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fastslow.plotting.figures.os.replace", full)
    with pytest.raises(UserError, match="the disk is full"):
        plots.save(learning_curve(), path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.png", b"old")]
