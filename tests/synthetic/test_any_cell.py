"""Synthetic gradients know neither the NMN nor cross entropy: two controllers of different widths, real targets."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.rounding import rounding

from fastslow.cells.context import ContextAndQueries, joined
from fastslow.cells.controlled import AbstractControlledCell, AbstractTrace
from fastslow.cells.feedforward import FeedForward
from fastslow.cells.lstm import LSTM
from fastslow.models.head import Head
from fastslow.synthetic.feedback import Feedback, feedback, together
from fastslow.synthetic.predictors import SyntheticGradients
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.synthetic.segment import Segment
from fastslow.tasks.targets import Gaussian

pytestmark = pytest.mark.usefixtures("double")

FEATURES, FIRST, SECOND, CONTEXT, QUERIES, ALPHA = 2, 3, 4, 3, 2, 0.7
REGIMES = [("both", "local"), ("both", "through"), ("synthetic", "local"), ("synthetic", "through"), ("meta", "local")]
ROUNDING = rounding(2000, precision=np.float64)
"""Five steps of two controllers of up to ten products a unit, a head, a predictor, there and back."""


class Two(eqx.Module):
    """One thing for each of two controllers."""

    first: Any
    second: Any


class TwoTrace(AbstractTrace):
    inputs: Two
    outputs: Two

    @property
    def y(self) -> jax.Array:
        return self.outputs.second


class Tandem(AbstractControlledCell[Two]):
    """An LSTM, then a feed-forward controller on its output and the input."""

    controllers: Two

    @property
    def out_size(self) -> int:
        return self.controllers.second.out_size

    def init_state(self) -> Two:
        return Two(self.controllers.first.init_state(), self.controllers.second.init_state())

    def trace(self, state: Two, x: jax.Array, perturbations: Any = None, apply: Any = jnp.add) -> tuple[Two, TwoTrace]:
        first_state, first = self.controllers.first(state.first, x)
        first = first if perturbations is None else apply(first, perturbations.first)
        given = jnp.concatenate([first, x])
        second_state, second = self.controllers.second(state.second, given)
        second = second if perturbations is None else apply(second, perturbations.second)
        return Two(first_state, second_state), TwoTrace(Two(x, given), Two(first, second))


def tandem() -> Tandem:
    keys = jax.random.split(jax.random.key(0))
    first = jax.tree.map(lambda w: 2 * w, LSTM(FEATURES, FIRST, key=keys[0]))
    return Tandem(Two(first, FeedForward(FIRST + FEATURES, SECOND, key=keys[1])))


def segment() -> Segment:
    """Real targets; the loss takes two steps of the context and one query."""
    rng = np.random.default_rng(0)
    rows = lambda width: ContextAndQueries(*(jnp.asarray(rng.normal(size=(n, width))) for n in (CONTEXT, QUERIES)))
    mask = ContextAndQueries(jnp.asarray([False, True, True]), jnp.asarray([True, False]))
    return Segment(rows(FEATURES), rows(1), mask)


def head() -> Head:
    return Head(SECOND, Gaussian(), key=jax.random.key(1))


def predictors() -> SyntheticGradients:
    return SyntheticGradients(tandem().controllers, 1, kind="lstm", hidden=5, scale=1.0, key=jax.random.key(2))


def scaled_synthetic(outputs: ContextAndQueries) -> ContextAndQueries:
    """`α SG`, at steps of the mask over their number."""
    found = predictors()(outputs, segment().labels)
    share = lambda mask: ALPHA * jnp.where(mask, 1 / 3, 1.0)[:, None]
    parts = ((getattr(found, part), share(getattr(segment().loss_mask, part))) for part in ("context", "queries"))
    return ContextAndQueries(*(jax.tree.map(lambda g, factor=factor: g * factor, rows) for rows, factor in parts))


def in_a_loop(cell: Tandem, decoder: Head, replace: Any, freeze: bool) -> tuple[jax.Array, dict]:
    """The loss in a plain loop; each output goes through `replace(place, output)`, inputs may be constants."""
    given, losses, outputs = segment(), [], {}
    fixed = jax.lax.stop_gradient if freeze else lambda x: x
    state = cell.init_state()
    for t in range(CONTEXT + QUERIES):
        part, place = ("context", t) if t < CONTEXT else ("queries", t - CONTEXT)
        x = getattr(given.inputs, part)[place]
        after, first = cell.controllers.first(state.first, fixed(x))
        outputs["first", part, place] = first
        first = replace(("first", part, place), first)
        _, second = cell.controllers.second(state.second, fixed(jnp.concatenate([first, x])))
        outputs["second", part, place] = second
        second = replace(("second", part, place), second)
        nll = decoder.nll(decoder(second), getattr(given.labels, part)[place])
        losses.append(jnp.where(getattr(given.loss_mask, part)[place], nll, 0))
        if part == "context":
            state = Two(after, state.second)
    return sum(losses) / 3, outputs


def by_place(rows: ContextAndQueries) -> dict:
    return {
        (name, part, t): row
        for part in ("context", "queries")
        for name in ("first", "second")
        for t, row in enumerate(getattr(getattr(rows, part), name))
    }


def surrogate(regime: str, reach: str, synthetic: dict) -> Any:
    """A loss whose gradient is that of the regime, for the cell and the head."""
    plain = lambda place, output: output
    dot = lambda outputs: sum(jnp.sum(synthetic[place] * output) for place, output in outputs.items())

    def loss(parts: tuple[Tandem, Head]) -> jax.Array:
        cell, decoder = parts
        if reach == "through":
            # in regime synthetic no gradient crosses an output, but for the synthetic one
            cut = plain if regime == "both" else lambda place, output: jax.lax.stop_gradient(output)
            task, outputs = in_a_loop(cell, decoder, cut, freeze=False)
            return task + dot(outputs)
        local = dot(in_a_loop(cell, decoder, plain, freeze=True)[1])
        if regime == "both":
            return in_a_loop(cell, decoder, plain, freeze=False)[0] + local
        return in_a_loop(jax.lax.stop_gradient(cell), decoder, plain, freeze=False)[0] + local

    return loss


@eqx.filter_jit
def run(regime: str, reach: str) -> Feedback:
    given = None if regime == "true" else predictors()
    regression = 0.0 if regime == "true" else 1.0
    config = FeedbackConfig(regime=regime, reach=reach, alpha=ALPHA, predictor="lstm", regression=regression)
    return feedback(tandem(), head(), given, segment(), config)


def close(got: Any, expected: Any) -> None:
    for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)


@pytest.fixture(scope="module")
def plain() -> tuple:
    """Loss, outputs, and gradients by backpropagation: of the cell, of the head, of each output."""
    with jax.enable_x64(True):
        zeros = {place: jnp.zeros(FIRST if place[0] == "first" else SECOND) for place in by_place_shape()}

        def loss(parts: tuple) -> tuple[jax.Array, dict]:
            cell, decoder, added = parts
            return in_a_loop(cell, decoder, lambda place, output: output + added[place], freeze=False)

        compute = eqx.filter_jit(eqx.filter_value_and_grad(loss, has_aux=True))
        (value, outputs), gradients = compute((tandem(), head(), zeros))
        return value, outputs, gradients


def by_place_shape() -> list:
    parts = [("context", t) for t in range(CONTEXT)] + [("queries", t) for t in range(QUERIES)]
    return [(name, *at) for name in ("first", "second") for at in parts]


def test_regime_true_is_backpropagation(plain: tuple) -> None:
    got = run("true", "local")
    close((got.loss, got.gradients.cell, got.gradients.head), (plain[0], *plain[2][:2]))


@pytest.mark.parametrize(("regime", "reach"), REGIMES)
def test_gradients_of_each_regime(plain: tuple, regime: str, reach: str) -> None:
    got = run(regime, reach)
    close(got.loss, plain[0])
    outputs = {place: np.asarray(output) for place, output in plain[1].items()}
    stacked = ContextAndQueries(
        *(
            Two(*(jnp.asarray([outputs[name, part, t] for t in range(n)]) for name in ("first", "second")))
            for part, n in (("context", CONTEXT), ("queries", QUERIES))
        )
    )
    scaled = by_place(scaled_synthetic(stacked))
    compute = eqx.filter_jit(eqx.filter_grad(surrogate(regime, reach, scaled)))
    expected = compute((tandem(), head()))
    close((together(got).cell, together(got).head), expected)
    assert all((g != 0).any() for g in jax.tree.leaves(expected[0].controllers))
    # the predictors' target is the true gradient, of each controller's own width
    true = by_place(got.true)
    assert true.keys() == plain[2][2].keys()
    for place, gradient in plain[2][2].items():
        np.testing.assert_allclose(true[place], gradient, rtol=0, atol=ROUNDING)
    assert {rows.shape[1] for rows in jax.tree.leaves(joined(got.synthetic))} == {FIRST, SECOND}
    assert got.regression > 0
