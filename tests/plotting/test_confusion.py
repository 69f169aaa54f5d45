import numpy as np

from fastslow.plotting.confusion import confusion

RNG = np.random.default_rng(0)


def drawn(way=3):
    labels = np.array([2, 0, 1, 0])
    probabilities = np.full((4, way), 0.1 / (way - 1))
    probabilities[np.arange(4), [2, 0, 1, 1]] = 0.9  # the last query, of class 0, is taken for class 1
    return confusion(probabilities, labels, RNG.random((4, 28, 28)), RNG.random((way, 28, 28)))


def test_confusion_is_sorted_and_marks_what_was_mistaken():
    figure = drawn()
    heat = figure.axes[3]
    shown = heat.images[0].get_array()
    assert shown.shape == (4, 3)
    np.testing.assert_array_equal(np.argmax(shown, axis=1), [0, 1, 1, 2])  # by true class: 0, 0, 1, 2
    frames = [(round(p.get_x() + 0.46), round(p.get_y() + 0.46), p.get_edgecolor()[:3]) for p in heat.patches]
    assert [frame[:2] for frame in frames] == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]
    assert len({color for *_, color in frames}) == 3
    assert figure.get_suptitle() == "One test episode: 3 of 4 queries are correct"
    assert figure.axes[1].images[0].get_array().shape == (28, 3 * 28)
    assert figure.axes[2].images[0].get_array().shape == (4 * 28, 28)
    assert figure.axes[2].get_ylabel() == "queries, sorted by true class"


def test_confusion_grows_with_its_queries():
    few, many = (
        confusion(np.eye(20)[labels], labels, np.zeros((n, 28, 28)), np.zeros((20, 28, 28)))
        for n, labels in ((20, np.arange(20)), (40, np.arange(40) % 20))
    )
    assert many.get_size_inches()[1] > few.get_size_inches()[1] + 3
