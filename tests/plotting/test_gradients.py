import numpy as np

from fastslow.plotting.gradients import gradients

CONTROLLERS = ("input controller", "output controller", "write controller")
RNG = np.random.default_rng(0)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def norms(shape, scale=1.0):
    return {name: scale * RNG.uniform(0.1, 1, shape) for name in CONTROLLERS}


def test_gradients_over_inner_steps_have_a_mean_and_their_items():
    true, synthetic = norms((5, 3)), norms((5, 3), 0.01)
    agreement = {name: np.full((5, 3), 0.25) for name in CONTROLLERS}
    figure = gradients(true, synthetic, agreement)
    assert titles(figure) == [f"{name}\ncosine between them +0.25" for name in CONTROLLERS]
    for axes, name in zip(figure.axes, CONTROLLERS, strict=True):
        assert axes.get_xlabel() == "inner step"
        assert axes.get_xlim() == (0.5, 5.5)
        means = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "-"]
        np.testing.assert_allclose(means, [true[name].mean(axis=1), synthetic[name].mean(axis=1)])
    assert figure.axes[0].get_yscale() == "log"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true, backpropagation", "synthetic"]


def test_gradients_over_an_episode_are_drawn_step_by_step():
    true = norms((1, 9))
    figure = gradients(true, {}, {}, support=4)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), true["input controller"][0])
    assert axes.lines[1].get_xdata()[0] == 4.5
    assert axes.get_xlim() == (0.5, 9.5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true, backpropagation"]


def test_a_controller_without_a_true_gradient_is_said_to_have_none():
    true = {**norms((2, 3)), "write controller": np.zeros((2, 3))}
    figure = gradients(true, norms((2, 3)), {name: np.zeros((2, 3)) for name in CONTROLLERS})
    assert "no true gradient" in titles(figure)[2]
    assert "cosine" in titles(figure)[0]
    nothing = {name: np.zeros((1, 2)) for name in CONTROLLERS}
    assert gradients(nothing, {}, {}).axes[0].get_yscale() == "linear"
