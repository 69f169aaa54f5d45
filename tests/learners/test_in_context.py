"""In-context learning: what a cell reads, and the outer gradients of each regime put together by hand."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import CONV, FEATURES, LSTM, MANN, SPEC, WAY, WIDTH, episodes, learner, nmn
from tests.reference.rounding import rounding

from fastslow.cells.context import ContextAndQueries
from fastslow.cells.lstm import LSTM as LSTMCell
from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.nmn import NMN, NMNConfig
from fastslow.learners.base import LearnerState
from fastslow.learners.in_context import InContextConfig, InContextLearner, Parameters, answer, read
from fastslow.models.network import Network, NetworkConfig
from fastslow.optim.config import AdamConfig
from fastslow.synthetic.local import local_gradients
from fastslow.synthetic.perturbations import traced_walk
from fastslow.synthetic.predictors import regression_loss
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import FewShotEpisode

pytestmark = pytest.mark.usefixtures("double")

BATCH, QUERIES = 2, 4
KEY = jax.random.key(3)
ROUNDING = rounding(5000, precision=np.float64)
"""Nine steps of three controllers of up to ten products a unit, convolutions of 24 images, there and back."""
CELLS = {
    "soft": nmn("write"),
    "key-value": nmn("write", "key-value"),
    "input": nmn("input"),
    "mann": MANN,
    "lstm": LSTM,
}
UPDATE = eqx.filter_jit(lambda one, state, given: one.update(state, given, key=KEY))


@cache
def built(regime: str = "true", reach: str = "local", sgd: bool = True, **changes) -> InContextLearner:
    regression = 0.0 if regime == "true" else 1.0
    feedback = {"regime": regime, "reach": reach, "hidden": 6, "regression": regression}
    feedback |= {name: value for name, value in changes.items() if name != "outer_step"}
    config = InContextConfig(FeedbackConfig(**feedback), outer_step=changes.get("outer_step", "own"))
    return learner(
        config, nmn("write", "key-value"), optax.sgd(1.0) if sgd else AdamConfig(learning_rate=1e-2).build(1000)
    )


def given() -> FewShotEpisode:
    return episodes(BATCH)


def rows(seed: int, count: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, FEATURES)))


@pytest.mark.parametrize("cell", CELLS)
def test_a_support_set_is_read_item_by_item_with_its_labels(cell: str) -> None:
    net = CELLS[cell].build(SPEC, key=KEY)
    after = eqx.filter_jit(read)(net, rows(1, WAY), jnp.eye(WAY))
    state = net.cell.init_state()
    for row, label in zip(rows(1, WAY), jnp.eye(WAY), strict=True):
        state, _ = net.cell(state, jnp.concatenate([row, label]))
    assert eqx.tree_equal(after, state, rtol=ROUNDING, atol=ROUNDING)
    swapped = eqx.filter_jit(read)(net, rows(1, WAY), jnp.eye(WAY)[::-1])
    assert not eqx.tree_equal(swapped, after, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cell", CELLS)
def test_queries_are_answered_one_by_one_and_change_nothing(cell: str) -> None:
    net = CELLS[cell].build(SPEC, key=KEY)
    state = read(net, rows(1, WAY), jnp.eye(WAY))
    answers = eqx.filter_jit(answer)
    queries, order = rows(2, QUERIES), jnp.asarray([2, 0, 3, 1])
    together = answers(net, state, queries)
    np.testing.assert_allclose(answers(net, state, queries[order]), together[order], rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(answers(net, state, queries[2:3]), together[2:3], rtol=ROUNDING, atol=ROUNDING)
    # by hand: one step from the state after the support set, zeros in place of a label
    shown = jnp.concatenate([queries[0], jnp.zeros(WAY)])
    by_hand = net.head(net.cell(state, shown)[1])
    np.testing.assert_allclose(together[0], by_hand, rtol=ROUNDING, atol=ROUNDING)


def by_hand(params: Parameters, episode: FewShotEpisode, alpha: float) -> dict:
    """The gradients of a batch of episodes, from the loss, the local sums and equation 11 alone."""
    shown, expected = (jax.nn.one_hot(part.labels, WAY, dtype=float) for part in (episode.support, episode.query))
    batch = shown.shape[0]

    def walked(network: Network, support, query, labels, perturbations=None):
        inputs = ContextAndQueries(network.rows(support, labels), network.rows(query))
        return traced_walk(network.cell, network.cell.init_state(), inputs, perturbations)[1]

    def features(network: Network):
        images = jnp.concatenate([episode.support.inputs, episode.query.inputs], axis=1)
        found = network.embed(images.reshape(-1, *images.shape[2:]), None)[0].reshape(*images.shape[:2], -1)
        return found[:, :WAY], found[:, WAY:]

    def traces(network: Network, perturbations=None):
        if perturbations is None:
            return jax.vmap(partial(walked, network))(*features(network), shown)
        return jax.vmap(partial(walked, network))(*features(network), shown, perturbations)

    def losses(network: Network, perturbations=None):
        logits = jax.vmap(jax.vmap(network.head))(traces(network, perturbations).queries.y)
        return -jnp.mean(jnp.sum(expected * jax.nn.log_softmax(logits), axis=2), axis=1)

    # the loss is the mean over queries: there predictors predict the gradient of the sum
    times = lambda rows, factor: ContextAndQueries(rows.context, jax.tree.map(lambda g: factor * g, rows.queries))
    count = expected.shape[1]
    outputs = lambda seen: ContextAndQueries(seen.context.outputs, seen.queries.outputs)
    predictions = lambda predictors: jax.vmap(predictors)(outputs(fixed), ContextAndQueries(shown, expected))
    fixed = traces(params.network)
    synthetic = times(jax.tree.map(lambda g: alpha * g, predictions(params.predictors)), 1 / count)
    zeros = jax.tree.map(jnp.zeros_like, outputs(fixed))
    target = jax.grad(lambda perturbations: jnp.sum(losses(params.network, perturbations)))(zeros)

    def product(network: Network):
        """`α SG · c`, whose gradient is the synthetic one, carried on through all that made `c`."""
        products = jax.tree.map(lambda g, c: jnp.sum(g * c), synthetic, outputs(traces(network)))
        return sum(jax.tree.leaves(products)) / batch

    local = jax.vmap(partial(local_gradients, params.network.cell.controllers))(fixed, synthetic)
    regressed = lambda predictors: jnp.mean(
        jax.vmap(regression_loss)(predictions(predictors), times(target, float(count)))
    )
    return {
        "true": jax.grad(lambda network: jnp.mean(losses(network)))(params.network),
        "through": jax.grad(product)(params.network),
        "local": jax.tree.map(lambda g: jnp.mean(g, 0), local),
        "predictors": jax.grad(regressed)(params.predictors),
    }


@pytest.fixture(scope="module")
def start() -> LearnerState:
    with jax.enable_x64(True):
        return built("both").init(key=jax.random.key(0))


@pytest.fixture(scope="module")
def gradients(start: LearnerState) -> dict:
    """By hand, at α = 20."""
    with jax.enable_x64(True):
        return eqx.filter_jit(by_hand)(start.params, given(), 20.0)


def close(one, other) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=20 * ROUNDING)  # synthetic gradients are 20 times as large


@pytest.mark.parametrize(
    ("regime", "reach", "weight"),
    [("true", "local", 0.0), ("both", "local", 1.0), ("synthetic", "local", 1.0), ("both", "through", 3.0)],
)
def test_an_update_by_hand(start: LearnerState, gradients: dict, regime: str, reach: str, weight: float) -> None:
    """The true gradient is that of the mean query loss through embedding and all; controllers get their regime's."""
    one = built(regime, reach, alpha=20.0, regression=weight)
    assert all(max(float(jnp.abs(g).max()) for g in jax.tree.leaves(tree)) > 1e-3 for tree in gradients.values())
    params = start.params if regime != "true" else Parameters(start.params.network, None)
    after, _ = UPDATE(one, LearnerState(params, one.optimizer.init(params), start.model_state), given())
    # what plain descent at a rate of 1 subtracted
    taken = jax.tree.map(jnp.subtract, params, after.params)
    network = gradients["true"]
    if reach == "through":
        network = jax.tree.map(jnp.add, network, gradients["through"])
    elif regime != "true":
        local = gradients["local"]
        controllers = local if regime == "synthetic" else jax.tree.map(jnp.add, network.cell.controllers, local)
        network = eqx.tree_at(lambda n: n.cell.controllers, network, controllers)
    close(taken.network, network)
    if regime != "true":
        close(taken.predictors, jax.tree.map(lambda g: weight * g, gradients["predictors"]))


@pytest.mark.parametrize("regime", ["both", "synthetic"])
def test_a_step_of_its_own_is_as_large_as_alpha_says(start: LearnerState, gradients: dict, regime: str) -> None:
    """Beside Adam, which makes steps of one size of gradients of any; `summed` goes through it."""
    moved = {}
    for step, alpha in (("own", 20.0), ("own", 60.0), ("summed", 20.0)):
        one = built(regime, sgd=False, alpha=alpha, outer_step=step)
        state = LearnerState(start.params, one.optimizer.init(start.params), start.model_state)
        moved[step, alpha] = UPDATE(one, state, given())[0].params.network.cell.controllers
    # θ_C ← θ_C − α · SG_C · ∂c/∂θ_C: an α three times as large subtracts two more times as much
    apart = jax.tree.map(jnp.subtract, moved["own", 20.0], moved["own", 60.0])
    close(apart, jax.tree.map(lambda g: 2 * g, gradients["local"]))
    # Adam's first step is the learning rate at most
    for before, after in zip(
        jax.tree.leaves(start.params.network.cell.controllers), jax.tree.leaves(moved["summed", 20.0]), strict=True
    ):
        assert np.abs(after - before).max() <= 1e-2 * (1 + ROUNDING)


class Own(LSTMCell):
    """An LSTM with a loss of its own."""

    def own_loss(self, state):
        return jnp.sum(state.cell**2)


@dataclass(frozen=True)
class OwnConfig(LSTMConfig):
    kind: Literal["own"] = "own"

    def build(self, features, label, *, key):
        return Own(features + label, self.hidden, key=key)


def test_a_loss_of_the_cell_is_added() -> None:
    model = NetworkConfig(CONV, OwnConfig(WIDTH))
    one, given = learner(InContextConfig(), model, optax.sgd(1.0)), episodes(BATCH, 7)
    state = one.init(key=KEY)

    def loss(network: Network, with_own: float) -> jax.Array:
        inputs = jnp.concatenate([given.support.inputs, given.query.inputs], axis=1)
        features, _ = network.embed(inputs.reshape(-1, *inputs.shape[2:]), None)
        features = features.reshape(BATCH, inputs.shape[1], -1)
        support = given.support.labels.shape[1]
        total = jnp.zeros(())
        for i in range(BATCH):
            after = read(network, features[i, :support], jnp.eye(WAY)[given.support.labels[i]])
            outputs = answer(network, after, features[i, support:])
            nll = jax.vmap(network.head.nll)(outputs, given.query.labels[i])
            total = total + jnp.mean(nll) / BATCH + with_own * jnp.sum(after.cell**2) / BATCH
        return total

    after, _ = UPDATE(one, state, given)
    for scale, same in ((1.0, True), (0.0, False)):
        slope = jax.jit(jax.grad(lambda network, scale=scale: loss(network, scale)))(state.params.network)
        moved = state.params.network.cell.hidden_weight - after.params.network.cell.hidden_weight
        assert np.allclose(moved, slope.cell.hidden_weight, rtol=1e-9, atol=1e-12) == same


def test_synthetic_gradients_refuse_a_cell_with_a_loss_of_its_own() -> None:
    class OwnNMN(NMN):
        def own_loss(self, state):
            return jnp.zeros(())

    config = NMNConfig(WIDTH, label_input="write")
    cell = config.build(FEATURES, WAY, key=KEY)
    own = OwnNMN(cell.controllers, cell.memory, features=FEATURES, labels=WAY, label_input="write")

    @dataclass(frozen=True)
    class OwnNMNConfig(NMNConfig):
        def build(self, features, label, *, key):
            return own

    model = NetworkConfig(CONV, OwnNMNConfig(WIDTH, label_input="write"))
    with pytest.raises(ValueError, match="a cell without a loss of its own"):
        learner(InContextConfig(FeedbackConfig("both", regression=1.0)), model)
