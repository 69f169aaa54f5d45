"""What each regime makes of one lesson, against finite differences on the NumPy twin of the whole network."""

from functools import cache

import equinox as eqx
import jax
import numpy as np
import pytest
from fastslow.learners.gradients import Feedback, Lesson, feedback, together
from fastslow.learners.regimes import FeedbackConfig
from tests.cells.tiny import head, lstm_rows, nmn, shots
from tests.reference.nmn import CONTROLLERS
from tests.reference.numeric import numeric_gradient
from tests.reference.synthetic import regression_loss, weighed_outputs
from tests.synthetic.paths import Numbers, probes, through_beside, through_instead
from tests.synthetic.tiny import (
    CELLS,
    assert_same,
    by_place,
    lesson_twin,
    library_numbers,
    predicted_twin,
    predictor_twin,
    predictors,
)

from fastslow._checks import UserError
from fastslow.cells.context import Forked
from fastslow.synthetic.perturbations import traced_walk
from fastslow.synthetic.predictors import SyntheticGradients

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES, ALPHA = 3, 2, 0.7
PARTS = ("trunk", "branches")
REGIMES = [("both", "local"), ("both", "through"), ("synthetic", "local"), ("synthetic", "through"), ("meta", "local")]


def config(regime: str, reach: str) -> FeedbackConfig:
    return FeedbackConfig(regime=regime, reach=reach, alpha=ALPHA, regression=1.0)


def lesson(row: tuple[str, str, str], scored: str = "branches") -> tuple:
    cell, decoder = nmn(*row), head()
    inputs, labels = shots(cell, SUPPORT, QUERIES)
    return cell, decoder, Lesson(inputs=inputs, labels=labels, scored=scored)


@cache
def twin(row: tuple[str, str, str]):
    cell, decoder, given = lesson(row)
    return lesson_twin(cell, decoder, given.inputs, given.labels, "branches")


@cache
def true_numbers(row: tuple[str, str, str]) -> Numbers:
    return twin(row).gradients(twin(row).loss)


@cache
def taught(row: tuple[str, str, str], regime: str, reach: str, kind: str = "mlp") -> Feedback:
    cell, decoder, given = lesson(row)
    return eqx.filter_jit(feedback)(cell, decoder, predictors(kind), given, config(regime, reach))


@cache
def told(row: tuple[str, str, str], kind: str = "mlp") -> dict:
    """The estimate of `δL/δc_t` at each place, from the twins: queries are scored, and the loss is their mean."""
    synthetic = predictors(kind)
    twins = {name: predictor_twin(getattr(synthetic.predictors, name)) for name in CONTROLLERS}
    said = predicted_twin(twins, twin(row).walk().gave, lesson(row)[2].labels)
    return {place: g / QUERIES if place[1] == "branches" else g for place, g in said.items()}


def summed(gradients: dict) -> dict:
    """Gradients of the mean loss as the predictors are to say them: at queries, of the summed loss."""
    return {place: g * QUERIES if place[1] == "branches" else g for place, g in gradients.items()}


def local_numbers(row: tuple[str, str, str]) -> Numbers:
    """`α Σ_t SG_C · ∂c_t/∂θ_C`, what each controller was given held fixed."""
    seen, numbers = twin(row).walk(), {}
    for name in CONTROLLERS:
        given = {part: [x for (n, p, _), x in seen.given.items() if (n, p) == (name, part)] for part in PARTS}
        weigh = {place[1:]: ALPHA * g for place, g in told(row).items() if place[0] == name}
        weights = twin(row).net.controllers[name]
        total = lambda w=weights, g=given, s=weigh: weighed_outputs(w, g["trunk"], g["branches"], s)
        stacked = lstm_rows([numeric_gradient(total, array) for array in weights.arrays()])
        for kind, array in zip(("input_weight", "hidden_weight", "bias"), stacked, strict=True):
            numbers[f"{name}.{kind}"] = array
    return numbers


def expected_numbers(row: tuple[str, str, str], regime: str, reach: str) -> Numbers:
    true = true_numbers(row)
    if reach == "through":
        scaled = {place: ALPHA * g for place, g in told(row).items()}
        return (through_beside if regime == "both" else through_instead)(twin(row), scaled)
    local = local_numbers(row)
    if regime == "both":
        return true | {name: true[name] + g for name, g in local.items()}
    if regime == "synthetic":
        return true | local
    return {name: g if name.startswith("head") else np.zeros_like(g) for name, g in true.items()} | local


@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_regime_true_is_backpropagation(row: tuple[str, str, str]) -> None:
    cell, decoder, given = lesson(row)
    got = eqx.filter_jit(feedback)(cell, decoder, None, given, FeedbackConfig(regime="true"))
    assert_same(library_numbers(got.gradients), true_numbers(row))
    np.testing.assert_allclose(got.loss, twin(row).loss(), rtol=1e-9)
    assert got.true is None
    assert got.synthetic is None
    assert got.regression == 0


@pytest.mark.parametrize(("regime", "reach"), REGIMES)
@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_gradients_of_each_regime(row: tuple[str, str, str], regime: str, reach: str) -> None:
    """`local` moves its own controllers by exactly `α Σ SG · ∂c/∂θ_C`, and nothing else by anything."""
    got = taught(row, regime, reach)
    assert_same(library_numbers(together(got)), expected_numbers(row, regime, reach))
    assert (got.own is None) == (reach == "through")
    if reach == "local":
        # the optimiser is left what backpropagation gives, and in regimes without it nothing
        left, true = library_numbers(got.gradients), true_numbers(row)
        for name in left:
            if name.split(".")[0] in CONTROLLERS:
                expected = true[name] if regime == "both" else np.zeros_like(true[name])
                np.testing.assert_allclose(left[name], expected, rtol=1e-5, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("scored", PARTS)
def test_an_estimate_is_what_predictors_say_over_the_number_of_scored_steps(scored: str) -> None:
    cell, decoder, given = lesson(CELLS[1], scored)
    got = eqx.filter_jit(feedback)(cell, decoder, predictors(), given, config("both", "local"))
    outputs = traced_walk(cell, cell.init_state(), given.inputs)[1]
    said = by_place(predictors()(Forked(outputs.trunk.outputs, outputs.branches.outputs), given.labels))
    count = {"trunk": SUPPORT, "branches": QUERIES}[scored]
    true = probes(lesson_twin(cell, decoder, given.inputs, given.labels, scored))
    summed_true, difference = {}, 0.0
    for place, estimate in by_place(got.synthetic).items():
        share = count if place[1] == scored else 1
        np.testing.assert_allclose(share * estimate, said[place], rtol=1e-8, err_msg=str(place))
        summed_true[place] = share * true[place]
        difference += float(np.abs(share * estimate - estimate).sum())
    assert difference > 0
    np.testing.assert_allclose(got.regression, regression_loss(said, summed_true), rtol=1e-6)


def test_predictors_go_with_their_regime() -> None:
    cell, decoder, given = lesson(CELLS[0])
    with pytest.raises(UserError, match="predictors: got 'predictors', wanted what goes with regime true"):
        feedback(cell, decoder, predictors(), given, FeedbackConfig(regime="true"))
    with pytest.raises(UserError, match="predictors: got 'no predictors', wanted what goes with regime both"):
        feedback(cell, decoder, None, given, config("both", "local"))


@pytest.mark.parametrize(("regime", "reach"), REGIMES)
@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_the_target_is_the_true_gradient_without_injection(regime: str, reach: str, kind: str) -> None:
    """Loss, predictions, target and equation 11's value are the same whatever the path."""
    row = CELLS[1]
    got, true = taught(row, regime, reach, kind), probes(twin(row))
    for place, g in by_place(got.true).items():
        np.testing.assert_allclose(g, true[place], rtol=1e-5, atol=1e-9, err_msg=str(place))
    for place, g in by_place(got.synthetic).items():
        np.testing.assert_allclose(g, told(row, kind)[place], rtol=1e-8, err_msg=str(place))
    np.testing.assert_allclose(got.loss, twin(row).loss(), rtol=1e-9)
    np.testing.assert_allclose(got.regression, regression_loss(summed(told(row, kind)), summed(true)), rtol=1e-6)


def arrays_of(predictor) -> list[np.ndarray]:
    """A twin's weights, in the order of the library's leaves: hidden weight and bias, read-out weight and bias."""
    return [predictor.hidden, predictor.hidden_bias, predictor.readout, predictor.readout_bias]


@pytest.mark.parametrize(("regime", "reach"), REGIMES)
def test_equation_11_trains_the_predictors_and_nothing_else(regime: str, reach: str) -> None:
    row, synthetic = CELLS[1], predictors("mlp")
    cell, decoder, given = lesson(row)

    def regression(parts: tuple) -> jax.Array:
        cell, decoder, inputs, synthetic = parts
        moved = Lesson(inputs=inputs, labels=given.labels, scored=given.scored)
        return feedback(cell, decoder, synthetic, moved, config(regime, reach)).regression

    gradient = eqx.filter_jit(eqx.filter_grad(regression))((cell, decoder, given.inputs, synthetic))
    assert all((g == 0).all() for g in jax.tree.leaves(gradient[:3]))

    true, gave = summed(probes(twin(row))), twin(row).walk().gave
    twins = {name: predictor_twin(getattr(synthetic.predictors, name)) for name in CONTROLLERS}
    value = lambda: regression_loss(predicted_twin(twins, gave, given.labels), true)
    for name in CONTROLLERS:
        expected = [numeric_gradient(value, array) for array in arrays_of(twins[name])]
        layers = getattr(gradient[3].predictors, name)
        got = [layers.hidden.weight, layers.hidden.bias, layers.readout.weight, layers.readout.bias]
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-8)
            assert (theirs != 0).any()


def test_one_set_of_predictors_serves_two_networks() -> None:
    """Its gradient is the sum of both networks'; each network still gets its own."""
    settings = config("both", "local")
    networks = [(nmn("key-value", "query", "write", seed=s), head(s + 9)) for s in (0, 1)]
    given = lesson(CELLS[1])[2]

    def regressions(synthetic: SyntheticGradients, which: list) -> tuple[jax.Array, list]:
        each = [feedback(cell, decoder, synthetic, given, settings) for cell, decoder in which]
        return sum(one.regression for one in each), each

    learn = eqx.filter_jit(eqx.filter_value_and_grad(regressions, has_aux=True))
    (_, both), shared = learn(predictors(), networks)
    alone = [learn(predictors(), [network]) for network in networks]
    for g, a, b in zip(*(jax.tree.leaves(t) for t in (shared, alone[0][1], alone[1][1])), strict=True):
        np.testing.assert_allclose(g, a + b, rtol=1e-9, atol=1e-12)
        assert (np.abs(a - b) > 1e-9).any()
    for pair, ((_, (single,)), _) in zip(both, alone, strict=True):
        assert_same(library_numbers(pair.gradients), library_numbers(single.gradients))
    first, second = (library_numbers(one.gradients) for one in both)
    assert (first["write.bias"] != second["write.bias"]).any()
