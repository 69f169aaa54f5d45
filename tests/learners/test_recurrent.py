import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.test_regimes import LEGAL, settings
from tests.learners.tiny import WAY, episodes, learner

from fastslow._checks import UserError
from fastslow.cells.passage import Forked
from fastslow.feedback.local import local_gradients
from fastslow.feedback.probes import traced_walk
from fastslow.learners.base import LearnerState
from fastslow.learners.recurrent import MOMENTUM, RecurrentLearner
from fastslow.models.heads import cross_entropy
from fastslow.tasks.base import FewShotEpisode

KEY = jax.random.key(3)
UPDATE = eqx.filter_jit(lambda one, state, given: one.update(state, given, key=KEY))
EVALUATE = eqx.filter_jit(lambda one, state, given: one.evaluate(state, given, key=KEY))
ADAPT = eqx.filter_jit(lambda one, state, support: one.adapt(state, support, key=KEY))
PREDICT = eqx.filter_jit(lambda one, adapted, inputs: one.predict(adapted, inputs))


def built(protocol: str, regime: str, reach: str, optimiser=None, **changes) -> RecurrentLearner:
    path, adapt, label_input = settings(protocol, regime, reach, hidden=6, **{"steps": 2, **changes})
    return learner(adapt, path, label_input, "key-value" if protocol == "bind" else "soft", optimiser)


def moved(before, after) -> dict[str, bool]:
    """Which parts of the parameters an update changed, each leaf of them."""
    parts = {
        "embed": lambda p: p.network.embed,
        "memory": lambda p: p.network.cell.memory,
        "input": lambda p: p.network.cell.controllers.input,
        "output": lambda p: p.network.cell.controllers.output,
        "write": lambda p: p.network.cell.controllers.write,
        "head": lambda p: p.network.head,
        "predictors": lambda p: p.predictors,
        "rates": lambda p: p.rates,
    }
    changed = {}
    for name, part in parts.items():
        old, new = jax.tree.leaves(part(before)), jax.tree.leaves(part(after))
        assert all(np.isfinite(leaf).all() for leaf in new), name
        if old:
            changed[name] = all(bool((a != b).any()) for a, b in zip(old, new, strict=True))
    return changed


@pytest.mark.parametrize("combination", LEGAL, ids="-".join)
def test_every_combination_trains_all_that_it_should(combination: tuple[str, str, str]) -> None:
    protocol, regime, _ = combination
    stream = {"support_order": "stream", "query_memory": "post-support"}
    one = built(*combination, **(stream if protocol == "fine-tune" else {}))
    state, given = one.init(key=jax.random.key(0)), episodes(3)
    after, metrics = UPDATE(one, state, given)
    expected = dict.fromkeys(("embed", "memory", "input", "output", "write", "head"), True)
    assert (state.params.predictors is None) == (regime == "true")
    if regime != "true":
        expected["predictors"] = True
    if protocol == "fine-tune":
        expected["rates"] = True
    assert moved(state.params, after.params) == expected
    assert all(np.isfinite(value) for value in metrics.values())
    assert metrics["gradient_norm"] > 0
    assert (metrics["regression"] > 0) == (regime in ("both", "synthetic"))


def test_a_writer_that_nobody_reads_is_left_alone() -> None:
    """Items shown apart and queries read from the initial memory: nothing written matters, so nothing learns it."""
    one = built("fine-tune", "true", "local")
    state = one.init(key=jax.random.key(0))
    changed = moved(state.params, UPDATE(one, state, episodes(3))[0].params)
    assert not changed.pop("write")
    assert not changed.pop("rates")
    assert all(changed.values())


def steps_taken(one: RecurrentLearner, state: LearnerState, given: FewShotEpisode):
    """The gradient of one update: what plain descent at rate 1 took away."""
    after, metrics = UPDATE(one, state, given)
    return jax.tree.map(jnp.subtract, state.params, after.params), metrics


def by_hand(one: RecurrentLearner, params, given: FewShotEpisode):
    """The gradients of a bound lesson, put together from the loss, the local sums and equation 11 alone."""
    config, labels = one.path, jax.nn.one_hot(given.support.labels, WAY)

    def walked(network, support, query, shown):
        inputs = Forked(network.cell_inputs(support, shown), network.cell_inputs(query, None))
        return traced_walk(network.cell, network.cell.init_state(), inputs)[1]

    def records(network):
        images = jnp.concatenate([given.support.inputs, given.query.inputs], axis=1)
        features = network.embed(images.reshape(-1, *images.shape[2:]), None)[0].reshape(*images.shape[:2], -1)
        return jax.vmap(lambda s, q, y: walked(network, s, q, y))(features[:, :WAY], features[:, WAY:], labels)

    answers = jax.nn.one_hot(given.query.labels, WAY)

    def loss(network):
        logits = jax.vmap(network.logits)(records(network).branches)
        return jnp.mean(jax.vmap(cross_entropy)(logits, answers))

    told = lambda said, seen: jax.vmap(lambda r, s, q: said(Forked(r.trunk.outputs, r.branches.outputs), Forked(s, q)))(
        seen, labels, answers
    )
    fixed = records(params.network)
    synthetic = jax.tree.map(lambda g: config.alpha * g, told(params.predictors, fixed))

    def pulled(network):
        """`α SG · c`, its gradient the synthetic one through all that made `c`."""
        seen = records(network)
        outputs = Forked(seen.trunk.outputs, seen.branches.outputs)
        products = jax.tree.map(lambda g, c: jnp.sum(g * c), synthetic, outputs)
        return sum(jax.tree.leaves(products)) / labels.shape[0]

    true = jax.grad(loss)(params.network)
    local = jax.vmap(lambda r, g: local_gradients(params.network.cell.controllers, r, g))(fixed, synthetic)
    return true, jax.grad(pulled)(params.network), jax.tree.map(lambda g: jnp.mean(g, 0), local)


def close(one, other) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(("regime", "reach"), [("both", "local"), ("synthetic", "local"), ("both", "through")])
def test_a_bound_lesson_by_hand(regime: str, reach: str) -> None:
    """The true gradient is that of the mean query loss through embedding and all; controllers get their regime's."""
    one = built("bind", regime, reach, optax.sgd(1.0), alpha=20.0)
    state, given = one.init(key=jax.random.key(0)), episodes(3)
    taken, _ = steps_taken(one, state, given)
    true, through, local = eqx.filter_jit(by_hand)(one, state.params, given)
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(local)) > 0.01
    if reach == "through":
        close(taken.network, jax.tree.map(jnp.add, true, through))
        return
    expected = local if regime == "synthetic" else jax.tree.map(jnp.add, true.cell.controllers, local)
    close(taken.network.cell.controllers, expected)
    rest = lambda network: (network.embed, network.cell.memory, network.head)
    close(rest(taken.network), rest(true))


def test_regime_true_bound_is_the_gradient_of_the_query_loss() -> None:
    sgd = optax.sgd(1.0)
    one = built("bind", "true", "local", sgd)
    spoken = built("bind", "both", "local", sgd)
    state, given = spoken.init(key=jax.random.key(0)), episodes(3)
    silent = LearnerState(eqx.tree_at(lambda p: p.predictors, state.params, None), sgd.init(()), state.running)
    taken, _ = steps_taken(one, eqx.tree_at(lambda s: s.optimiser, silent, one.optimiser.init(silent.params)), given)
    close(taken.network, eqx.filter_jit(by_hand)(spoken, state.params, given)[0])


def test_the_weight_of_equation_11_is_the_weight_of_the_predictors_gradient() -> None:
    grown = {}
    for weight in (1.0, 3.0):
        one = built("bind", "both", "local", optax.sgd(1.0), regression=weight)
        grown[weight], _ = steps_taken(one, one.init(key=jax.random.key(0)), episodes(3))
    close(grown[3.0].predictors, jax.tree.map(lambda g: 3 * g, grown[1.0].predictors))
    close(grown[3.0].network, grown[1.0].network)
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(grown[1.0].predictors)) > 1e-4


def test_running_statistics_follow_the_batch() -> None:
    one = built("bind", "true", "local")
    state, given = one.init(key=jax.random.key(0)), episodes(3)
    after, _ = UPDATE(one, state, given)
    images = jnp.concatenate([part.inputs.reshape(-1, 4, 4) for part in (given.support, given.query)])
    _, used = state.params.network.embed(images, None)
    close(after.running.means, jax.tree.map(lambda m: (1 - MOMENTUM) * m, used.means))
    close(after.running.variances, jax.tree.map(lambda v: MOMENTUM + (1 - MOMENTUM) * v, used.variances))


@pytest.fixture(scope="module")
def trained() -> dict:
    """A learner of each protocol whose running statistics are no longer neutral, by protocol."""
    states = {}
    for protocol, regime in (("bind", "true"), ("fine-tune", "meta")):
        one = built(protocol, regime, "local")
        state = one.init(key=jax.random.key(0))
        running = jax.tree.map(lambda s: s + 0.3, state.running)
        states[protocol] = one, eqx.tree_at(lambda s: s.running, state, running)
    return states


def with_statistics(one: RecurrentLearner, statistics: str) -> RecurrentLearner:
    return dataclasses.replace(one, adaptation=dataclasses.replace(one.adaptation, statistics=statistics))


def some(given: FewShotEpisode, which: list[int]) -> FewShotEpisode:
    return eqx.tree_at(lambda e: e.query, given, jax.tree.map(lambda x: x[:, np.array(which)], given.query))


@pytest.mark.parametrize("statistics", ["running", "support"])
@pytest.mark.parametrize("protocol", ["bind", "fine-tune"])
def test_adapting_and_predicting_is_evaluating(trained: dict, protocol: str, statistics: str) -> None:
    """The same answers; none depends on the other queries, or on their order."""
    one, state = trained[protocol]
    one, given = with_statistics(one, statistics), episodes(3)
    scored = EVALUATE(one, state, given)
    order = np.array([3, 0, 5, 1, 4, 2])
    for i in range(3):
        episode = jax.tree.map(lambda x, i=i: x[i], given)
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
    one, given = with_statistics(one, statistics), episodes(3)
    whole = EVALUATE(one, state, given)["loss"]
    halves = [EVALUATE(one, state, some(given, which))["loss"] for which in ([0, 1, 2], [3, 4, 5])]
    apart = np.abs(whole - (halves[0] + halves[1]) / 2).max()
    assert apart > 1e-4 if transductive else apart < 1e-5


@pytest.mark.parametrize("statistics", ["support", "episode"])
def test_an_episode_is_scored_apart_from_its_batch(trained: dict, statistics: str) -> None:
    one, state = trained["bind"]
    one, given = with_statistics(one, statistics), episodes(3)
    alone = EVALUATE(one, state, jax.tree.map(lambda x: x[1:2], given))["loss"]
    np.testing.assert_allclose(EVALUATE(one, state, given)["loss"][1], alone[0], rtol=1e-5)


def test_whole_episodes_cannot_be_adapted_to_without_their_queries(trained: dict) -> None:
    one, state = trained["bind"]
    support = jax.tree.map(lambda x: x[0], episodes(1)).support
    with pytest.raises(UserError, match="statistics: got 'episode', wanted running or support"):
        with_statistics(one, "episode").adapt(state, support, key=KEY)


def test_evaluating_changes_nothing(trained: dict) -> None:
    one, state = trained["fine-tune"]
    before = jax.tree.map(np.array, state)
    EVALUATE(one, state, episodes(2))
    assert eqx.tree_equal(jax.tree.map(np.array, state), before)


@pytest.mark.parametrize(("protocol", "regime"), [("bind", "true"), ("fine-tune", "true"), ("fine-tune", "meta")])
def test_an_easy_task_is_learned_in_sixty_updates(protocol: str, regime: str) -> None:
    """Three characters without much noise; chance is a third, and labels are dealt out anew in each episode."""
    one = built(protocol, regime, "local", optax.adam(2e-2))
    state = one.init(key=jax.random.key(1))
    before = EVALUATE(with_statistics(one, "support"), state, episodes(40, seed=99))["accuracy"]
    for step in range(60):
        state, metrics = UPDATE(one, state, episodes(8, seed=step))
    accuracies = EVALUATE(with_statistics(one, "support"), state, episodes(40, seed=99))["accuracy"]
    assert np.mean(accuracies) > 0.8, (np.mean(before), np.mean(accuracies), metrics)
