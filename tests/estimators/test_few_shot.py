"""The classifier beyond scikit-learn's checks: images and labels of any kind, read-outs, and one sentence an error."""

import copy
import itertools
import pickle
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from tests.reference.rounding import operations_of, rounding

from fastslow._checks import UserError
from fastslow.datasets.images import to_ink_28
from fastslow.estimators import FewShotClassifier
from fastslow.estimators.labels import encode
from fastslow.estimators.readouts import Head, Prototypes
from fastslow.tasks.base import Examples
from fastslow.zoo.saved import load

WAY = 5
"""Outputs of the tiny model's head."""


def tolerance(model: Path) -> float:
    """Rounding errors of a probability: of the sums of all layers, one after the other, and of one inner step.

    That step takes as many sums backward as forward, and its result goes through all of them once more.
    """
    return rounding(3 * operations_of(load(model).state().params.network))


def drawings(classes: int, each: int, side: int = 40, seed: int = 0) -> np.ndarray:
    """Bytes `[classes * each, side, side]`: one dark patch for each class, on paper, with some noise."""
    rng = np.random.default_rng(seed)
    images = 255 - rng.integers(0, 30, (classes, each, side, side))
    for number in range(classes):
        row, column = divmod(number, 3)
        images[number, :, side // 8 + 12 * row : side // 8 + 12 * row + 7, 12 * column + 2 : 12 * column + 11] = 0
    return images.reshape(-1, side, side).astype(np.uint8)


LABELS = ["alpha", "beta", "gamma"]
SUPPORT, QUERIES = drawings(3, 2), drawings(3, 4, seed=1)
Y = np.repeat(LABELS, 2)


@pytest.fixture(params=["head", "prototypes"])
def readout(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def fitted(tiny_model: Path) -> dict[str, FewShotClassifier]:
    """One for each read-out; not to be changed."""
    return {name: FewShotClassifier(tiny_model, readout=name).fit(SUPPORT, Y) for name in ("head", "prototypes")}


def test_it_names_what_it_was_shown(fitted: dict[str, FewShotClassifier]) -> None:
    found = fitted["prototypes"].predict(QUERIES)
    assert found.tolist() == np.repeat(LABELS, 4).tolist()
    assert fitted["prototypes"].score(QUERIES, np.repeat(LABELS, 4)) == 1


def test_the_head_is_the_learner_with_its_spare_outputs_left_out(
    fitted: dict[str, FewShotClassifier], tiny_model: Path
) -> None:
    saved = load(tiny_model)
    # five examples are no more than the model was trained with, so α stays as it is
    labels = np.arange(5) % 3
    few = FewShotClassifier(tiny_model, readout="head").fit(drawings(5, 1), labels)
    examples = Examples(jnp.asarray(to_ink_28(drawings(5, 1))), jnp.asarray(labels, jnp.int32))
    adapted = saved.learner.adapt(saved.state(), examples, key=jax.random.key(0))
    wanted = np.exp(saved.learner.predict(adapted, jnp.asarray(to_ink_28(QUERIES))))[:, :3]
    np.testing.assert_allclose(
        few.predict_proba(QUERIES), wanted / wanted.sum(1, keepdims=True), rtol=tolerance(tiny_model)
    )
    assert few.model_digest_ == saved.digests[0]
    assert fitted["head"].classes_.tolist() == LABELS


def test_more_examples_do_not_make_a_larger_fast_step(tiny_model: Path) -> None:
    once = FewShotClassifier(tiny_model, readout="head").fit(drawings(5, 1), range(5))
    often = FewShotClassifier(tiny_model, readout="head").fit(np.repeat(drawings(5, 1), 6, axis=0), np.arange(30) // 6)
    rtol = 6 * tolerance(tiny_model)  # six times as many examples are summed
    np.testing.assert_allclose(often.predict_proba(QUERIES), once.predict_proba(QUERIES), rtol=rtol)


def test_prototypes_are_the_nearest_class_means(fitted: dict[str, FewShotClassifier], tiny_model: Path) -> None:
    saved = load(tiny_model)
    state = saved.state()
    embed = jax.jit(lambda images: state.params.network.embed(images, state.model_state)[0])
    features = np.asarray(embed(to_ink_28(np.concatenate([SUPPORT, QUERIES]))))
    support, queries = features[: len(SUPPORT)], features[len(SUPPORT) :]
    means = support.reshape(3, 2, -1).mean(axis=1)
    squares = np.array([[((q - m) ** 2).sum() for m in means] for q in queries])
    found = fitted["prototypes"].predict_proba(QUERIES)
    atol = tolerance(tiny_model) * 0.2 * squares.max()
    np.testing.assert_allclose(np.log(found[:, :1] / found), 0.2 * (squares - squares[:, :1]), rtol=0, atol=atol)


@pytest.mark.parametrize(("classes", "kind"), [(2, Head), (WAY, Head), (WAY + 1, Prototypes)])
def test_auto_takes_the_head_where_it_has_outputs_enough(classes: int, kind: type, tiny_model: Path) -> None:
    # five examples wherever they do: each number of examples is compiled for
    classifier = FewShotClassifier(tiny_model).fit(drawings(max(classes, 5), 1), np.arange(max(classes, 5)) % classes)
    assert isinstance(classifier.readout_, kind)
    assert classifier.predict_proba(QUERIES).shape == (len(QUERIES), classes)


def test_order_does_not_matter(fitted: dict[str, FewShotClassifier], readout: str, tiny_model: Path) -> None:
    whole = fitted[readout].predict_proba(QUERIES)
    order = np.random.default_rng(0).permutation(len(SUPPORT))
    turned = clone(fitted[readout]).fit(SUPPORT[order], Y[order])
    np.testing.assert_array_equal(turned.predict_proba(QUERIES), whole)
    rtol = tolerance(tiny_model)
    np.testing.assert_allclose(fitted[readout].predict_proba(QUERIES[::-1])[::-1], whole, rtol=rtol)
    np.testing.assert_allclose(fitted[readout].predict_proba(QUERIES[5:6]), whole[5:6], rtol=rtol)


def test_many_queries_are_answered_like_few(
    fitted: dict[str, FewShotClassifier], readout: str, tiny_model: Path
) -> None:
    many = np.concatenate([QUERIES] * 6)  # more than are computed at once
    few = np.tile(fitted[readout].predict_proba(QUERIES), (6, 1))
    np.testing.assert_allclose(fitted[readout].predict_proba(many), few, rtol=tolerance(tiny_model))


def test_bytes_numbers_and_light_ink_are_the_same_images(fitted: dict[str, FewShotClassifier], readout: str) -> None:
    """They become the same bytes, and the same program makes the same numbers of them."""
    wanted = fitted[readout].predict_proba(QUERIES)
    light = clone(fitted[readout]).set_params(ink="light").fit(255 - SUPPORT, Y)
    np.testing.assert_array_equal(light.predict_proba(255 - QUERIES), wanted)
    np.testing.assert_array_equal(fitted[readout].predict_proba(QUERIES / 255), wanted)
    scaled = clone(fitted[readout]).set_params(pixel_range=(0, 510)).fit(2 * SUPPORT.astype(int), Y)
    np.testing.assert_array_equal(scaled.predict_proba(2 * QUERIES.astype(int)), wanted)


def test_flattened_images_are_the_same_images(fitted: dict[str, FewShotClassifier]) -> None:
    wanted = fitted["prototypes"].predict_proba(QUERIES)
    flat = clone(fitted["prototypes"]).fit(SUPPORT.reshape(6, -1), Y)
    assert flat.n_features_in_ == fitted["prototypes"].n_features_in_ == 1600
    np.testing.assert_array_equal(flat.predict_proba(QUERIES.reshape(12, -1)), wanted)
    high = clone(flat).set_params(layout=(40, 20)).fit(SUPPORT[:, :, :20].reshape(6, -1), Y)
    upright = clone(flat).fit(SUPPORT[:, :, :20], Y)
    np.testing.assert_array_equal(high.predict_proba(QUERIES[:, :, :20]), upright.predict_proba(QUERIES[:, :, :20]))


def test_images_may_change_their_size(fitted: dict[str, FewShotClassifier]) -> None:
    larger = np.kron(QUERIES, np.ones((1, 2, 2), np.uint8))
    assert fitted["prototypes"].predict(larger).tolist() == np.repeat(LABELS, 4).tolist()


def test_digits_of_scikit_learn(tiny_model: Path) -> None:
    images, digits = load_digits(return_X_y=True)
    settings = {"ink": "light", "pixel_range": (0, 16), "readout": "prototypes"}
    support = np.concatenate([np.nonzero(digits == digit)[0][:10] for digit in range(10)])
    classifier = FewShotClassifier(tiny_model, **settings).fit(images[support], digits[support])
    rest = np.setdiff1d(np.arange(400), support)
    assert classifier.score(images[rest], digits[rest]) > 0.5  # chance is 0.1


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([3, 1, 2], [1, 2, 3]),
        ([2.0, 0.0, 1.0], [0.0, 1.0, 2.0]),
        (["b", "a", "c"], ["a", "b", "c"]),
        ([True, False, True], [False, True]),
        ([("b", 1), ("a", 2), ("b", 0)], [("a", 2), ("b", 0), ("b", 1)]),
        (["1", 1, (1,)], [1, "1", (1,)]),
        ([frozenset("a"), frozenset("b"), frozenset("a")], [frozenset("a"), frozenset("b")]),
        ([Fraction(1, 2), 0.5, Fraction(1, 3)], [Fraction(1, 3), 0.5]),
        ([1, 1.0, True, 2], [1, 2]),
        # an array of NumPy's would make one of two labels
        (["a", "a\0", "b"], ["a", "a\0", "b"]),
        ([2**53, 2**53 + 1, 1.0], [1.0, 2**53, 2**53 + 1]),
        ([2**63 + 1, -5, 2**63], [-5, 2**63, 2**63 + 1]),
        ([2**64, 2**64 + 1, 0], [0, 2**64, 2**64 + 1]),
        ([np.int64(2**53 + 1), np.float64(2**53), 0], [0, 2**53, 2**53 + 1]),
    ],
)
def test_labels_may_be_anything_hashable(labels: list[Any], classes: list[Any], tiny_model: Path) -> None:
    images = drawings(len(labels), 1)
    classifier = FewShotClassifier(tiny_model, readout="prototypes").fit(images, labels)
    assert set(classifier.classes_) == set(classes)
    assert len(classifier.classes_) == len(classes)
    again = clone(classifier).fit(images[::-1], labels[::-1])
    assert list(again.classes_) == list(classifier.classes_)
    if len(classes) == len(labels):
        assert list(classifier.predict(images)) == labels


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        ([frozenset("b"), frozenset("a"), frozenset("ab"), frozenset()], ["", "a", "ab", "b"]),
        ([frozenset("ab"), frozenset(), frozenset("abc"), frozenset("a")], ["", "a", "ab", "abc"]),
    ],
)
def test_the_order_of_sets_is_that_of_no_example(labels: list[frozenset], ordered: list[str]) -> None:
    for order in itertools.permutations(labels):
        classes, codes = encode(list(order))
        assert {tuple(sorted(label)) for label in classes} == {tuple(text) for text in ordered}
        assert [classes[code] for code in codes] == list(order)
        assert list(classes) == list(encode(labels)[0])


def test_a_set_has_one_place_whatever_the_order_of_its_members() -> None:
    """A set of texts has another order in each run, and one of numbers with equal last bits that of its making."""
    one, other = frozenset([0, 8]), frozenset([8, 0])
    assert (one, list(one)) == (other, list(other)[::-1])
    between = frozenset([4])  # of the texts of the two
    for label in (one, other):
        assert encode([(between,), (label,)])[0].tolist() == [(one,), (between,)]


def test_large_numbers_that_are_no_classes_leave_no_warning(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        FewShotClassifier(tiny_model).fit(SUPPORT, [1e300, 0.5] * 3)


def test_examples_and_classes_can_be_added(fitted: dict[str, FewShotClassifier], tiny_model: Path) -> None:
    added = FewShotClassifier(tiny_model, readout="prototypes").fit(SUPPORT[:3], Y[:3])
    assert added.classes_.tolist() == LABELS[:2]
    assert added.partial_fit(SUPPORT[3:4], Y[3:4]).partial_fit(SUPPORT[4:], Y[4:]) is added
    np.testing.assert_array_equal(added.predict_proba(QUERIES), fitted["prototypes"].predict_proba(QUERIES))
    # one class more than the head has outputs for
    grown = FewShotClassifier(tiny_model).partial_fit(drawings(5, 1), range(5))
    assert isinstance(grown.readout_, Head)
    assert isinstance(grown.partial_fit(drawings(6, 1)[5:], [5]).readout_, Prototypes)


@pytest.mark.parametrize("kind", [list, tuple, iter, set, np.array, dict.fromkeys])
def test_classes_may_come_in_any_iterable(kind: Any, tiny_model: Path) -> None:
    classifier = FewShotClassifier(tiny_model, readout="prototypes")
    assert classifier.partial_fit(SUPPORT, Y, classes=kind(list(Y))).classes_.tolist() == LABELS
    with pytest.raises(UserError, match="y: got 'delta', wanted one of `classes`"):
        classifier.partial_fit(SUPPORT[:1], ["delta"], classes=kind(list(Y)))


@pytest.mark.parametrize("classes", [3, "alphabetagamma", [["alpha"]], np.array("alpha"), [([1],)]])
def test_what_are_no_classes_is_refused(classes: Any, tiny_model: Path) -> None:
    with pytest.raises(UserError, match=r"classes: got .*, wanted .*labels") as error:
        FewShotClassifier(tiny_model, readout="prototypes").partial_fit(SUPPORT, Y, classes=classes)
    assert "\n" not in str(error.value)


def test_a_refused_addition_changes_nothing(tiny_model: Path) -> None:
    classifier = FewShotClassifier(tiny_model, readout="head").fit(drawings(5, 1), range(5))
    before = classifier.predict_proba(QUERIES)
    with pytest.raises(UserError, match="y: got '6 classes', wanted at most the 5"):
        classifier.partial_fit(drawings(6, 1)[5:], [5])
    with pytest.raises(UserError, match="y: got 9, wanted one of `classes`"):
        classifier.partial_fit(drawings(1, 1), [9], classes=range(5))
    np.testing.assert_array_equal(classifier.predict_proba(QUERIES), before)
    assert len(classifier.support_labels_) == 5


def spoiled(value: float) -> np.ndarray:
    images = SUPPORT / 255
    images[2, 5, 5] = value
    return images


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


def test_one_thread_may_fit_while_another_predicts(fitted: dict[str, FewShotClassifier]) -> None:
    """Three classes and two in turn; every answer is that of the three or that of the two."""
    three = fitted["prototypes"]
    two = clone(three).fit(SUPPORT[:4], ["x", "y", "x", "y"])
    allowed = [classifier.predict(QUERIES).tolist() for classifier in (three, two)]
    assert allowed[0] != allowed[1]
    classifier, answers, errors, done = copy.copy(three), [], [], threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                answers.append((classifier.predict(QUERIES).tolist(), classifier.predict_proba(QUERIES).shape[1]))
        except Exception as error:  # noqa: BLE001 – shown by the assertion below
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns within a call
    thread = threading.Thread(target=ask)
    try:
        thread.start()
        for _ in range(40):
            classifier.fit(SUPPORT[:4], ["x", "y", "x", "y"])
            classifier.fit(SUPPORT, Y)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert not errors
    assert len(answers) > 10
    assert all(answer in allowed and classes in (2, 3) for answer, classes in answers)


def test_a_pickle_answers_alike_without_the_model(
    fitted: dict[str, FewShotClassifier], readout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pickle.dumps(fitted[readout])
    monkeypatch.setattr("fastslow.estimators.few_shot.find_model", None)
    again = pickle.loads(data)  # noqa: S301 – our own bytes
    np.testing.assert_array_equal(again.predict_proba(QUERIES), fitted[readout].predict_proba(QUERIES))
    with pytest.raises(NotFittedError):
        clone(again).predict(QUERIES)


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
        ({"y": [*LABELS, None, "beta", "alpha"]}, r"y: got 'no label \(None\) for image 3', wanted a label"),
        ({"y": [0.0, 1.0, np.nan, 0.0, 1.0, 2.0]}, r"y: got 'no label \(nan\) for image 2'"),
        ({"y": [0, 1]}, "y: got '2 labels for 6 images', wanted one label for each image"),
        ({"y": ["a"] * 6}, "y: got 'one class, a', wanted labels of at least two classes"),
        ({"y": [["a"], ["b"]] * 3}, r"y: got \['a'\], wanted labels that can be the key of a dictionary"),
        ({"y": [([1],), ([2],)] * 3}, r"y: got \(\[1\],\), wanted labels that can be the key of a dictionary"),
        ({"y": [Ambiguous(), "b"] * 3}, "y: got Ambiguous, wanted labels that can be the key of a dictionary"),
        ({"y": "abcdef"}, "y: got 'abcdef', wanted one label for each image; pass a list"),
        ({"X": SUPPORT[:0], "y": []}, "X: got 'no image', wanted at least one"),
        ({"X": spoiled(np.nan)}, "X: got 'NaN or infinite pixels in image 2', wanted finite pixels"),
        ({"X": spoiled(-np.inf)}, "X: got 'NaN or infinite pixels in image 2'"),
        ({"X": spoiled(1.5)}, r"got 'float values from 0 to 1.5', wanted float values in \[0, 1\]"),
        ({"X": SUPPORT.astype(int)}, "got 'int64', wanted bool, uint8"),
        ({"X": SUPPORT // 255}, r"X: got 'bytes that are 0 and 1', wanted bytes up to 255; pass pixel_range=\(0, 1\)"),
        ({"X": [*SUPPORT[:5], SUPPORT[5, 1:]]}, r"X: got 'images of sizes \(39, 40\) and \(40, 40\)', wanted one size"),
        ({"X": ["a.png"] * 6}, "X: got 'a.png', wanted arrays of pixels; open files first, as with Pillow"),
        ({"X": SUPPORT[..., None]}, r"X: got \(6, 40, 40, 1\), wanted grey images"),
        ({"X": SUPPORT.reshape(6, -1)[:, 1:]}, r"X: got 'rows of 1599 pixels', wanted a square number of pixels"),
        ({"layout": (3, 4), "X": SUPPORT.reshape(6, -1)}, "X: got 'rows of 1600 pixels', wanted 12 pixels"),
        ({"layout": "wide", "X": SUPPORT.reshape(6, -1)}, "layout: got 'wide', wanted 'square', 'row' or a pair"),
        ({"layout": "row", "X": np.zeros((6, 100_000))}, "images of 1×100000 pixels', wanted at most 10,000 pixels"),
        ({"pixel_range": (0, 200)}, "X: got 'pixels from 0 to 255', wanted pixels in the pixel_range of 0 to 200"),
        ({"X": SUPPORT * 1j}, "X: Complex data not supported; pass real numbers"),
        ({"X": SUPPORT[0, 0]}, r"X: got 'an array of shape \(40,\)', wanted grey images .* if it is one image"),
        ({"X": 5.0}, r"X: got 'an array of shape \(\)', wanted grey images"),
        ({"X": scipy.sparse.eye_array(6).tocsr()}, r"X: got 'a sparse matrix', wanted a dense array; pass X.toarray"),
        ({"X": np.ma.masked_equal(SUPPORT, 0)}, r"X: got 'masked pixels', wanted an array without a mask"),
        ({"X": [[0.0, 1.0], [1.0]]}, "X: got 'rows of different lengths', wanted one size"),
        ({"X": np.array([["a", "b"]])}, "X: got 'texts', wanted arrays of pixels"),
        ({"X": [[10**400, 1]]}, "X: got 'values of type object', wanted bool, whole or floating"),
        ({"X": np.ones((6, 4), "m8[s]")}, r"X: got 'values of type timedelta64\[s\]'"),
        ({"y": np.ma.masked_equal(range(6), 3)}, "y: got 'masked labels', wanted a label for each image"),
        ({"y": b"abcdef"}, "y: got b'abcdef', wanted one label for each image"),
        ({"layout": np.ones(2), "X": SUPPORT.reshape(6, -1)}, "layout: got array.*, wanted 'square', 'row' or a pair"),
        ({"layout": (2**400, 2), "X": SUPPORT.reshape(6, -1)}, r"layout: got .* of numbers from 1 to 10,000"),
        (
            {"pixel_range": (0, 10**400)},
            r"pixel_range: got \(0, 10*… \(.* characters\), wanted None",
        ),
        ({"pixel_range": (0, 10**5000)}, "pixel_range: got tuple too long to show, wanted None, 'fit' or a pair"),
        ({"pixel_range": "fit", "X": 1e308 * (SUPPORT / 127.5 - 1)}, r"X: got 'pixels from -1e\+308"),
        ({"model": "x" * 5000}, r"model: got 'x* \(File name too long\)', wanted the name of a released model"),
        ({"ink": "x" * 5000}, r"ink: got 'x*… \(5,002 characters\), wanted one of dark, light"),
        ({"pixel_range": (1, 1)}, r"pixel_range: got \(1, 1\), wanted None, 'fit' or a pair"),
        ({"ink": "blue"}, "ink: got 'blue', wanted one of dark, light"),
        ({"readout": "tail"}, "readout: got 'tail', wanted one of auto, head, prototypes"),
        (
            {"model": "klingon"},
            "model: got 'klingon', wanted the path of a run folder, or the name of a released model",
        ),
        ({"model": 3}, "model: got 3, wanted the name of a released model"),
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
    with pytest.raises(UserError, match="X: got 'NaN or infinite pixels in image 2'"):
        fitted["prototypes"].predict(spoiled(np.nan))
    with pytest.raises(ValueError, match="X has 900 features, but FewShotClassifier is expecting 1600"):
        fitted["prototypes"].predict(np.zeros((1, 900)))
