"""The online learner on a memory of labelled slots: images of a few-shot model, or any network's feature vectors."""

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from tests.cells.tiny import as_users_come

from fastslow._checks import UserError
from fastslow.datasets.images import to_ink_28
from fastslow.estimators import OnlineOneShot
from fastslow.estimators.engine import embedder_of, engine_of
from fastslow.estimators.slot_reader import TEMPERATURE
from fastslow.zoo.saved import load

RNG = np.random.default_rng(0)
IMAGES = (255 * (RNG.uniform(size=(6, 28, 28)) > 0.1)).astype(np.uint8)
LABELS = ["b", 7, "b", ("a", 1), 7, 7]
WIDTH = 5


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b) / (float(np.linalg.norm(a)) * float(np.linalg.norm(b)))


def votes(held: list[tuple[np.ndarray, object]], query: np.ndarray) -> dict[object, float]:
    """The summed powers of each label's vectors, over the root of how many these are, to sum 1."""
    powers: dict[object, list[float]] = {}
    for x, label in held:
        powers.setdefault(label, []).append(float(np.exp(TEMPERATURE * cosine(x, query))))
    found = {label: sum(each) / len(each) ** 0.5 for label, each in powers.items()}
    return {label: vote / sum(found.values()) for label, vote in found.items()}


def kept(held: list[tuple[np.ndarray, object]], slots: int) -> list[tuple[np.ndarray, object]]:
    """Where there is one too many, the oldest of the labels that most slots hold goes."""
    if len(held) <= slots:
        return held
    labels = [label for _, label in held]
    most = max(labels.count(label) for label in labels)
    place = next(i for i, label in enumerate(labels) if labels.count(label) == most)
    return held[:place] + held[place + 1 :]


@pytest.mark.parametrize("slots", [100, 6, 3])
def test_feature_vectors_vote_by_their_cosine_and_rare_classes_stay(slots: int) -> None:
    rng = np.random.default_rng(slots)
    one, held = OnlineOneShot(features=True, slots=slots), []
    stream = [("rare", rng.normal(size=WIDTH))]
    stream += [(("x", "y")[int(rng.integers(2))], 10 * rng.normal(size=WIDTH)) for _ in range(40)]
    for label, x in stream:
        one.learn_one(x, label)
        held = kept([*held, (x, label)], slots)
    query = rng.normal(size=WIDTH)
    found, expected = one.predict_proba_one(query), votes(held, query)
    assert list(found) == ["rare", *dict.fromkeys(label for label, _ in stream[1:])]
    # single precision of a cosine, times the temperature
    np.testing.assert_allclose([found[k] for k in found], [expected[k] for k in found], rtol=1e-4)
    assert one.predict_one(query) == max(expected, key=lambda label: expected[label])
    assert one.examples == 41


def test_images_are_compared_in_the_models_embedding(tiny_model: Path) -> None:
    saved = load(tiny_model)
    features = engine_of(saved.config).features(embedder_of(saved), to_ink_28(IMAGES, "dark"))
    one = OnlineOneShot(tiny_model)
    for image, label in zip(IMAGES[:5], LABELS, strict=False):
        one.learn_one(image, label)
    found = one.predict_proba_one(IMAGES[5])
    expected = votes(list(zip(features[:5].astype(np.float64), LABELS, strict=False)), features[5].astype(np.float64))
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-4)
    light = OnlineOneShot(tiny_model, ink="light")
    for image, label in zip(IMAGES[:5], LABELS, strict=False):
        light.learn_one(255 - image, label)
    assert light.predict_proba_one(255 - IMAGES[5]) == found


def test_a_copy_keeps_what_was_learned() -> None:
    one = OnlineOneShot(features=True)
    one.learn_one([1.0, 0.0], "a")
    copies = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))]  # noqa: S301
    one.learn_one([0.0, 1.0], "b")
    for each in copies:
        assert each.predict_proba_one([0.0, 1.0]) == {"a": 1.0}
        assert each.examples == 1
    assert one.predict_one([0.1, 1.0]) == "b"


def test_before_the_first_example_it_says_nothing() -> None:
    one = OnlineOneShot(features=True)
    assert one.predict_one([1.0, 2.0]) is None
    assert one.predict_proba_one([1.0, 2.0]) == {}


def test_no_length_of_a_vector_matters() -> None:
    one = OnlineOneShot(features=True)
    for x, label in (([3e30, 0.0], "a"), ([0.0, 1e-30], "b"), ([0.0, 0.0], "nothing")):
        one.learn_one(x, label)
    assert one.predict_one([1e-30, 1e-31]) == "a"
    assert one.predict_one([1e30, 9e30]) == "b"
    np.testing.assert_allclose(list(one.predict_proba_one([0.0, 0.0]).values()), 1 / 3)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([1.0, float("nan")], "x: got NaN or infinite numbers, expected one vector of finite numbers."),
        ([1.0, 2.0, 3.0], "x: got 3 numbers, expected 2, as in the first example."),
        (np.ones((1, 2)), "x: got an array of shape (1, 2), expected one vector of finite numbers."),
        ([], "x: got an array of shape (0,), expected one vector of finite numbers."),
        ("a.png", "x: got 'a.png', expected one vector of finite numbers."),
        ([1j, 1.0], "x: got [1j, 1.0], expected one vector of finite numbers."),
    ],
    ids=["nan", "width", "batch", "empty", "text", "complex"],
)
def test_what_is_no_feature_vector_is_refused_and_nothing_learned(x: object, said: str) -> None:
    one = OnlineOneShot(features=True)
    one.learn_one([1.0, 0.0], "a")
    for act in (one.predict_one, lambda x: one.learn_one(x, "a")):
        with pytest.raises(UserError) as raised:
            act(x)
        assert str(raised.value) == said
    assert one.examples == 1


def test_more_classes_than_slots_are_refused() -> None:
    one = OnlineOneShot(features=True, slots=2)
    one.learn_one([1.0, 0.0], "a")
    one.learn_one([0.0, 1.0], "b")
    said = "y: got 'c', expected one of the 2 classes known, as each slot holds a class of its own."
    with pytest.raises(UserError, match=re.escape(said)):
        one.learn_one([1.0, 1.0], "c")
    assert (one.classes, one.examples, one.most_classes) == (["a", "b"], 2, 2)
    one.learn_one([1.0, 1.0], "a")
    assert one.examples == 3


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UserError, match="slots: got 0"):
        OnlineOneShot(features=True, slots=0)
    with as_users_come(), pytest.raises(UserError, match="model: got 'nothing'"):
        OnlineOneShot("nothing")
