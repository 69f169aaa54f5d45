"""The classifier with a network for any number of classes: its memory says how many it tells apart."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("sklearn")

from tests.estimators.pictures import SLOTS, drawings
from tests.reference.rounding import operations_of, rounding

from fastslow._checks import UserError
from fastslow.datasets.images import to_ink_28
from fastslow.estimators import FewShotClassifier, few_shot
from fastslow.estimators.inputs import canonical_order
from fastslow.estimators.readouts import Head, Prototypes
from fastslow.tasks.base import Examples
from fastslow.zoo.saved import load

QUERIES = drawings(6, 3, seed=1)


@pytest.fixture(scope="module")
def six(any_way_model: Path) -> FewShotClassifier:
    """One more class than in a test episode of the model's task."""
    return FewShotClassifier(any_way_model).fit(drawings(6, 1), list("abcdef"))


def test_the_head_names_more_classes_than_its_task_has(six: FewShotClassifier) -> None:
    assert isinstance(six.readout_, Head)
    found = six.predict_proba(QUERIES)
    assert found.shape == (len(QUERIES), 6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert (found > 0).all()


def test_the_head_is_the_learner_at_its_training_way(six: FewShotClassifier, any_way_model: Path) -> None:
    """The learner has seven columns in training, and answers five classes; the first five are compared."""
    saved = load(any_way_model)
    images, labels = to_ink_28(drawings(6, 1)), np.arange(6, dtype=np.int32)
    order = canonical_order(images, labels)
    examples = Examples(jnp.asarray(images[order]), jnp.asarray(labels[order]))
    adapted = saved.learner.adapt(saved.state(), examples, key=jax.random.key(0))
    # sums of all layers, forward and backward in one inner step, and forward again
    rtol = rounding(3 * operations_of(saved.state().params.network))
    five = np.exp(saved.learner.predict(adapted, jnp.asarray(to_ink_28(QUERIES))))
    expected = six.predict_proba(QUERIES)[:, :5]
    np.testing.assert_allclose(five, expected / expected.sum(axis=1, keepdims=True), rtol=rtol)


def test_order_of_examples_does_not_matter(six: FewShotClassifier, any_way_model: Path) -> None:
    turned = FewShotClassifier(any_way_model).fit(drawings(6, 1)[::-1], list("fedcba"))
    np.testing.assert_array_equal(turned.predict_proba(QUERIES), six.predict_proba(QUERIES))


def test_it_keeps_as_many_of_each_class_as_the_memory_holds(any_way_model: Path) -> None:
    """Six classes of three examples in eight slots."""
    crowded = FewShotClassifier(any_way_model).fit(drawings(6, 3), np.repeat(np.arange(6), 3))
    held = crowded.readout_.adapted.memory.labels
    assert len(held) == SLOTS
    assert sorted(np.bincount(held, minlength=6)) == [1, 1, 1, 1, 2, 2]
    assert crowded.predict_proba(QUERIES).shape == (len(QUERIES), 6)


def test_more_classes_than_slots(any_way_model: Path) -> None:
    images, labels = drawings(9, 1, side=60), np.arange(9)
    told = "y: got 9 classes, expected at most 8, which the head of model .* has room for; use readout='prototypes'"
    with pytest.raises(UserError, match=told):
        FewShotClassifier(any_way_model, readout="head").fit(images, labels)
    assert isinstance(FewShotClassifier(any_way_model).fit(images, labels).readout_, Prototypes)


def test_more_examples_than_are_embedded_at_once(any_way_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few_shot, "MOST_EXAMPLES", 5)
    images, labels = drawings(6, 1), np.arange(6)
    with pytest.raises(UserError, match="X: got 6 images, expected at most 5 for readout 'head'; use readout="):
        FewShotClassifier(any_way_model, readout="head").fit(images, labels)
    assert isinstance(FewShotClassifier(any_way_model).fit(images, labels).readout_, Prototypes)


def test_nan_in_a_picture(six: FewShotClassifier) -> None:
    spoiled = QUERIES / 255
    spoiled[1, 0, 0] = np.nan
    with pytest.raises(UserError, match="X: got NaN or infinite pixels in image 1, expected finite pixels"):
        six.predict(spoiled)
