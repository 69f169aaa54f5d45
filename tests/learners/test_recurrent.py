import dataclasses
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fastslow.learners.recurrent import MOMENTUM, Parameters, RecurrentLearner
from fastslow.models.heads import cross_entropy
from fastslow.models.sequence import Network
from tests.learners.test_regimes import LEGAL, settings
from tests.learners.tiny import SIZE, WAY, episodes, learner

from fastslow._checks import UserError
from fastslow.cells.context import Forked
from fastslow.cells.lstm import LSTM
from fastslow.cells.nmn import PerController
from fastslow.learners.base import LearnerState
from fastslow.synthetic.local import local_gradients
from fastslow.synthetic.perturbations import traced_walk
from fastslow.synthetic.predictors import regression_loss
from fastslow.tasks.base import FewShotEpisode

KEY = jax.random.key(3)
UPDATE = eqx.filter_jit(lambda one, state, given: one.update(state, given, key=KEY))
EVALUATE = eqx.filter_jit(lambda one, state, given: one.evaluate(state, given, key=KEY))
ADAPT = eqx.filter_jit(lambda one, state, support: one.adapt(state, support, key=KEY))
PREDICT = eqx.filter_jit(lambda one, adapted, inputs: one.predict(adapted, inputs))


@cache
def built(protocol: str, regime: str, reach: str, sgd: bool = False, **changes) -> RecurrentLearner:
    path, adapt, label_input = settings(protocol, regime, reach, hidden=6, **{"steps": 2, **changes})
    memory = "key-value" if protocol == "bind" else "soft"
    return learner(adapt, path, label_input, memory, optax.sgd(1.0) if sgd else None)


def given(seed: int = 0) -> FewShotEpisode:
    return episodes(4, seed)


PARTS = {
    "embed": lambda p: p.network.embed,
    "memory": lambda p: p.network.cell.memory,
    "head": lambda p: p.network.head,
    "rates.head": lambda p: p.rates.head,
}
for name in ("input", "output", "write"):
    PARTS[name] = lambda p, name=name: feed(getattr(p.network.cell.controllers, name))
    PARTS[f"predictors.{name}"] = lambda p, name=name: getattr(p.predictors.predictors, name)
    PARTS[f"rates.{name}"] = lambda p, name=name: feed(getattr(p.rates.controllers, name))
PARTS["recurrence"] = lambda p: recurrence(p.network.cell.controllers)
PARTS["rates.recurrence"] = lambda p: recurrence(p.rates.controllers)


def feed(lstm: LSTM) -> tuple:
    return lstm.input_weight, lstm.bias


def recurrence(controllers: PerController) -> list:
    return [getattr(controllers, name).hidden_weight for name in ("input", "output", "write")]


def still(before: Parameters, after: Parameters) -> set[str]:
    """Parts of which some leaf is what it was."""
    named = set()
    for name, part in PARTS.items():
        if getattr(before, name.split(".")[0], ()) is None:
            continue
        old, new = jax.tree.leaves(part(before)), jax.tree.leaves(part(after))
        assert all(np.isfinite(leaf).all() for leaf in new), name
        if not all(bool((a != b).any()) for a, b in zip(old, new, strict=True)):
            named.add(name)
    return named


# Streamed, or else each item apart and queries read from the initial memory: then no controller has a past, so its
# recurrent weights stay as they are; and nobody reads what is written, so the query loss cannot teach the write
# controller, unless what it sends back reaches others.
STREAM = {"support_order": "stream", "query_memory": "post-support"}
APART = {"recurrence", "rates.recurrence"}
TRAINED = {
    **{combination: ({}, set()) for combination in LEGAL if combination[0] == "bind"},
    ("fine-tune", "true", "local"): ({}, APART | {"write", "rates.write"}),
    ("fine-tune", "both", "local"): (STREAM, set()),
    ("fine-tune", "both", "through"): ({}, APART),
    ("fine-tune", "synthetic", "local"): (STREAM, set()),
    # each synthetic gradient replaces what comes from beyond it
    ("fine-tune", "synthetic", "through"): ({}, APART | {"write", "rates.write"}),
    ("fine-tune", "meta", "local"): ({}, APART | {"write", "rates.write", "predictors.write"}),
}


@pytest.mark.parametrize("combination", LEGAL, ids="-".join)
def test_every_combination_trains_all_that_it_should(combination: tuple[str, str, str]) -> None:
    protocol, regime, _ = combination
    changes, untouched = TRAINED[combination]
    one = built(*combination, **changes)
    state = one.init(key=jax.random.key(0))
    after, metrics = UPDATE(one, state, given())
    assert (state.params.predictors is None) == (regime == "true")
    assert (state.params.rates is None) == (protocol == "bind")
    assert still(state.params, after.params) == untouched
    assert all(np.isfinite(value) for value in metrics.values())
    assert metrics["gradient_norm"] > 0
    assert (metrics["regression"] > 0) == (regime in ("both", "synthetic"))


def by_hand(params: Parameters, episode: FewShotEpisode, alpha: float) -> dict:
    """The gradients of bound lessons, put together from the loss, the local sums and equation 11 alone."""
    shown, answers = (jax.nn.one_hot(part.labels, WAY) for part in (episode.support, episode.query))
    batch = shown.shape[0]

    def walked(network: Network, support, query, labels, taps=None):
        inputs = Forked(network.cell_inputs(support, labels), network.cell_inputs(query, None))
        return traced_walk(network.cell, network.cell.init_state(), inputs, taps)[1]

    def features(network: Network):
        images = jnp.concatenate([episode.support.inputs, episode.query.inputs], axis=1)
        rows = network.embed(images.reshape(-1, *images.shape[2:]), None)[0].reshape(*images.shape[:2], -1)
        return rows[:, :WAY], rows[:, WAY:]

    def records(network: Network, taps=None):
        if taps is None:
            return jax.vmap(partial(walked, network))(*features(network), shown)
        return jax.vmap(partial(walked, network))(*features(network), shown, taps)

    def losses(network: Network, taps=None):
        return jax.vmap(cross_entropy)(jax.vmap(network.logits)(records(network, taps).branches), answers)

    # queries are scored, and the loss is their mean: there predictors speak of the sum
    times = lambda rows, factor: Forked(rows.trunk, jax.tree.map(lambda g: factor * g, rows.branches))
    count = answers.shape[1]
    outputs = lambda seen: Forked(seen.trunk.outputs, seen.branches.outputs)
    told = lambda said: jax.vmap(said)(outputs(fixed), Forked(shown, answers))
    fixed = records(params.network)
    synthetic = times(jax.tree.map(lambda g: alpha * g, told(params.predictors)), 1 / count)
    probes = jax.tree.map(jnp.zeros_like, outputs(fixed))
    target = jax.grad(lambda taps: jnp.sum(losses(params.network, taps)))(probes)

    def pulled(network: Network):
        """`α SG · c`, whose gradient is the synthetic one, carried on through all that made `c`."""
        products = jax.tree.map(lambda g, c: jnp.sum(g * c), synthetic, outputs(records(network)))
        return sum(jax.tree.leaves(products)) / batch

    local = jax.vmap(partial(local_gradients, params.network.cell.controllers))(fixed, synthetic)
    regressed = lambda said: jnp.mean(jax.vmap(regression_loss)(told(said), times(target, count)))
    return {
        "true": jax.grad(lambda network: jnp.mean(losses(network)))(params.network),
        "through": jax.grad(pulled)(params.network),
        "local": jax.tree.map(lambda g: jnp.mean(g, 0), local),
        "predictors": jax.grad(regressed)(params.predictors),
    }


BY_HAND = eqx.filter_jit(by_hand)


def close(one, other) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    ("regime", "reach", "weight"),
    [("true", "local", 0.0), ("both", "local", 1.0), ("synthetic", "local", 1.0), ("both", "through", 3.0)],
)
def test_a_bound_lesson_by_hand(regime: str, reach: str, weight: float) -> None:
    """The true gradient is that of the mean query loss through embedding and all; controllers get their regime's."""
    one = built("bind", regime, reach, sgd=True, alpha=20.0, regression=weight)
    spoken = built("bind", "both", "local", sgd=True)
    state = spoken.init(key=jax.random.key(0))
    expected = BY_HAND(state.params, given(), 20.0)
    assert all(max(float(jnp.abs(g).max()) for g in jax.tree.leaves(tree)) > 1e-3 for tree in expected.values())
    params = state.params if regime != "true" else Parameters(state.params.network, None, None)
    after, _ = UPDATE(one, LearnerState(params, one.optimiser.init(params), state.running), given())
    # what plain descent at a rate of 1 took away
    taken = jax.tree.map(jnp.subtract, params, after.params)
    network = expected["true"]
    if reach == "through":
        network = jax.tree.map(jnp.add, network, expected["through"])
    elif regime != "true":
        local = expected["local"]
        fast = local if regime == "synthetic" else jax.tree.map(jnp.add, network.cell.controllers, local)
        network = eqx.tree_at(lambda n: n.cell.controllers, network, fast)
    close(taken.network, network)
    if regime != "true":
        close(taken.predictors, jax.tree.map(lambda g: weight * g, expected["predictors"]))


@pytest.mark.parametrize("regime", ["both", "synthetic"])
def test_the_step_of_its_own_is_as_large_as_alpha_says(regime: str) -> None:
    """Beside Adam, which makes steps of one size of gradients of any; `summed` goes through it."""
    moved = {}
    for step in ("own", "summed"):
        for alpha in (1.0, 3.0):
            one = built("bind", regime, "local", alpha=alpha, step=step)
            state = one.init(key=jax.random.key(0))
            moved[step, alpha] = UPDATE(one, state, given())[0].params.network.cell.controllers
    local = BY_HAND(state.params, given(), 1.0)["local"]
    # θ_C ← θ_C − α · SG_C · ∂c/∂θ_C: two more α take away two more of it
    apart = jax.tree.map(jnp.subtract, moved["own", 1.0], moved["own", 3.0])
    for a, b in zip(jax.tree.leaves(apart), jax.tree.leaves(local), strict=True):
        np.testing.assert_allclose(a, 2 * b, rtol=1e-3, atol=1e-6)
    assert not eqx.tree_equal(moved["summed", 1.0], moved["own", 1.0])


def test_running_statistics_follow_the_batch() -> None:
    one = built("bind", "true", "local")
    state = one.init(key=jax.random.key(0))
    after, _ = UPDATE(one, state, given())
    images = jnp.concatenate([part.inputs.reshape(-1, SIZE, SIZE) for part in (given().support, given().query)])
    _, used = state.params.network.embed(images, None)
    close(after.running.means, jax.tree.map(lambda m: (1 - MOMENTUM) * m, used.means))
    close(after.running.variances, jax.tree.map(lambda v: MOMENTUM + (1 - MOMENTUM) * v, used.variances))


@pytest.fixture(scope="module")
def trained() -> dict:
    """A learner of each protocol whose running statistics are no longer neutral and whose answers differ."""
    states = {}
    for protocol, regime in (("bind", "true"), ("fine-tune", "meta")):
        one = built(protocol, regime, "local")
        state = one.init(key=jax.random.key(0))
        running = jax.tree.map(lambda s: s + 0.3, state.running)
        louder = 30 * state.params.network.head.linear.weight
        where = lambda s: (s.running, s.params.network.head.linear.weight)
        states[protocol] = one, eqx.tree_at(where, state, (running, louder))
    return states


def with_statistics(one: RecurrentLearner, statistics: str) -> RecurrentLearner:
    return dataclasses.replace(one, adaptation=dataclasses.replace(one.adaptation, statistics=statistics))


def some(batch: FewShotEpisode, which: list[int]) -> FewShotEpisode:
    return eqx.tree_at(lambda e: e.query, batch, jax.tree.map(lambda x: x[:, np.array(which)], batch.query))


@pytest.mark.parametrize("statistics", ["running", "support"])
@pytest.mark.parametrize("protocol", ["bind", "fine-tune"])
def test_adapting_and_predicting_is_evaluating(trained: dict, protocol: str, statistics: str) -> None:
    """The same answers; none depends on the other queries, or on their order."""
    one, state = trained[protocol]
    one, batch = with_statistics(one, statistics), given()
    scored = EVALUATE(one, state, batch)
    order = np.array([3, 0, 5, 1, 4, 2])
    for i in range(4):
        episode = jax.tree.map(lambda x, i=i: x[i], batch)
        adapted = ADAPT(one, state, episode.support)
        told = PREDICT(one, adapted, episode.query.inputs)
        np.testing.assert_allclose(jnp.sum(jnp.exp(told), axis=1), 1, rtol=1e-5)
        right = jnp.argmax(told, axis=1) == episode.query.labels
        np.testing.assert_allclose(scored["accuracy"][i], np.mean(right), rtol=1e-6)
        surprise = -told[np.arange(6), episode.query.labels]
        np.testing.assert_allclose(scored["loss"][i], np.mean(surprise), rtol=1e-4)
        np.testing.assert_allclose(
            PREDICT(one, adapted, episode.query.inputs[order]), told[order], rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(PREDICT(one, adapted, episode.query.inputs[2:3]), told[2:3], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("statistics", "transductive"), [("running", False), ("support", False), ("episode", True)])
@pytest.mark.parametrize("protocol", ["bind", "fine-tune"])
def test_an_answer_leans_on_other_queries_in_whole_episodes_alone(
    trained: dict, protocol: str, statistics: str, transductive: bool
) -> None:
    one, state = trained[protocol]
    one, batch = with_statistics(one, statistics), given()
    whole = EVALUATE(one, state, batch)["loss"]
    halves = [EVALUATE(one, state, some(batch, which))["loss"] for which in ([0, 1, 2], [3, 4, 5])]
    apart = np.abs(whole - (halves[0] + halves[1]) / 2).max()
    assert apart > 1e-4 if transductive else apart < 1e-5


@pytest.mark.parametrize("statistics", ["support", "episode"])
def test_an_episode_is_scored_apart_from_its_batch(trained: dict, statistics: str) -> None:
    one, state = trained["bind"]
    one, batch = with_statistics(one, statistics), given()
    alone = EVALUATE(one, state, jax.tree.map(lambda x: x[1:2], batch))["loss"]
    np.testing.assert_allclose(EVALUATE(one, state, batch)["loss"][1], alone[0], rtol=1e-5)


def test_whole_episodes_cannot_be_adapted_to_without_their_queries(trained: dict) -> None:
    one, state = trained["bind"]
    support = jax.tree.map(lambda x: x[0], episodes(1)).support
    with pytest.raises(UserError, match="statistics: got 'episode', wanted running or support"):
        with_statistics(one, "episode").adapt(state, support, key=KEY)


def test_evaluating_changes_nothing(trained: dict) -> None:
    one, state = trained["fine-tune"]
    before = jax.tree.map(np.array, state)
    EVALUATE(one, state, given())
    assert eqx.tree_equal(jax.tree.map(np.array, state), before)


@pytest.mark.parametrize(
    ("protocol", "regime", "updates"), [("bind", "true", 60), ("fine-tune", "true", 60), ("fine-tune", "meta", 150)]
)
def test_an_easy_task_is_learned(protocol: str, regime: str, updates: int) -> None:
    """Three characters without much noise; chance is a third, and labels are dealt out anew in each episode."""
    one = built(protocol, regime, "local", alpha=5.0)
    state, fresh = one.init(key=jax.random.key(1)), [given(1000 + i) for i in range(8)]
    for step in range(updates):
        state, _ = UPDATE(one, state, given(step))
    scorer = with_statistics(one, "support")
    accuracies = np.concatenate([EVALUATE(scorer, state, batch)["accuracy"] for batch in fresh])
    assert np.mean(accuracies) > 0.8
