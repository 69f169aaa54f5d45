import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.reference import heads as twin
from tests.reference.memory import softmax
from tests.reference.rounding import rounding

from fastslow.models.heads import Categorical, Gaussian, Strings, accuracy, cross_entropy

pytestmark = pytest.mark.usefixtures("double")

LOGITS = np.random.default_rng(0).normal(size=(6, 4))
CLASSES = np.array([0, 1, 2, 3, 0, 1])
KEY = jax.random.key(0)
PLACES, LETTERS = 4, 3
ROUNDING = rounding(100, precision=np.float64)
"""No result here takes more than a hundred operations, and none is much smaller than what it is made of."""


def strings() -> Strings:
    return Strings(2, PLACES, LETTERS, key=KEY)


def spelled(*letters: int) -> np.ndarray:
    """One-hot rows of letters, one after the other."""
    return np.eye(LETTERS)[list(letters)].reshape(-1)


def test_cross_entropy_is_the_mean_surprise_in_nats() -> None:
    expected = -sum(np.log(softmax(row)[c]) for row, c in zip(LOGITS, CLASSES, strict=True)) / len(CLASSES)
    got = cross_entropy(jnp.asarray(LOGITS), jnp.eye(4)[CLASSES])
    np.testing.assert_allclose(got, expected, rtol=ROUNDING)


def test_cross_entropy_of_huge_logits_is_finite() -> None:
    loss, gradient = jax.value_and_grad(cross_entropy)(1e30 * jnp.eye(4), jnp.eye(4)[jnp.asarray([1, 1, 2, 3])])
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


def test_accuracy_is_a_share() -> None:
    logits = jnp.eye(4)[jnp.asarray([0, 1, 2, 2])]
    assert accuracy(logits, jnp.asarray([0, 1, 2, 3])) == 0.75


@pytest.mark.parametrize("kind", ["categorical", "strings", "gaussian"])
def test_equation_8_is_a_dense_layer(kind: str) -> None:
    build = {"categorical": lambda: Categorical(3, 4, key=KEY), "strings": lambda: Strings(3, 2, 5, key=KEY)}
    head, m = build.get(kind, lambda: Gaussian(3, key=KEY))(), np.array([0.3, -1.0, 2.0])
    weight, bias = np.array(head.linear.weight), np.array(head.linear.bias)
    expected = [bias[c] + sum(weight[c, j] * m[j] for j in range(3)) for c in range(len(bias))]
    np.testing.assert_allclose(head(jnp.asarray(m)), expected, rtol=ROUNDING)


def test_a_layer_has_a_number_for_each_parameter_of_its_distribution() -> None:
    x = jnp.zeros(3, float)
    assert Categorical(3, 7, key=KEY)(x).shape == (7,)
    assert Strings(3, key=KEY)(x).shape == (25,)  # five letters of five, as in the paper
    assert Gaussian(3, key=KEY)(x).shape == (2,)


# --- one-hot labels


def test_equation_25_is_the_surprise_of_a_class() -> None:
    head = Categorical(2, 4, key=KEY)
    for row, c in zip(LOGITS, CLASSES, strict=True):
        got = head.surprise(jnp.asarray(row), jnp.eye(4)[c])
        np.testing.assert_allclose(got, twin.categorical_surprise(row, np.eye(4)[c]), rtol=ROUNDING)


def test_a_class_is_hit_by_the_largest_logit_alone() -> None:
    head, logits = Categorical(2, 4, key=KEY), jnp.asarray([0.1, 0.2, -5.0, 0.19])
    assert [float(head.hit(logits, jnp.eye(4)[c])) for c in range(4)] == [0, 1, 0, 0]


# --- strings


def test_equation_26_is_the_surprise_of_a_string() -> None:
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(40):
        logits, string = rng.normal(size=PLACES * LETTERS), spelled(*rng.integers(0, LETTERS, PLACES))
        got = strings().surprise(jnp.asarray(logits), jnp.asarray(string))
        np.testing.assert_allclose(got, twin.string_surprise(logits, string, LETTERS), rtol=ROUNDING)
        # a string near to what is said, so that some are hit
        string = spelled(*np.argmax(logits.reshape(PLACES, LETTERS) + rng.normal(0, 0.3, (PLACES, LETTERS)), axis=1))
        hits.append(float(strings().hit(jnp.asarray(logits), jnp.asarray(string))))
        assert hits[-1] == twin.string_is_right(logits, string, LETTERS)
    assert 0 < sum(hits) < 40


def test_a_string_is_hit_in_every_place_or_not_at_all() -> None:
    said, right = jnp.asarray(3.0 * spelled(2, 0, 1, 1)), (2, 0, 1, 1)
    assert strings().hit(said, jnp.asarray(spelled(*right))) == 1
    for place in range(PLACES):
        wrong = [(letter + (i == place)) % LETTERS for i, letter in enumerate(right)]
        assert strings().hit(said, jnp.asarray(spelled(*wrong))) == 0


def test_a_string_said_with_certainty_is_no_surprise() -> None:
    string = jnp.asarray(spelled(2, 0, 1, 1))
    assert strings().surprise(1e30 * string, string) == 0
    # of evenly likely letters each place costs log 3
    np.testing.assert_allclose(strings().surprise(jnp.zeros(12), string), PLACES * np.log(LETTERS), rtol=ROUNDING)
    surprise, gradient = jax.value_and_grad(strings().surprise)(-1e30 * string, string)
    assert np.isfinite(surprise)
    assert np.isfinite(gradient).all()


def test_places_are_independent() -> None:
    """The surprise's second derivatives across places are zero, and within a place not."""
    logits, string = jnp.asarray(LOGITS.reshape(-1)[:12]), jnp.asarray(spelled(0, 1, 2, 0))
    second = np.asarray(jax.hessian(strings().surprise)(logits, string)).reshape(PLACES, LETTERS, PLACES, LETTERS)
    for i in range(PLACES):
        for j in range(PLACES):
            assert np.all(second[i, :, j] == 0) == (i != j)


# --- real numbers


def spread(deviation: float) -> float:
    """The number of which softplus makes this deviation less the floor."""
    return float(np.log(np.expm1(deviation - Gaussian.FLOOR)))


@pytest.mark.parametrize(("value", "mean", "deviation"), [(0.3, -1.0, 0.7), (5.0, 4.9, 0.05), (-2.0, 3.0, 11.0)])
def test_a_numbers_surprise_is_minus_its_log_density(value: float, mean: float, deviation: float) -> None:
    head, outputs = Gaussian(2, key=KEY), jnp.asarray([mean, spread(deviation)])
    np.testing.assert_allclose(head.deviation(outputs), deviation, rtol=ROUNDING)
    got = head.surprise(outputs, jnp.asarray([value]))
    np.testing.assert_allclose(got, twin.gaussian_surprise(value, mean, deviation), rtol=ROUNDING)
    assert head.hit(outputs, jnp.asarray([mean])) == 0


def test_a_density_integrates_to_one() -> None:
    head, outputs = Gaussian(2, key=KEY), jnp.asarray([0.4, spread(0.3)])
    values = jnp.linspace(-3, 4, 4001)
    density = jnp.exp(-jax.vmap(lambda value: head.surprise(outputs, value[None]))(values))
    # a sum over a grid is exact for a smooth density up to its ends, eleven deviations away; 4001 numbers are summed
    np.testing.assert_allclose(jnp.sum(density) * (values[1] - values[0]), 1, rtol=rounding(4001, precision=np.float64))


def test_a_deviation_is_never_below_its_floor() -> None:
    head = Gaussian(2, key=KEY)
    assert head.deviation(jnp.asarray([0.0, -1e30])) == Gaussian.FLOOR
    assert head.deviation(jnp.asarray([0.0, 1e3])) == 1e3 + Gaussian.FLOOR
    for spread_out in (-1e30, 1e30):
        surprise, gradient = jax.value_and_grad(head.surprise)(jnp.asarray([2.0, spread_out]), jnp.asarray([5.0]))
        assert np.isfinite(surprise)
        assert np.isfinite(gradient).all()


def test_gradients_are_finite_differences() -> None:
    string, one_hot, value = jnp.asarray(spelled(0, 2, 1, 1)), jnp.eye(4)[2], jnp.asarray([1.1])
    for head, target, outputs in (
        (strings(), string, LOGITS.reshape(-1)[:12]),
        (Categorical(2, 4, key=KEY), one_hot, LOGITS[0]),
        (Gaussian(2, key=KEY), value, np.array([0.4, -0.3])),
    ):
        loss = jax.jit(lambda outputs, target, head=head: head.surprise(outputs, target))
        check_grads(loss, (jnp.asarray(outputs), target), order=1, modes=["rev"])
