"""A mistake of the user: one sentence, and what was learned before is still there."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

pytest.importorskip("sklearn")

from sklearn.exceptions import NotFittedError
from tests.estimators.pictures import LABELS, QUERIES, SUPPORT, Y, drawings, spoiled

from fastslow._checks import UserError
from fastslow.estimators import FewShotClassifier


def test_a_refused_addition_changes_nothing(tiny_model: Path) -> None:
    classifier = FewShotClassifier(tiny_model, readout="head").fit(drawings(5, 1), range(5))
    before = classifier.predict_proba(QUERIES)
    with pytest.raises(UserError, match="y: got 6 classes, expected at most 5, which the head"):
        classifier.partial_fit(drawings(6, 1)[5:], [5])
    with pytest.raises(UserError, match="y: got 9, expected one of `classes`"):
        classifier.partial_fit(drawings(1, 1), [9], classes=range(5))
    np.testing.assert_array_equal(classifier.predict_proba(QUERIES), before)
    assert len(classifier.support_labels_) == 5


MISTAKES = [
    ({}, SUPPORT, ["a"] * 6),
    ({}, SUPPORT[:, :39], ["a"] * 6),
    ({}, SUPPORT[:, :39], Y[:5]),
    ({"model": "klingon"}, SUPPORT[:, :39], Y),
    ({"readout": "tail"}, SUPPORT[:, :39], Y),
    ({"ink": "blue"}, SUPPORT[:, :39], Y),
    ({}, spoiled(np.nan), Y),
]


@pytest.mark.parametrize(("change", "images", "labels"), MISTAKES)
def test_a_mistake_learns_nothing(change: dict[str, Any], images: np.ndarray, labels: Any, tiny_model: Path) -> None:
    classifier = FewShotClassifier(tiny_model, readout="prototypes").set_params(**change)
    for learn in (classifier.fit, classifier.partial_fit):
        with pytest.raises(UserError):
            learn(images, labels)
        for ask in (classifier.predict, classifier.predict_proba):
            with pytest.raises(NotFittedError):
                ask(QUERIES)


@pytest.mark.parametrize(("change", "images", "labels"), MISTAKES)
def test_a_mistake_forgets_nothing(
    change: dict[str, Any], images: np.ndarray, labels: Any, fitted: dict[str, FewShotClassifier]
) -> None:
    classifier = copy.deepcopy(fitted["prototypes"])
    learned = lambda: {name: id(value) for name, value in vars(classifier).items() if name.endswith("_")}
    before, known = classifier.predict_proba(QUERIES), learned()
    with pytest.raises(UserError):
        classifier.set_params(**change).fit(images, labels)
    assert learned() == known
    classifier.set_params(**fitted["prototypes"].get_params())
    np.testing.assert_array_equal(classifier.predict_proba(QUERIES), before)


class Ambiguous:
    """A missing value of some table libraries: neither equal to itself nor not."""

    def __eq__(self, other: object) -> Any:
        return np.ones(2, bool)

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "Ambiguous"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"y": None}, "requires y to be passed, but the target y is None"),
        ({"y": [*LABELS, None, "beta", "alpha"]}, r"y: got no label \(None\) for image 3, expected a label"),
        ({"y": [0.0, 1.0, np.nan, 0.0, 1.0, 2.0]}, r"y: got no label \(nan\) for image 2"),
        ({"y": [0, 1]}, "y: got 2 labels for 6 images, expected one label for each image"),
        ({"y": ["a"] * 6}, "y: got one class, a, expected labels of at least two classes"),
        ({"y": [["a"], ["b"]] * 3}, r"y: got \['a'\], expected labels that can be the key of a dictionary"),
        ({"y": [([1],), ([2],)] * 3}, r"y: got \(\[1\],\), expected labels that can be the key of a dictionary"),
        ({"y": [Ambiguous(), "b"] * 3}, "y: got Ambiguous, expected labels that can be the key of a dictionary"),
        ({"y": "abcdef"}, "y: got 'abcdef', expected one label for each image; pass a list"),
        ({"X": SUPPORT[:0], "y": []}, "X: got no image, expected at least one"),
        ({"X": spoiled(np.nan)}, "X: got NaN or infinite pixels in image 2, expected finite pixels"),
        ({"X": spoiled(-np.inf)}, "X: got NaN or infinite pixels in image 2"),
        ({"X": spoiled(1.5)}, r"got float values from 0 to 1.5, expected float values in \[0, 1\]"),
        ({"X": SUPPORT.astype(int)}, "got 'int64', expected bool, uint8"),
        (
            {"X": SUPPORT // 255},
            r"X: got bytes that are 0 and 1, expected bytes up to 255; pass .*=\(0, 1\)",
        ),
        (
            {"X": [*SUPPORT[:5], SUPPORT[5, 1:]]},
            r"X: got images of sizes \(39, 40\) and \(40, 40\), expected one",
        ),
        ({"X": ["a.png"] * 6}, "X: got 'a.png', expected arrays of pixels; open files first, as with Pillow"),
        ({"X": SUPPORT[..., None]}, r"X: got \(6, 40, 40, 1\), expected grey images"),
        ({"X": SUPPORT.reshape(6, -1)[:, 1:]}, r"X: got rows of 1599 pixels, expected a square number of pixels"),
        ({"layout": (3, 4), "X": SUPPORT.reshape(6, -1)}, "X: got rows of 1600 pixels, expected 12 pixels"),
        ({"layout": "wide", "X": SUPPORT.reshape(6, -1)}, "layout: got 'wide', expected 'square', 'row' or"),
        ({"layout": "row", "X": np.zeros((6, 100_000))}, "images of 1×100000 pixels, expected at most 10,000 pixels"),
        ({"pixel_range": (0, 200)}, "X: got pixels from 0 to 255, expected pixels in the pixel_range of 0 to 200"),
        ({"X": SUPPORT * 1j}, "X: Complex data not supported; pass real numbers"),
        ({"X": SUPPORT[0, 0]}, r"X: got an array of shape \(40,\), expected grey images .* if it is one image"),
        ({"X": 5.0}, r"X: got an array of shape \(\), expected grey images"),
        ({"X": scipy.sparse.eye_array(6).tocsr()}, r"X: got a sparse matrix, expected a dense array; pass X.toarray"),
        ({"X": np.ma.masked_equal(SUPPORT, 0)}, r"X: got masked pixels, expected an array without a mask"),
        ({"X": [[0.0, 1.0], [1.0]]}, "X: got rows of different lengths, expected one"),
        ({"X": np.array([["a", "b"]])}, "X: got texts, expected arrays of pixels"),
        ({"X": [[10**400, 1]]}, "X: got values of type object, expected bool, whole or floating"),
        ({"X": np.ones((6, 4), "m8[s]")}, r"X: got values of type timedelta64\[s\]"),
        ({"y": np.ma.masked_equal(range(6), 3)}, "y: got masked labels, expected a label for each image"),
        ({"y": b"abcdef"}, "y: got b'abcdef', expected one label for each image"),
        (
            {"layout": np.ones(2), "X": SUPPORT.reshape(6, -1)},
            "layout: got array.*, expected 'square', 'row' or",
        ),
        ({"layout": (2**400, 2), "X": SUPPORT.reshape(6, -1)}, r"layout: got .* of numbers from 1 to 10,000"),
        (
            {"pixel_range": (0, 10**400)},
            r"pixel_range: got \(0, 10*… \(.* characters\), expected None",
        ),
        ({"pixel_range": (0, 10**5000)}, "pixel_range: got tuple too long to show, expected None, 'fit' or a pair"),
        ({"pixel_range": "fit", "X": 1e308 * (SUPPORT / 127.5 - 1)}, r"X: got pixels from -1e\+308"),
        (
            {"model": "x" * 5000},
            r"model: got File name too long: x*… \(.* characters\), expected the name of a released",
        ),
        ({"ink": "x" * 5000}, r"ink: got 'x*… \(5,002 characters\), expected one of dark, light"),
        ({"pixel_range": (1, 1)}, r"pixel_range: got \(1, 1\), expected None, 'fit' or a pair"),
        ({"ink": "blue"}, "ink: got 'blue', expected one of dark, light"),
        ({"readout": "tail"}, "readout: got 'tail', expected one of auto, head, prototypes"),
        (
            {"model": "klingon"},
            "model: got 'klingon', expected the path of a run folder, or the name of a released model",
        ),
        ({"model": 3}, "model: got 3, expected the name of a released model"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(change: dict[str, Any], told: str, tiny_model: Path) -> None:
    given = {"model": tiny_model, "X": SUPPORT, "y": Y, "readout": "prototypes", **change}
    images, labels = given.pop("X"), given.pop("y")
    with pytest.raises(UserError, match=told) as error:
        FewShotClassifier(given.pop("model"), **given).fit(images, labels)
    assert "\n" not in str(error.value)
    assert str(error.value).count(". ") == 0
    assert len(str(error.value)) < 400


def test_a_mistake_in_a_query_is_told(fitted: dict[str, FewShotClassifier]) -> None:
    with pytest.raises(UserError, match="X: got NaN or infinite pixels in image 2"):
        fitted["prototypes"].predict(spoiled(np.nan))
    with pytest.raises(ValueError, match="X has 900 features, but FewShotClassifier is expecting 1600"):
        fitted["prototypes"].predict(np.zeros((1, 900)))
