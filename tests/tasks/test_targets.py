"""Targets: nll and scores against twins, labels that are all different, and gradients at the nasty points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.reference import targets as twin
from tests.reference.memory import softmax
from tests.reference.rounding import rounding

from fastslow._checks import UserError
from fastslow.metrics import ACCURACY, LOG_LIKELIHOOD
from fastslow.tasks.targets import AbstractTarget, Categorical, Gaussian, MultiCategorical

pytestmark = pytest.mark.usefixtures("double")

LOGITS = np.random.default_rng(0).normal(size=(6, 4))
CLASSES = np.array([0, 1, 2, 3, 0, 1])
PLACES, LETTERS = 4, 3
CATEGORICAL, STRINGS, GAUSSIAN = Categorical(4), MultiCategorical(PLACES, LETTERS), Gaussian()
TARGETS = {"categorical": CATEGORICAL, "multi-categorical": STRINGS, "gaussian": GAUSSIAN}
ROUNDING = rounding(100, precision=np.float64)
"""No result here takes more than a hundred operations, and none is much smaller than what it is made of."""


def spelled(*letters: int) -> np.ndarray:
    """One-hot rows of letters, one after the other."""
    return np.eye(LETTERS)[list(letters)].reshape(-1)


def accuracy(target: AbstractTarget, outputs, expected) -> float:
    return float(target.scores(jnp.asarray(outputs), jnp.asarray(expected))["accuracy"])


@pytest.mark.parametrize("kind", TARGETS)
def test_sizes_chance_and_monitor(kind: str) -> None:
    outputs, size, chance, monitor = {
        "categorical": (4, 4, 1 / 4, ACCURACY),
        "multi-categorical": (12, 12, 1 / 81, ACCURACY),
        "gaussian": (2, 1, None, LOG_LIKELIHOOD),
    }[kind]
    target = TARGETS[kind]
    assert (target.outputs, target.size, target.chance, target.monitor) == (outputs, size, chance, monitor)
    assert not jax.tree.leaves(target)  # nothing to train
    # a row as a network is shown it is a target, too
    scores = target.scores(jnp.zeros(outputs), jnp.zeros(size))
    assert scores.keys() == {monitor.name}


def test_strings_of_the_paper_are_five_letters_of_five() -> None:
    target = MultiCategorical()
    assert (target.places, target.letters, target.outputs, target.strings) == (5, 5, 25, 3125)


# --- classes


def test_equation_25_is_the_nll_of_a_class() -> None:
    """Of a class number the same as of its one-hot row, to the last bit: other terms of the sum are zeros."""
    for row, c in zip(LOGITS, CLASSES, strict=True):
        of_row = CATEGORICAL.nll(jnp.asarray(row), jnp.eye(4)[c])
        np.testing.assert_allclose(of_row, twin.categorical_nll(row, np.eye(4)[c]), rtol=ROUNDING)
        assert CATEGORICAL.nll(jnp.asarray(row), jnp.asarray(c)) == of_row
        gradients = [jax.grad(CATEGORICAL.nll)(jnp.asarray(row), t) for t in (jnp.eye(4)[c], jnp.asarray(c))]
        np.testing.assert_allclose(*gradients, rtol=ROUNDING)
        np.testing.assert_allclose(gradients[0], softmax(row) - np.eye(4)[c], rtol=0, atol=ROUNDING)


def test_classes_may_have_any_probability() -> None:
    """A target that is a distribution: its cross entropy."""
    target = np.array([0.1, 0.2, 0.3, 0.4])
    expected = -np.sum(target * np.log(softmax(LOGITS[0])))
    np.testing.assert_allclose(CATEGORICAL.nll(jnp.asarray(LOGITS[0]), jnp.asarray(target)), expected, rtol=ROUNDING)


@pytest.mark.parametrize("expected", [[0.0, 1.0, 0.0, 0.0], 1], ids=["one-hot row", "class number"])
def test_nll_of_huge_logits_is_finite(expected) -> None:
    nll, gradient = jax.value_and_grad(CATEGORICAL.nll)(1e30 * jnp.eye(4)[0], jnp.asarray(expected))
    assert nll == 1e30
    np.testing.assert_array_equal(gradient, [1, -1, 0, 0])


@pytest.mark.parametrize("expected", [np.eye(4), np.arange(4)], ids=["one-hot rows", "class numbers"])
def test_a_class_is_right_where_its_logit_is_largest(expected) -> None:
    assert [accuracy(CATEGORICAL, [0.1, 0.2, -5.0, 0.19], target) for target in expected] == [0, 1, 0, 0]


def test_classes_are_shown_as_one_hot_rows() -> None:
    np.testing.assert_array_equal(CATEGORICAL.labels(), np.eye(4))


# --- strings


def test_equation_26_is_the_nll_of_a_string() -> None:
    rng = np.random.default_rng(1)
    right = []
    for _ in range(40):
        logits, string = rng.normal(size=PLACES * LETTERS), spelled(*rng.integers(0, LETTERS, PLACES))
        got = STRINGS.nll(jnp.asarray(logits), jnp.asarray(string))
        np.testing.assert_allclose(got, twin.string_nll(logits, string, LETTERS), rtol=ROUNDING)
        # a string near to the likeliest one, so that some are right
        string = spelled(*np.argmax(logits.reshape(PLACES, LETTERS) + rng.normal(0, 0.3, (PLACES, LETTERS)), axis=1))
        right.append(accuracy(STRINGS, logits, string))
        assert right[-1] == twin.string_is_right(logits, string, LETTERS)
    assert 0 < sum(right) < 40


def test_a_string_is_right_in_every_place_or_not_at_all() -> None:
    outputs, right = 3.0 * spelled(2, 0, 1, 1), (2, 0, 1, 1)
    assert accuracy(STRINGS, outputs, spelled(*right)) == 1
    for place in range(PLACES):
        wrong = [(letter + (i == place)) % LETTERS for i, letter in enumerate(right)]
        assert accuracy(STRINGS, outputs, spelled(*wrong)) == 0


def test_nll_of_a_certain_string_is_zero() -> None:
    string = jnp.asarray(spelled(2, 0, 1, 1))
    assert STRINGS.nll(1e30 * string, string) == 0
    # of evenly likely letters each place costs log 3
    np.testing.assert_allclose(STRINGS.nll(jnp.zeros(12), string), PLACES * np.log(LETTERS), rtol=ROUNDING)
    nll, gradient = jax.value_and_grad(STRINGS.nll)(-1e30 * string, string)
    assert np.isfinite(nll)
    assert np.isfinite(gradient).all()


def test_places_are_independent() -> None:
    """The second derivatives of nll across places are zero, and within a place not."""
    logits, string = jnp.asarray(LOGITS.reshape(-1)[:12]), jnp.asarray(spelled(0, 1, 2, 0))
    second = np.asarray(jax.hessian(STRINGS.nll)(logits, string)).reshape(PLACES, LETTERS, PLACES, LETTERS)
    for i in range(PLACES):
        for j in range(PLACES):
            assert np.all(second[i, :, j] == 0) == (i != j)


@pytest.mark.parametrize(("places", "letters"), [(5, 5), (4, 3), (1, 7), (3, 2)])
def test_strings_of_classes_are_all_different(places: int, letters: int) -> None:
    """As many classes as strings, each with a string of its own, and neighbours differ in more than a place."""
    target = MultiCategorical(places, letters)
    rows = np.asarray(target.labels())
    assert rows.shape == (target.strings, target.size)
    assert len({row.tobytes() for row in rows}) == target.strings
    np.testing.assert_array_equal(rows.reshape(-1, places, letters).sum(axis=2), 1)
    if (places, letters) == (5, 5):
        apart = (rows[1:] * rows[:-1]).sum(axis=1)
        assert apart.mean() < 2  # letters that neighbours share


def test_a_strings_number_is_written_in_its_letters() -> None:
    target = MultiCategorical(PLACES, LETTERS)
    rows = np.asarray(target.spell(jnp.asarray([0, 1, 5, 80]))).reshape(4, PLACES, LETTERS)
    assert rows.argmax(axis=2).tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [2, 1, 0, 0], [2, 2, 2, 2]]
    for number in range(target.strings):
        (row,) = np.asarray(target.spell(jnp.asarray([number]))).reshape(1, PLACES, LETTERS).argmax(axis=2)
        assert sum(int(letter) * LETTERS**place for place, letter in enumerate(row)) == number


# --- real numbers


def spread(deviation: float) -> float:
    """The number of which softplus makes this deviation less the floor."""
    return float(np.log(np.expm1(deviation - Gaussian.FLOOR)))


@pytest.mark.parametrize(("value", "mean", "deviation"), [(0.3, -1.0, 0.7), (5.0, 4.9, 0.05), (-2.0, 3.0, 11.0)])
def test_a_numbers_nll_is_minus_its_log_density(value: float, mean: float, deviation: float) -> None:
    outputs, expected = jnp.asarray([mean, spread(deviation)]), jnp.asarray([value])
    np.testing.assert_allclose(GAUSSIAN.deviation(outputs), deviation, rtol=ROUNDING)
    nll = GAUSSIAN.nll(outputs, expected)
    np.testing.assert_allclose(nll, twin.gaussian_nll(value, mean, deviation), rtol=ROUNDING)
    assert GAUSSIAN.scores(outputs, expected) == {"log likelihood": -nll}


def test_a_density_integrates_to_one() -> None:
    outputs = jnp.asarray([0.4, spread(0.3)])
    values = jnp.linspace(-3, 4, 4001)
    density = jnp.exp(-jax.vmap(lambda value: GAUSSIAN.nll(outputs, value[None]))(values))
    # a sum over a grid is exact for a smooth density up to its ends, eleven deviations away; 4001 numbers are summed
    np.testing.assert_allclose(jnp.sum(density) * (values[1] - values[0]), 1, rtol=rounding(4001, precision=np.float64))


def test_a_deviation_is_never_below_its_floor() -> None:
    assert GAUSSIAN.deviation(jnp.asarray([0.0, -1e30])) == Gaussian.FLOOR
    assert GAUSSIAN.deviation(jnp.asarray([0.0, 1e3])) == 1e3 + Gaussian.FLOOR
    for spread_out in (-1e30, 1e30):
        nll, gradient = jax.value_and_grad(GAUSSIAN.nll)(jnp.asarray([2.0, spread_out]), jnp.asarray([5.0]))
        assert np.isfinite(nll)
        assert np.isfinite(gradient).all()


def test_real_numbers_are_no_classes() -> None:
    with pytest.raises(UserError, match="labels: got targets of Gaussian, expected targets that are classes"):
        GAUSSIAN.labels()


# --- all of them


@pytest.mark.parametrize(("kind", "target"), [("categorical", np.eye(4)[2]), ("categorical", np.array(2))])
def test_gradients_of_classes_are_finite_differences(kind: str, target: np.ndarray) -> None:
    nll = jax.jit(lambda outputs: TARGETS[kind].nll(outputs, jnp.asarray(target)))
    check_grads(nll, (jnp.asarray(LOGITS[0]),), order=2, modes=["rev"])


@pytest.mark.parametrize(
    ("target", "expected", "outputs"),
    [(STRINGS, spelled(0, 2, 1, 1), LOGITS.reshape(-1)[:12]), (GAUSSIAN, np.array([1.1]), np.array([0.4, -0.3]))],
    ids=["multi-categorical", "gaussian"],
)
def test_gradients_are_finite_differences(target: AbstractTarget, expected: np.ndarray, outputs: np.ndarray) -> None:
    nll = jax.jit(target.nll)
    check_grads(nll, (jnp.asarray(outputs), jnp.asarray(expected)), order=2, modes=["rev"])


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: Categorical(0), "classes: got 0"),
        (lambda: MultiCategorical(places=0), "places: got 0"),
        (lambda: MultiCategorical(letters=-1), "letters: got -1"),
    ],
)
def test_sizes_below_one_are_refused(build, why: str) -> None:
    with pytest.raises(UserError, match=why):
        build()


def test_a_class_without_probability_counts_only_where_it_is_the_target() -> None:
    logits = jnp.asarray([1.0, -jnp.inf, 2.0])
    two = jnp.asarray([1.0, 2.0])
    slope = jax.grad(CATEGORICAL.nll)(logits, jnp.eye(3)[0])
    np.testing.assert_allclose(CATEGORICAL.nll(logits, jnp.eye(3)[0]), CATEGORICAL.nll(two, jnp.eye(2)[0]), rtol=1e-6)
    np.testing.assert_allclose(slope[jnp.asarray([0, 2])], jax.grad(CATEGORICAL.nll)(two, jnp.eye(2)[0]), rtol=1e-6)
    assert CATEGORICAL.nll(logits, jnp.eye(3)[1]) == np.inf
