import copy
import pickle
import re
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.sparse
from tests.cells.tiny import as_users_come
from tests.reference.rounding import operations_of, rounding

from fastslow._checks import UserError
from fastslow.cells.unroll import unroll
from fastslow.datasets.images import thirds
from fastslow.estimators import FewShotClassifier, OnlineOneShot
from fastslow.zoo.saved import load

RNG = np.random.default_rng(0)
IMAGES = (255 * (RNG.uniform(size=(6, 105, 105)) > 0.1)).astype(np.uint8)
LABELS = ["b", 7, "b", ("a", 1), 7]


def taught(model: Path, count: int = 5) -> OnlineOneShot:
    one = OnlineOneShot(model)
    for image, label in zip(IMAGES[:count], LABELS, strict=False):
        one.learn_one(image, label)
    return one


def shown_twin(image: np.ndarray) -> np.ndarray:
    """A drawing at 20×20: between the means of 3×3 pixels, in the middle of each of 20×20 pixels."""
    small = thirds(255 - image).astype(np.float64) / 255
    found = np.zeros((20, 20))
    for i in range(20):
        for j in range(20):
            y, x = (np.array([i, j]) - 9.5) * 5.25 / 3 + 17
            a, b = int(np.floor(y)), int(np.floor(x))
            for r, share_y in ((a, a + 1 - y), (a + 1, y - a)):
                for c, share_x in ((b, b + 1 - x), (b + 1, x - b)):
                    found[i, j] += small[r, c] * share_y * share_x
    return found


def test_it_is_the_network_on_the_stream(tiny_stream_model: Path) -> None:
    """Image and label before, step by step; classes have the network's labels in the order they come in."""
    saved = load(tiny_stream_model)
    network, labels = saved.state().params, np.asarray(saved.config.task.spec.target.labels())
    numbers = [0, 1, 0, 2, 1]
    late = np.concatenate([np.zeros((1, labels.shape[1])), labels[numbers]])
    rows = np.stack([np.concatenate([shown_twin(i).reshape(-1), y]) for i, y in zip(IMAGES, late, strict=True)])

    @jax.jit
    def surprises(rows, labels):
        outputs = network.head(unroll(network.cell, network.cell.init_state(), rows)[1][-1])
        return jax.vmap(lambda label: network.head.nll(outputs, label))(labels)

    chances = np.exp(-np.asarray(surprises(rows.astype(np.float32), labels[:3])))
    told = taught(tiny_stream_model).predict_proba_one(IMAGES[5])
    assert list(told) == ["b", 7, ("a", 1)]
    # a step of the network for each of the five examples and for the query, one after the other
    rtol = rounding(6 * operations_of(network))
    np.testing.assert_allclose(list(told.values()), chances / chances.sum(), rtol=rtol)
    assert taught(tiny_stream_model).predict_one(IMAGES[5]) == max(told, key=told.get)


def test_predicting_changes_nothing_and_learning_does(tiny_stream_model: Path) -> None:
    one = taught(tiny_stream_model, 4)
    before = one.predict_proba_one(IMAGES[5])
    one.predict_one(IMAGES[0])
    assert one.predict_proba_one(IMAGES[5]) == before
    one.learn_one(IMAGES[4], 7)
    assert one.predict_proba_one(IMAGES[5]) != before
    assert (one.classes, one.examples) == (["b", 7, ("a", 1)], 5)


def test_before_the_first_example_it_says_nothing(tiny_stream_model: Path) -> None:
    one = OnlineOneShot(tiny_stream_model)
    assert one.predict_one(IMAGES[0]) is None
    assert one.predict_proba_one(IMAGES[0]) == {}


def test_a_copy_keeps_what_was_learned(tiny_stream_model: Path) -> None:
    one = taught(tiny_stream_model, 4)
    copies = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))]  # noqa: S301
    before = one.predict_proba_one(IMAGES[5])
    one.learn_one(IMAGES[4], "new" if one.most_classes > 3 else 7)
    for each in copies:
        assert each.predict_proba_one(IMAGES[5]) == before
        assert each.examples == 4


def test_there_are_as_many_classes_as_labels(tiny_stream_model: Path) -> None:
    one = taught(tiny_stream_model)
    if one.most_classes == 3:
        with pytest.raises(UserError, match=re.escape("y: got 'fourth', expected one of the 3 classes known")):
            one.learn_one(IMAGES[5], "fourth")
        assert (len(one.classes), one.examples) == (3, 5)
        one.learn_one(IMAGES[5], "b")  # a class that it knows is still welcome
    else:
        assert one.most_classes == 3125
        one.learn_one(IMAGES[5], "fourth")
        assert one.classes[-1] == "fourth"


def test_images_come_in_any_size_type_and_polarity(tiny_stream_model: Path) -> None:
    plain = taught(tiny_stream_model).predict_proba_one(IMAGES[5])
    light = OnlineOneShot(tiny_stream_model, ink="light")
    real = OnlineOneShot(tiny_stream_model, pixel_range=(0.0, 2.0))
    for image, label in zip(IMAGES, LABELS, strict=False):
        light.learn_one(255 - image, label)
        real.learn_one(image / 127.5, label)
    assert light.predict_proba_one(255 - IMAGES[5]) == plain
    assert real.predict_proba_one(IMAGES[5] / 127.5) == plain
    assert set(taught(tiny_stream_model).predict_proba_one(np.ones((20, 64)))) == {"b", 7, ("a", 1)}


@pytest.mark.parametrize("came", ["fit", 255, (255, 0), (0, "255"), (0, 1j), (-np.inf, np.inf)], ids=str)
def test_what_is_no_range_of_pixels_is_refused(tiny_stream_model: Path, came: object) -> None:
    with as_users_come(), pytest.raises(UserError, match=r"pixel_range: got .*, expected None or a pair \(low, high\)"):
        OnlineOneShot(tiny_stream_model, pixel_range=came)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.ones((1, 28, 28)), "x: got (1, 28, 28), expected one grey image [height, width], an array of pixels."),
        (np.ones(28), "x: got (28,), expected one grey image [height, width]"),
        ([[1, 2], [3]], "x: got rows of different lengths, expected one grey image [height, width]"),
        (scipy.sparse.eye_array(28), "x: got (28, 28), expected one grey image [height, width], an array of pixels."),
        (np.full((28, 28), 1j), "X: Complex data not supported"),
        (np.ma.masked_equal(np.eye(28), 0), "X: got masked pixels"),
        (None, "x: got None, expected one grey image"),
        (Path("a.png"), "x: got PosixPath('a.png'), expected one grey image [height, width], an array of pixels."),
        (
            np.eye(28, dtype=np.uint8),
            "X: got bytes that are 0 and 1, expected bytes up to 255; pass pixel_range=(0, 1).",
        ),
        (np.full((28, 28), np.nan), "X: got NaN or infinite pixels in image 0, expected finite pixels."),
        (np.full((28, 28), 3.0), "images: got float values from 3 to 3, expected float values in [0, 1]"),
    ],
    ids=["batch", "row", "ragged", "sparse", "complex", "masked", "none", "path", "mask", "nan", "range"],
)
def test_what_is_no_image_is_refused_and_nothing_learned(tiny_stream_model: Path, x: object, said: str) -> None:
    one = taught(tiny_stream_model, 1)
    for act in (one.predict_one, lambda x: one.learn_one(x, "b")):
        with pytest.raises(UserError) as raised:
            act(x)
        assert str(raised.value).startswith(said)
    assert one.examples == 1


def test_what_is_no_label_or_no_model_is_refused(tiny_stream_model: Path) -> None:
    one = OnlineOneShot(tiny_stream_model)
    nothing = "y: got no label"
    refused = [(None, nothing), (float("nan"), nothing), ([1], "y: got [1]"), (([1],), "y: got ([1],)")]
    for label, said in [*refused, (np.eye(2)[0], "y: got ")]:
        with pytest.raises(UserError, match=re.escape(said)), as_users_come():
            one.learn_one(IMAGES[0], label)
    assert (one.classes, one.examples) == ([], 0)
    assert one.predict_proba_one(IMAGES[0]) == {}
    with pytest.raises(UserError, match="use OnlineOneShot"):
        FewShotClassifier(tiny_stream_model).fit(IMAGES[:2], [0, 1])
    with pytest.raises(UserError, match="ink: got 'red'"), as_users_come():
        OnlineOneShot(tiny_stream_model, ink="red")
