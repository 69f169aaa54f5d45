import numpy as np

from fastslow.plotting.memory import memory

RNG = np.random.default_rng(0)


def drawn(steps=7, support=3):
    scores = RNG.dirichlet(np.ones(4), steps)
    contents = RNG.normal(size=(3, 4, 6))
    images = RNG.random((steps, 28, 28))
    return scores, contents, memory(contents, ["before", "after", "later"], scores, images, support, "A note")


def test_memory_shows_contents_on_one_scale_and_scores_over_steps():
    scores, contents, figure = drawn()
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
    figure = memory(np.zeros((1, 2, 3)), ["M"], np.ones((2, 2)) / 2, np.zeros((2, 28, 28)), 1, "")
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
