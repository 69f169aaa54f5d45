"""Gradients of one segment in each regime, against finite differences on the NumPy twin of the whole network."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import numpy as np
import pytest
from tests.cells.tiny import lstm_rows, nmn
from tests.reference.nmn import CONTROLLERS
from tests.reference.numeric import ERROR, numeric_gradient
from tests.reference.rounding import rounding
from tests.reference.synthetic import regression_loss, weighed_outputs
from tests.sentences import refused
from tests.synthetic.paths import Numbers, through_beside, through_instead, true_gradients
from tests.synthetic.tiny import (
    CELLS,
    MASKS,
    assert_same,
    by_place,
    head,
    library_numbers,
    predicted_twin,
    predictor_twin,
    predictors,
    segment_of,
    segment_twin,
)

from fastslow.cells.context import ContextAndQueries
from fastslow.synthetic.feedback import Feedback, feedback, together
from fastslow.synthetic.perturbations import traced_walk
from fastslow.synthetic.predictors import SyntheticGradients
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.synthetic.segment import Segment

pytestmark = pytest.mark.usefixtures("double")

SUPPORT, QUERIES, ALPHA = 3, 2, 0.7
PARTS = ("context", "queries")
REGIMES = [("both", "local"), ("both", "through"), ("synthetic", "local"), ("synthetic", "through"), ("meta", "local")]
PATHS = [("both", "local"), ("synthetic", "through"), ("meta", "local")]
"""Each regime and each reach once."""
ROUNDING = rounding(2000, precision=np.float64)
"""Five steps of three controllers of up to ten products a unit, a head, a predictor, there and back."""
FEEDBACK = eqx.filter_jit(feedback)
Row = tuple[str, str, str]


def config(regime: str, reach: str) -> FeedbackConfig:
    return FeedbackConfig(regime=regime, reach=reach, alpha=ALPHA, regression=1.0)


def parts_of(row: Row, mask: str = "queries") -> tuple:
    return nmn(*row), head(), segment_of(SUPPORT, QUERIES, mask)


@cache
def twin(row: Row):
    return segment_twin(*parts_of(row))


@cache
def true_numbers(row: Row) -> Numbers:
    return twin(row).gradients(twin(row).loss)


@cache
def taught(row: Row, regime: str, reach: str, kind: str = "mlp") -> Feedback:
    cell, decoder, segment = parts_of(row)
    return FEEDBACK(cell, decoder, predictors(kind), segment, config(regime, reach))


@cache
def predicted(row: Row, kind: str = "mlp") -> dict:
    """The estimate of `δL/δc_t` at each place, from the twins: the loss is the mean over the queries."""
    synthetic = predictors(kind)
    twins = {name: predictor_twin(getattr(synthetic.predictors, name)) for name in CONTROLLERS}
    found = predicted_twin(twins, twin(row).walk().gave, parts_of(row)[2].labels)
    return {place: g / QUERIES if place[1] == "queries" else g for place, g in found.items()}


def summed(gradients: dict) -> dict:
    """Gradients of the mean loss as the predictors are to give them: at queries, of the summed loss."""
    return {place: g * QUERIES if place[1] == "queries" else g for place, g in gradients.items()}


def local_numbers(row: Row) -> Numbers:
    """`α Σ_t SG_C · ∂c_t/∂θ_C`, the inputs of each controller held fixed."""
    seen, numbers = twin(row).walk(), {}
    for name in CONTROLLERS:
        given = {part: [x for (n, p, _), x in seen.given.items() if (n, p) == (name, part)] for part in PARTS}
        weights_of = {place[1:]: ALPHA * g for place, g in predicted(row).items() if place[0] == name}
        weights = twin(row).net.controllers[name]
        total = lambda w=weights, g=given, s=weights_of: weighed_outputs(w, g["context"], g["queries"], s)
        stacked = lstm_rows([numeric_gradient(total, array) for array in weights.arrays()])
        for kind, array in zip(("input_weight", "hidden_weight", "bias"), stacked, strict=True):
            numbers[f"{name}.{kind}"] = array
    return numbers


def expected_numbers(row: Row, regime: str, reach: str) -> Numbers:
    true = true_numbers(row)
    if reach == "through":
        scaled = {place: ALPHA * g for place, g in predicted(row).items()}
        return (through_beside if regime == "both" else through_instead)(twin(row), scaled)
    local = local_numbers(row)
    if regime == "both":
        return true | {name: true[name] + g for name, g in local.items()}
    if regime == "synthetic":
        return true | local
    return {name: g if name.startswith("head") else np.zeros_like(g) for name, g in true.items()} | local


@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_regime_true_is_backpropagation(row: Row) -> None:
    cell, decoder, segment = parts_of(row)
    got = FEEDBACK(cell, decoder, None, segment, FeedbackConfig(regime="true"))
    assert_same(library_numbers(got.gradients), true_numbers(row))
    np.testing.assert_allclose(got.loss, twin(row).loss(), rtol=ROUNDING)
    assert got.true is None
    assert got.synthetic is None
    assert got.local is None
    assert got.regression == 0
    assert together(got) is got.gradients


@pytest.mark.parametrize(("regime", "reach"), REGIMES)
@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_gradients_of_each_regime(row: Row, regime: str, reach: str) -> None:
    """`local` moves its own controllers by exactly `α Σ SG · ∂c/∂θ_C`, and nothing else by anything."""
    got = taught(row, regime, reach)
    assert_same(library_numbers(together(got)), expected_numbers(row, regime, reach))
    assert (got.local is None) == (reach == "through")
    if reach == "local":
        # the optimizer gets what backpropagation gives, and in regimes without it nothing
        left, true = library_numbers(got.gradients), true_numbers(row)
        for name in left:
            if name.split(".")[0] in CONTROLLERS:
                expected = true[name] if regime == "both" else np.zeros_like(true[name])
                np.testing.assert_allclose(left[name], expected, rtol=ERROR, atol=ERROR, err_msg=name)


@pytest.mark.parametrize("mask", MASKS)
def test_an_estimate_is_the_prediction_over_the_number_of_steps_of_the_loss(mask: str) -> None:
    cell, decoder, segment = parts_of(CELLS[1], mask)
    got = FEEDBACK(cell, decoder, predictors(), segment, config("both", "local"))
    traces = traced_walk(cell, cell.init_state(), segment.inputs)[1]
    predictions = by_place(
        predictors()(ContextAndQueries(traces.context.outputs, traces.queries.outputs), segment.labels)
    )
    counted = dict(zip(PARTS, MASKS[mask](SUPPORT, QUERIES), strict=True))
    count = sum(part.sum() for part in counted.values())
    true = true_gradients(segment_twin(cell, decoder, segment))
    summed_true, difference = {}, 0.0
    for place, estimate in by_place(got.synthetic).items():
        factor = count if counted[place[1]][place[2]] else 1
        np.testing.assert_allclose(
            factor * estimate, predictions[place], rtol=ROUNDING, atol=ROUNDING, err_msg=str(place)
        )
        summed_true[place] = factor * true[place]
        difference += float(np.abs(factor * estimate - estimate).sum())
    assert difference > 0
    np.testing.assert_allclose(got.regression, regression_loss(predictions, summed_true), rtol=ERROR * count)


def test_predictors_go_with_their_regime() -> None:
    cell, decoder, segment = parts_of(CELLS[0])
    with refused("predictors: got predictors, expected what goes with regime true"):
        feedback(cell, decoder, predictors(), segment, FeedbackConfig(regime="true"))
    with refused("predictors: got no predictors, expected what goes with regime both"):
        feedback(cell, decoder, None, segment, config("both", "local"))


@pytest.mark.parametrize(
    ("kind", "regime", "reach"), [*(("mlp", *path) for path in REGIMES), *(("lstm", *path) for path in PATHS)]
)
def test_the_target_is_the_true_gradient_without_injection(kind: str, regime: str, reach: str) -> None:
    """Loss, outputs, predictions, target and equation 11's value are the same whatever the path."""
    row = CELLS[1]
    got, true = taught(row, regime, reach, kind), true_gradients(twin(row))
    for place, g in by_place(got.true).items():
        np.testing.assert_allclose(g, true[place], rtol=ERROR, atol=ERROR, err_msg=str(place))
    for place, g in by_place(got.synthetic).items():
        np.testing.assert_allclose(g, predicted(row, kind)[place], rtol=ROUNDING, atol=ROUNDING, err_msg=str(place))
    np.testing.assert_allclose(got.loss, twin(row).loss(), rtol=ROUNDING)
    for (part, t), logits in twin(row).walk().logits.items():
        np.testing.assert_allclose(getattr(got.outputs, part)[t], logits, rtol=ROUNDING, atol=ROUNDING)
    expected = regression_loss(summed(predicted(row, kind)), summed(true))
    np.testing.assert_allclose(got.regression, expected, rtol=ERROR * QUERIES)


def test_meta_without_a_regression_takes_no_pass_through_the_network() -> None:
    """The same gradients, and no true one: equation 11 alone needs it."""
    cell, decoder, segment = parts_of(CELLS[1])
    alone = FEEDBACK(cell, decoder, predictors(), segment, FeedbackConfig(regime="meta", alpha=ALPHA))
    assert alone.true is None
    assert alone.regression == 0
    beside = taught(CELLS[1], "meta", "local")
    for one, other in zip(*(jax.tree.leaves((t.gradients, t.local, t.loss)) for t in (alone, beside)), strict=True):
        np.testing.assert_allclose(one, other, rtol=ROUNDING, atol=ROUNDING)


def arrays_of(predictor) -> list[np.ndarray]:
    """A twin's weights, in the order of the library's leaves: hidden weight and bias, read-out weight and bias."""
    return [predictor.hidden, predictor.hidden_bias, predictor.readout, predictor.readout_bias]


@cache
def regression_numbers(row: Row) -> dict[str, list[np.ndarray]]:
    """Derivatives of equation 11's loss by the weights of each controller's predictor."""
    synthetic, segment = predictors("mlp"), parts_of(row)[2]
    true, gave = summed(true_gradients(twin(row))), twin(row).walk().gave
    twins = {name: predictor_twin(getattr(synthetic.predictors, name)) for name in CONTROLLERS}
    value = lambda: regression_loss(predicted_twin(twins, gave, segment.labels), true)
    return {name: [numeric_gradient(value, array) for array in arrays_of(twins[name])] for name in CONTROLLERS}


@pytest.mark.parametrize(("regime", "reach"), PATHS)
def test_equation_11_trains_the_predictors_and_nothing_else(regime: str, reach: str) -> None:
    row, synthetic = CELLS[1], predictors("mlp")
    cell, decoder, segment = parts_of(row)

    def regression(parts: tuple) -> jax.Array:
        cell, decoder, inputs, synthetic = parts
        moved = Segment(inputs, segment.labels, segment.loss_mask)
        return feedback(cell, decoder, synthetic, moved, config(regime, reach)).regression

    gradient = eqx.filter_jit(eqx.filter_grad(regression))((cell, decoder, segment.inputs, synthetic))
    assert all((g == 0).all() for g in jax.tree.leaves(gradient[:3]))
    for name, expected in regression_numbers(row).items():
        layers = getattr(gradient[3].predictors, name)
        got = [layers.hidden.weight, layers.hidden.bias, layers.readout.weight, layers.readout.bias]
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=ERROR, atol=10 * ERROR)  # the loss is below 10
            assert (theirs != 0).any()


def test_one_set_of_predictors_serves_two_networks() -> None:
    """Its gradient is the sum of both networks'; each network still gets its own."""
    settings = config("both", "local")
    networks = [(nmn("key-value", "query", "write", seed=s), head(s + 9)) for s in (0, 1)]
    segment = parts_of(CELLS[1])[2]

    def regressions(synthetic: SyntheticGradients, which: list) -> tuple[jax.Array, list]:
        each = [feedback(cell, decoder, synthetic, segment, settings) for cell, decoder in which]
        return sum(one.regression for one in each), each

    learn = eqx.filter_jit(eqx.filter_value_and_grad(regressions, has_aux=True))
    (_, both), shared = learn(predictors(), networks)
    alone = [learn(predictors(), [network]) for network in networks]
    for g, a, b in zip(*(jax.tree.leaves(t) for t in (shared, alone[0][1], alone[1][1])), strict=True):
        np.testing.assert_allclose(g, a + b, rtol=0, atol=ROUNDING)
        assert (np.abs(a - b) > 1e-9).any()
    for pair, ((_, (single,)), _) in zip(both, alone, strict=True):
        for ours, theirs in zip(jax.tree.leaves(pair.gradients), jax.tree.leaves(single.gradients), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING)
    first, second = (library_numbers(one.gradients) for one in both)
    assert (first["write.bias"] != second["write.bias"]).any()


@pytest.mark.parametrize(
    ("regime", "reach"),
    [("both", "local"), ("both", "through"), pytest.param("meta", "local", marks=pytest.mark.slow)],
)
def test_what_single_controllers_are_given_adds_up_to_what_all_are(regime: str, reach: str) -> None:
    """Feedback is linear in the synthetic gradients; a controller that is given none learns as without."""
    cell, decoder, segment = parts_of(CELLS[0])
    whole = taught(CELLS[0], regime, reach)
    found = {
        name: FEEDBACK(cell, decoder, predictors("mlp"), segment, replace(config(regime, reach), only=(name,)))
        for name in CONTROLLERS
    }
    of = lambda given: jax.tree.leaves(eqx.filter(together(given).cell.controllers, eqx.is_array))
    without = FEEDBACK(cell, decoder, predictors("mlp"), segment, replace(config(regime, reach), alpha=1e-300))
    for index, (all_of_them, none) in enumerate(zip(of(whole), of(without), strict=True)):
        parts = [of(given)[index] - none for given in found.values()]
        np.testing.assert_allclose(none + sum(parts), all_of_them, rtol=1e-9, atol=1e-12)
    if reach == "local":
        for name, given in found.items():
            for other in CONTROLLERS:
                some = any(np.any(leaf) for leaf in jax.tree.leaves(getattr(given.local, other)))
                assert some == (other == name)
