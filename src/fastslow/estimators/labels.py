"""What users bring as labels to what a learner takes: numbers from 0 up."""

from collections.abc import Hashable, Sequence
from itertools import pairwise
from numbers import Number
from typing import Any

import numpy as np
from jaxtyping import Int
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._checks import Described, UserError, bad


def as_labels(y: Any, items: int) -> list[Hashable]:
    """Labels as a list, one for each image.

    Raises:
        UserError: for labels that are missing, too few or too many, or that cannot be told apart by `==` and `hash`.
    """
    if y is None:
        raise UserError(
            "This FewShotClassifier estimator requires y to be passed, but the target y is None; "
            "give one label for each image."
        )
    if np.ma.is_masked(y):
        raise bad("y", got=Described("masked labels"), expected="a label for each image")
    if isinstance(y, str | bytes):
        raise bad("y", got=y, expected="one label for each image", hint="pass a list")
    if isinstance(y, np.ndarray) or not isinstance(y, Sequence):
        y = np.asarray(y)
        y = column_or_1d(y, warn=True) if y.ndim != 1 else y
    labels = list(y)
    if len(labels) != items:
        raise bad("y", got=Described(f"{len(labels)} labels for {items} images"), expected="one label for each image")
    for place, label in enumerate(labels):
        _check_key("y", label)
        if label is None or label != label:  # NaN alone differs from itself
            raise bad("y", got=Described(f"no label ({label}) for image {place}"), expected="a label for each image")
    return labels


def check_known(labels: list[Hashable], classes: Any) -> None:
    """Refuses labels that are not among `classes`.

    Args:
        labels: as `as_labels` gives them.
        classes: any iterable of labels, read once; None allows all labels.

    Raises:
        UserError: for a label that is not there, and for `classes` that are no labels.
    """
    if classes is None:
        return
    expected = "all labels that may come, in a list or another iterable"
    if isinstance(classes, str | bytes):
        raise bad("classes", got=classes, expected=expected)
    try:
        known = list(classes)
    except TypeError as error:
        raise bad("classes", got=classes, expected=expected) from error
    for label in known:
        _check_key("classes", label)
    known = set(known)
    for label in labels:
        if label not in known:
            raise bad("y", got=label, expected="one of `classes`")


def _check_key(argument: str, label: Any) -> None:
    """Refuses what no dictionary finds again: the hash of a tuple is missing where that of a member is."""
    try:
        hash(label)
        bool(label == label)
    except (TypeError, ValueError) as error:
        expected = "labels that can be the key of a dictionary"
        raise bad(argument, got=label, expected=expected, hint="use tuples or texts") from error


def encode(labels: list[Any]) -> tuple[np.ndarray, Int[np.ndarray, " items"]]:
    """The classes, in order, and for each label the place of its class.

    Labels that are equal in Python are one class, as `1` and `1.0` are; all others stay apart. They are ordered by `<`,
    or by type and text where they have no order.

    Raises:
        UserError: for a single class.
        ValueError: scikit-learn's own, for numbers that are no classes, such as 0.5.
    """
    plain = _plain(labels)
    if plain is not None:
        with np.errstate(invalid="ignore"):  # scikit-learn turns large numbers into integers to see if they are some
            check_classification_targets(plain)
        classes, codes = np.unique(plain, return_inverse=True)
    else:
        labels = [_exact(label) for label in labels]
        ordered = _in_order(labels)
        classes = np.empty(len(ordered), object)
        classes[:] = ordered
        places = {label: place for place, label in enumerate(ordered)}
        codes = np.array([places[label] for label in labels])
    if len(classes) < 2:
        raise bad("y", got=Described(f"one class, {classes[0]}"), expected="labels of at least two classes")
    return classes, codes.astype(np.int32)


def _plain(labels: list[Any]) -> np.ndarray | None:
    """Texts or numbers as an array; None for other labels, and where the array would change one of them.

    NumPy cuts zeros from the end of a text, and rounds whole numbers beside floating-point ones.
    """
    kinds = (str, (Number, np.bool_))
    if not any(all(isinstance(label, kind) for label in labels) for kind in kinds):
        return None
    plain = np.asarray(labels)
    if plain.dtype.kind == "c":
        return None  # scikit-learn refuses it in several lines
    if plain.dtype.kind == "f" and not np.isfinite(plain).all():
        raise bad("y", got=Described("an infinite label"), expected="finite labels")
    same = (kept == _exact(label) for kept, label in zip(plain.tolist(), labels, strict=True))
    return plain if plain.dtype.kind != "O" and all(same) else None


def _exact(label: Any) -> Any:
    """Python's own number for one of NumPy's, which rounds a whole one to compare it with a floating-point one."""
    return label.item() if isinstance(label, np.number | np.bool_) else label


def _in_order(labels: list[Any]) -> list[Any]:
    """The different labels: in the order of `<` where it is one of all of them, else by type and text."""
    found = list(dict.fromkeys(labels))
    try:
        ordered = sorted(found)
        if all(a < b for a, b in pairwise(ordered)):  # of sets, `<` orders some pairs alone
            return ordered
    except (TypeError, ValueError):
        pass
    return sorted(found, key=lambda label: (type(label).__name__, _text(label)))


def _text(label: Any) -> str:
    """A label's text, which does not depend on the order in which a set keeps its members."""
    if isinstance(label, frozenset):
        return f"{{{', '.join(sorted(_text(member) for member in label))}}}"
    return f"({', '.join(_text(member) for member in label)})" if isinstance(label, tuple) else repr(label)


__all__ = ["as_labels", "check_known", "encode"]
