"""Labels of any kind: which are one class, their order, and what is refused as none."""

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from tests.estimators.pictures import LABELS, SUPPORT, Y, drawings

from fastslow._checks import UserError
from fastslow.estimators import FewShotClassifier
from fastslow.estimators.labels import encode


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


@pytest.mark.parametrize("kind", [list, tuple, iter, set, np.array, dict.fromkeys])
def test_classes_may_come_in_any_iterable(kind: Any, tiny_model: Path) -> None:
    classifier = FewShotClassifier(tiny_model, readout="prototypes")
    assert classifier.partial_fit(SUPPORT, Y, classes=kind(list(Y))).classes_.tolist() == LABELS
    with pytest.raises(UserError, match="y: got 'delta', expected one of `classes`"):
        classifier.partial_fit(SUPPORT[:1], ["delta"], classes=kind(list(Y)))


@pytest.mark.parametrize("classes", [3, "alphabetagamma", [["alpha"]], np.array("alpha"), [([1],)]])
def test_what_are_no_classes_is_refused(classes: Any, tiny_model: Path) -> None:
    with pytest.raises(UserError, match=r"classes: got .*, expected .*labels") as error:
        FewShotClassifier(tiny_model, readout="prototypes").partial_fit(SUPPORT, Y, classes=classes)
    assert "\n" not in str(error.value)
