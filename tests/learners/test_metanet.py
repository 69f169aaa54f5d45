"""MetaNet: fast weights, keys and answers against a naive twin, what gradients pass through, and what labels mean."""

from dataclasses import replace
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import CONV, SPEC, episodes
from tests.reference import metanet as twin
from tests.reference.lstm import Gate, LSTMWeights
from tests.reference.rounding import rounding
from tests.sentences import refused

import fastslow as fs
from fastslow.learners.coordinatewise import Rules, in_blocks
from fastslow.learners.metanet import Adapted, Memory, MetaNetConfig, chunked
from fastslow.models.augmented import AugmentedConfig, Weights

KEY = jax.random.key(0)
SIDE, ITEMS, QUERIES = 5, 5, 4
"""An image is halved from 5 to 3 and 2; five items are cut into chunks of 3 and 2."""
MODEL = AugmentedConfig(channels=2, blocks=2, hidden=4)
SGD = optax.sgd(1e-2)
IMAGES = replace(SPEC, shape=(SIDE, SIDE))
EXACT = rounding(500, scale=np.exp(7), precision=np.float64)
"""Some 500 operations one after the other; `pre` multiplies what a gradient is off by at most e⁷."""


def build(spec: fs.TaskSpec = IMAGES, **choices: Any) -> Any:
    choices = {"hidden": 3, "chunks": 2, **choices}
    return MetaNetConfig(**choices).build(MODEL, spec, SGD, batch=2)


def drawn(tree: Any, seed: int) -> Any:
    """The same tree with weights of which all parts matter, biases too."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.4 * rng.normal(size=leaf.shape)), tree)


@cache
def state() -> fs.LearnerState:
    params = build().init(key=KEY).params
    rules = lambda p: (p.base_rules, p.key_rules)
    slow = lambda p: (p.base.slow, p.key.slow)
    params = eqx.tree_at(rules, params, drawn(rules(params), 1))
    # two and a half times as large, so that a difference of labels reaches the answers
    params = eqx.tree_at(slow, params, jax.tree.map(lambda w: 2.5 * w.astype(jnp.float64), slow(params)))
    return fs.LearnerState(params, (), ())


@cache
def episode() -> fs.FewShotEpisode:
    rng = np.random.default_rng(5)
    examples = lambda labels: fs.Examples(jnp.asarray(rng.uniform(size=(len(labels), SIDE, SIDE))), jnp.asarray(labels))
    return fs.FewShotEpisode(examples(np.array([0, 1, 2, 0, 1], np.int32)), examples(np.array([2, 0, 1, 1], np.int32)))


def batch(*given: fs.FewShotEpisode) -> fs.FewShotEpisode:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *given)


@eqx.filter_jit
def loss_of(learner: Any, params: Any, given: fs.FewShotEpisode) -> jax.Array:
    """The sum over the queries of one episode."""
    return learner.evaluate(fs.LearnerState(params, (), ()), batch(given), key=KEY)["loss"].total[0]


@eqx.filter_jit
def adapted_to(learner: Any, params: Any, support: fs.Examples) -> Adapted:
    return learner.adapt(fs.LearnerState(params, (), ()), support, key=KEY)


@eqx.filter_jit
def predicted(learner: Any, adapted: Adapted, inputs: jax.Array) -> jax.Array:
    return learner.predict(adapted, inputs)


def network(weights: Weights, index: Any = ...) -> twin.Network:
    kernels = [np.asarray(layer.kernel[index]) for layer in weights.features]
    hidden, readout = (np.asarray(w[index]) for w in (weights.hidden, weights.readout))
    return {"kernels": kernels, "hidden": hidden, "readout": readout}


def rules_of(rules: Rules) -> dict[str, Any]:
    pair = lambda layer: (np.asarray(layer.weight), np.asarray(layer.bias))

    def of_one(rule: Any) -> dict[str, Any]:
        if hasattr(rule, "first"):
            return {"layers": [pair(layer) for layer in (rule.first, rule.second, rule.last)]}
        parts = (np.split(np.asarray(w), 4) for w in (rule.cell.input_weight, rule.cell.hidden_weight, rule.cell.bias))
        return {"lstm": LSTMWeights(*(Gate(*gate) for gate in zip(*parts, strict=True))), "last": pair(rule.last)}

    return {"convolutions": of_one(rules.features), "dense": of_one(rules.dense)}


def same(found: twin.Network, expected: twin.Network) -> None:
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=EXACT, atol=EXACT)


@pytest.mark.usefixtures("double")
def test_fast_weights_keys_and_answers_are_those_of_a_naive_twin() -> None:
    params, (x, y) = state().params, (np.asarray(p) for p in (episode().support.inputs, episode().support.labels))
    adapted, queries = adapted_to(build(), params, episode().support), episode().query
    q, theta = network(params.key.slow), network(params.base.slow)
    fast_key = twin.fast_key(q, rules_of(params.key_rules), x, y, [[0, 1, 2], [3, 4]])
    same(network(adapted.memory.fast_key), fast_key)
    keys = [twin.key(q, fast_key, image) for image in x]
    np.testing.assert_allclose(adapted.memory.keys, keys, rtol=EXACT, atol=EXACT)
    weights = twin.memory(theta, rules_of(params.base_rules), x, y)
    for item in range(ITEMS):
        same(network(adapted.memory.weights, item), weights[item])
    log_p = predicted(build(), adapted, queries.inputs)
    for row, image in zip(log_p, np.asarray(queries.inputs), strict=True):
        logits = twin.answer(theta, weights, keys, twin.key(q, fast_key, image), image)
        np.testing.assert_allclose(row, np.log(twin.softmax(logits)), rtol=10 * EXACT, atol=10 * EXACT)
    nll = -np.sum(np.asarray(log_p)[np.arange(QUERIES), queries.labels])
    np.testing.assert_allclose(loss_of(build(), params, episode()), nll, rtol=EXACT)


@pytest.mark.usefixtures("double")
def test_gradients_of_the_support_set_are_data() -> None:
    """θ is trained through the answers alone, Q through the keys alone; nothing passes through what they make."""
    learner, params, (support, query) = build(), state().params, (episode().support, episode().query)
    whole = eqx.filter_jit(jax.grad(lambda p: loss_of(learner, p, episode())))(params)
    memory = adapted_to(learner, params, support).memory

    def with_constants(trained: Any) -> jax.Array:
        keys = trained.key.keys(support.inputs, memory.fast_key)
        log_p = learner.predict(Adapted(trained, Memory(memory.fast_key, keys, memory.weights)), query.inputs)
        return -jnp.sum(jnp.take_along_axis(log_p, query.labels[:, None], axis=1))

    part = eqx.filter_jit(jax.grad(with_constants))(params)
    for name in ("base", "key"):
        slopes, expected = (jax.tree.leaves(getattr(tree, name)) for tree in (whole, part))
        for one, other in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=10 * EXACT, atol=10 * EXACT)
    assert not np.any(whole.key.slow.readout)
    assert all(np.any(leaf) for leaf in jax.tree.leaves((whole.base, whole.key.slow.hidden)))
    # the rules get their whole gradient, θ does not
    step, direction = 1e-5, drawn(params, 3)
    along = lambda tree: sum(jax.tree.leaves(jax.tree.map(lambda g, d: jnp.sum(g * d), tree, direction)))
    for name, is_whole in (("base_rules", True), ("key_rules", True), ("base", False)):
        only = jax.tree.map(jnp.zeros_like, direction)
        only = eqx.tree_at(lambda p, n=name: getattr(p, n), only, getattr(direction, name))
        moved = [jax.tree.map(lambda p, d, s=s: p + s * d, params, only) for s in (step, -step)]
        ahead, behind = (loss_of(learner, p, episode()) for p in moved)
        slope = along(eqx.tree_at(lambda p, n=name: getattr(p, n), only, getattr(whole, name)))
        # the error of a central difference is of the order step²
        assert np.allclose((ahead - behind) / (2 * step), slope, rtol=1e-5) is is_whole


def relabelled(given: fs.FewShotEpisode, order: np.ndarray) -> fs.FewShotEpisode:
    where = lambda e: (e.support.labels, e.query.labels)
    return eqx.tree_at(where, given, tuple(jnp.asarray(order, jnp.int32)[labels] for labels in where(given)))


@pytest.mark.usefixtures("double")
def test_permuted_labels_are_permuted_rows_of_the_readouts() -> None:
    """The rules know no class: they see one coordinate at a time."""
    learner, params, order = build(), state().params, np.array([2, 0, 1])
    before = loss_of(learner, params, episode())
    rows = lambda p: (p.base.slow.readout, p.key.slow.readout)
    moved = eqx.tree_at(rows, params, tuple(leaf[np.argsort(order)] for leaf in rows(params)))
    after = loss_of(learner, moved, relabelled(episode(), order))
    np.testing.assert_allclose(after, before, rtol=10 * EXACT)
    assert abs(loss_of(learner, params, relabelled(episode(), order)) - before) > 1e-3


@pytest.mark.usefixtures("double")
def test_the_order_of_items_matters_between_chunks_alone() -> None:
    params, support = state().params, episode().support
    for chunks, order, is_same in ((2, [2, 0, 1, 4, 3], True), (2, [3, 1, 2, 0, 4], False), (1, [3, 1, 4, 0, 2], True)):
        turned = jax.tree.map(lambda leaf, o=order: leaf[np.array(o)], support)
        one, other = (adapted_to(build(chunks=chunks), params, s).memory.fast_key.hidden for s in (support, turned))
        apart = np.abs(one - other).max()
        assert apart < EXACT if is_same else apart > 1e6 * EXACT


def test_chunks_are_as_equal_as_possible() -> None:
    members, shares = chunked(7, 3)
    assert members.tolist() == [[0, 1, 2], [3, 4, 4], [5, 6, 6]]
    np.testing.assert_allclose(shares, [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [0.5, 0.5, 0]])
    members, shares = chunked(20, 5)
    assert members.tolist() == np.arange(20).reshape(5, 4).tolist()
    assert (shares == 0.25).all()


@pytest.mark.parametrize("shape", [(20,), (3, 20)], ids=["one", "sequence"])
def test_blocks_are_all_coordinates_at_once(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastslow.learners.coordinatewise.BLOCK", 7)  # 20 coordinates in blocks of 7, one is padding
    g = jax.random.normal(KEY, shape)
    rule = lambda g: jnp.sum(jnp.cumsum(g.reshape(-1, g.shape[-1]) ** 2, axis=0), axis=0)
    np.testing.assert_array_equal(in_blocks(rule, g), rule(g))


def test_it_learns_an_easy_task() -> None:
    learner = MetaNetConfig(hidden=6).build(
        AugmentedConfig(8, 2, 8), SPEC, fs.AdamConfig(learning_rate=1e-2).build(1000), batch=8
    )
    update = jax.jit(lambda s, given: learner.update(s, given, key=KEY))
    trained, losses = learner.init(key=KEY), []
    for step in range(60):
        trained, figures = update(trained, episodes(8, step))
        losses.append(float(figures["loss"].value))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_a_loss_is_the_sum_over_queries_and_the_mean_over_tasks() -> None:
    """Twice the queries in three equal tasks give twice the gradient."""
    learner = MetaNetConfig(hidden=3).build(AugmentedConfig(2, 1, 3), SPEC, SGD, batch=1)
    given = jax.tree.map(lambda leaf: leaf[0], episodes(1))
    first = learner.init(key=KEY)
    twice = eqx.tree_at(lambda e: e.query, given, jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), given.query))
    update = jax.jit(lambda s, e: learner.update(s, e, key=KEY))
    once, more = (
        update(first, drawn)[1]["gradient_norm"].value for drawn in (batch(given), batch(twice, twice, twice))
    )
    np.testing.assert_allclose(more, 2 * once, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "model", "spec", "why"),
    [
        (MetaNetConfig(hidden=0), MODEL, SPEC, "hidden: got 0, expected a number above 0"),
        (MetaNetConfig(chunks=0), MODEL, SPEC, "chunks: got 0, expected an integer from 1 to 1000"),
        (MetaNetConfig(), fs.ClassifierConfig(CONV), SPEC, "model: got 'classifier', expected augmented, whose layers"),
        (
            MetaNetConfig(),
            MODEL,
            replace(SPEC, episode="sequence"),
            "learner: got 'metanet', expected one for seq",
        ),
        (MetaNetConfig(), MODEL, replace(SPEC, train_way=9), "train_way: got 9, expected none for learner metanet"),
        (MetaNetConfig(), AugmentedConfig(blocks=3), SPEC, "blocks: got 3, expected at most 2, after which one pixel"),
        (MetaNetConfig(), AugmentedConfig(channels=0), SPEC, "channels: got 0"),
        (MetaNetConfig(), MODEL, replace(SPEC, shape=(4,)), "model: got 'augmented', expected another one, as task"),
    ],
)
def test_what_does_not_go_together_is_refused(config: Any, model: Any, spec: fs.TaskSpec, why: str) -> None:
    with refused(why):
        config.build(model, spec, optax.sgd(0.1), batch=2)
