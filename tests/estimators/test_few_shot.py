"""The classifier beyond scikit-learn's checks: read-outs, images of any kind, additions, threads and pickles."""

import copy
import pickle
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from tests.estimators.pictures import LABELS, QUERIES, SUPPORT, WAY, Y, drawings
from tests.reference.rounding import operations_of, rounding

from fastslow.datasets.images import to_ink_28
from fastslow.estimators import FewShotClassifier
from fastslow.estimators.readouts import Head, Prototypes
from fastslow.tasks.base import Examples
from fastslow.zoo.saved import load


def tolerance(model: Path) -> float:
    """Rounding errors of a probability: of the sums of all layers, one after the other, and of one inner step.

    That step takes as many sums backward as forward, and its result goes through all of them once more.
    """
    return rounding(3 * operations_of(load(model).state().params.network))


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
    expected = np.exp(saved.learner.predict(adapted, jnp.asarray(to_ink_28(QUERIES))))[:, :3]
    np.testing.assert_allclose(
        few.predict_proba(QUERIES), expected / expected.sum(1, keepdims=True), rtol=tolerance(tiny_model)
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
    expected = fitted[readout].predict_proba(QUERIES)
    light = clone(fitted[readout]).set_params(ink="light").fit(255 - SUPPORT, Y)
    np.testing.assert_array_equal(light.predict_proba(255 - QUERIES), expected)
    np.testing.assert_array_equal(fitted[readout].predict_proba(QUERIES / 255), expected)
    scaled = clone(fitted[readout]).set_params(pixel_range=(0, 510)).fit(2 * SUPPORT.astype(int), Y)
    np.testing.assert_array_equal(scaled.predict_proba(2 * QUERIES.astype(int)), expected)


def test_flattened_images_are_the_same_images(fitted: dict[str, FewShotClassifier]) -> None:
    expected = fitted["prototypes"].predict_proba(QUERIES)
    flat = clone(fitted["prototypes"]).fit(SUPPORT.reshape(6, -1), Y)
    assert flat.n_features_in_ == fitted["prototypes"].n_features_in_ == 1600
    np.testing.assert_array_equal(flat.predict_proba(QUERIES.reshape(12, -1)), expected)
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


def test_examples_and_classes_can_be_added(fitted: dict[str, FewShotClassifier], tiny_model: Path) -> None:
    added = FewShotClassifier(tiny_model, readout="prototypes").fit(SUPPORT[:3], Y[:3])
    assert added.classes_.tolist() == LABELS[:2]
    assert added.partial_fit(SUPPORT[3:4], Y[3:4]).partial_fit(SUPPORT[4:], Y[4:]) is added
    np.testing.assert_array_equal(added.predict_proba(QUERIES), fitted["prototypes"].predict_proba(QUERIES))
    # one class more than the head has outputs for
    grown = FewShotClassifier(tiny_model).partial_fit(drawings(5, 1), range(5))
    assert isinstance(grown.readout_, Head)
    assert isinstance(grown.partial_fit(drawings(6, 1)[5:], [5]).readout_, Prototypes)


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
