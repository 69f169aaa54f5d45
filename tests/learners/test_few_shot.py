"""Both protocols of few-shot episodes: what an update trains, statistics, and answers that depend on nothing else."""

import dataclasses
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.tiny import LSTM, MANN, SIZE, WAY, WIDE, episodes, learner, nmn
from tests.reference.rounding import rounding
from tests.sentences import refused

from fastslow.learners.base import LearnerState
from fastslow.learners.few_shot import MOMENTUM, track
from fastslow.learners.fine_tune import FineTuneConfig
from fastslow.learners.in_context import InContextConfig
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import FewShotEpisode

pytestmark = pytest.mark.usefixtures("double")

KEY = jax.random.key(3)
BATCH = 4
UPDATE = eqx.filter_jit(lambda one, state, given: one.update(state, given, key=KEY))
EVALUATE = eqx.filter_jit(lambda one, state, given: one.evaluate(state, given, key=KEY))
ADAPT = eqx.filter_jit(lambda one, state, support: one.adapt(state, support, key=KEY))
PREDICT = eqx.filter_jit(lambda one, adapted, inputs: one.predict(adapted, inputs))
PATHS = {"in-context": ("true", "both", "synthetic"), "fine-tune": ("true", "both", "synthetic", "meta")}
LEGAL = [
    (protocol, regime, reach)
    for protocol, regimes in PATHS.items()
    for regime in regimes
    for reach in (("local", "through") if regime in ("both", "synthetic") else ("local",))
]
ROUNDING = rounding(2000, scale=10, precision=np.float64)
"""Convolutions of 36 images, nine steps, two inner steps; features and outputs are below 10."""


def feedback(regime: str, reach: str, **changes) -> FeedbackConfig:
    regression = 1.0 if regime in ("both", "synthetic") else 0.0
    return FeedbackConfig(**{"regime": regime, "reach": reach, "hidden": 6, "regression": regression} | changes)


@cache
def built(protocol: str, regime: str, reach: str = "local", alpha: float = 1.0, **changes):
    path = feedback(regime, reach, alpha=alpha)
    if protocol == "in-context":
        return learner(InContextConfig(path, **changes), nmn("write", "key-value"))
    return learner(FineTuneConfig(path, **{"steps": 2} | changes), nmn())


def given(seed: int = 0) -> FewShotEpisode:
    return episodes(BATCH, seed)


# --- what an update trains


def entry(lstm) -> tuple:
    return lstm.input_weight, lstm.bias


def recurrence(controllers) -> list:
    return [getattr(controllers, name).hidden_weight for name in ("input", "output", "write")]


PARTS = {
    "network.embed": lambda p: p.network.embed,
    "network.memory": lambda p: p.network.cell.memory,
    "network.head": lambda p: p.network.head,
    "network.recurrence": lambda p: recurrence(p.network.cell.controllers),
    "rates.head": lambda p: p.rates.head,
    "rates.recurrence": lambda p: recurrence(p.rates.controllers),
}
for name in ("input", "output", "write"):
    PARTS[f"network.{name}"] = lambda p, name=name: entry(getattr(p.network.cell.controllers, name))
    PARTS[f"predictors.{name}"] = lambda p, name=name: getattr(p.predictors.predictors, name)
    PARTS[f"rates.{name}"] = lambda p, name=name: entry(getattr(p.rates.controllers, name))


def unchanged(before, after) -> set[str]:
    """Parts of which some leaf is what it was."""
    named = set()
    for name, part in PARTS.items():
        if getattr(before, name.split(".")[0], None) is None:
            continue
        old, new = jax.tree.leaves(part(before)), jax.tree.leaves(part(after))
        assert all(np.isfinite(leaf).all() for leaf in new), name
        if not all(bool((a != b).any()) for a, b in zip(old, new, strict=True)):
            named.add(name)
    return named


# Streamed, or else independent items and queries read from the initial memory: then no controller has a past, so its
# recurrent weights stay as they are; and what is written is never read, so the query loss cannot train the write
# controller, unless its synthetic gradient reaches others.
STREAM = {"support_order": "stream", "query_memory": "post-support"}
NO_PAST = {"network.recurrence", "rates.recurrence"}
NO_WRITE = {"network.write", "rates.write"}
TRAINED = {
    **{combination: ({}, set()) for combination in LEGAL if combination[0] == "in-context"},
    ("fine-tune", "true", "local"): ({}, NO_PAST | NO_WRITE),
    ("fine-tune", "both", "local"): (STREAM, set()),
    ("fine-tune", "both", "through"): ({}, NO_PAST),
    ("fine-tune", "synthetic", "local"): (STREAM, set()),
    # each synthetic gradient replaces what comes from beyond it
    ("fine-tune", "synthetic", "through"): ({}, NO_PAST | NO_WRITE),
    ("fine-tune", "meta", "local"): ({}, NO_PAST | NO_WRITE | {"predictors.write"}),
}


@pytest.mark.parametrize("combination", LEGAL, ids="-".join)
def test_every_combination_trains_all_that_it_should(combination: tuple[str, str, str]) -> None:
    protocol, regime, _ = combination
    changes, untouched = TRAINED[combination]
    one = built(*combination, **changes)
    state = one.init(key=jax.random.key(0))
    after, figures = UPDATE(one, state, given())
    assert (state.params.predictors is None) == (regime == "true")
    assert hasattr(state.params, "rates") == (protocol == "fine-tune")
    assert unchanged(state.params, after.params) == untouched
    values = {name: float(figure.value) for name, figure in figures.items()}
    assert all(np.isfinite(value) for value in values.values())
    assert values["gradient_norm"] > 0
    assert (values.get("regression", 0) > 0) == (regime in ("both", "synthetic"))
    assert figures["accuracy"].count == figures["loss"].count == BATCH * WAY * 2


def test_what_a_result_states_of_a_learner() -> None:
    path = feedback("both", "through")
    assert InContextConfig(path, statistics="episode").facts == {
        "protocol": "in-context",
        "regime": "both",
        "transductive": True,
    }
    assert FineTuneConfig(feedback("meta", "local"), steps=3).facts == {
        "protocol": "fine-tune",
        "regime": "meta",
        "transductive": False,
        "inner steps": 3,
    }


# --- statistics of normalisation


def test_running_statistics_follow_the_batch() -> None:
    one = built("in-context", "true")
    state = one.init(key=jax.random.key(0))
    after, _ = UPDATE(one, state, given())
    images = jnp.concatenate([part.inputs.reshape(-1, SIZE, SIZE) for part in (given().support, given().query)])
    _, used = state.params.network.embed(images, None)
    for mine, batch in zip(after.model_state.means, used.means, strict=True):
        np.testing.assert_allclose(mine, (1 - MOMENTUM) * batch, rtol=0, atol=ROUNDING)
    for mine, batch in zip(after.model_state.variances, used.variances, strict=True):
        np.testing.assert_allclose(mine, MOMENTUM + (1 - MOMENTUM) * batch, rtol=0, atol=ROUNDING)


def test_running_statistics_are_an_average() -> None:
    tracked = track(
        {"mean": jnp.zeros(2), "variance": jnp.ones(2)}, {"mean": jnp.full(2, 10.0), "variance": jnp.full(2, 3.0)}
    )
    np.testing.assert_allclose(
        tracked["mean"], 0.1, rtol=rounding(100, precision=np.float64)
    )  # 1 − 0.99 has lost two digits
    np.testing.assert_allclose(tracked["variance"], 1.02, rtol=rounding(4, precision=np.float64))


LEARNERS = {
    "in-context": lambda: built("in-context", "true"),
    "in-context-mann": lambda: learner(InContextConfig(), MANN),
    "in-context-lstm": lambda: learner(InContextConfig(), LSTM),
    "fine-tune": lambda: built("fine-tune", "meta"),
}
BOTH = ("in-context", "fine-tune")


@cache
def trained(name: str) -> tuple:
    """A learner whose running statistics are no longer neutral and whose answers differ."""
    one = LEARNERS[name]()
    state = one.init(key=jax.random.key(0))
    tracked = jax.tree.map(lambda s: s + 0.3, state.model_state)
    larger = 30 * state.params.network.head.linear.weight
    where = lambda s: (s.model_state, s.params.network.head.linear.weight)
    return one, eqx.tree_at(where, state, (tracked, larger))


def with_statistics(one, statistics: str):
    return dataclasses.replace(one, config=dataclasses.replace(one.config, statistics=statistics))


def of_queries(batch: FewShotEpisode, which: list[int]) -> FewShotEpisode:
    return eqx.tree_at(lambda e: e.query, batch, jax.tree.map(lambda x: x[:, np.array(which)], batch.query))


LOGITS = 30 * ROUNDING
"""The head's weights are 30 times as large."""


@pytest.mark.parametrize("statistics", ["running", "support"])
@pytest.mark.parametrize("name", LEARNERS)
def test_adapting_and_predicting_is_evaluating(name: str, statistics: str) -> None:
    """The same answers; none depends on the other queries, or on their order."""
    one, state = trained(name)
    one, batch = with_statistics(one, statistics), given()
    found = EVALUATE(one, state, batch)
    order = np.array([3, 0, 5, 1, 4, 2])
    for i in range(BATCH):
        episode = jax.tree.map(lambda x, i=i: x[i], batch)
        adapted = ADAPT(one, state, episode.support)
        before = jax.tree.map(np.array, adapted)
        log_p = PREDICT(one, adapted, episode.query.inputs)
        np.testing.assert_allclose(
            jnp.sum(jnp.exp(log_p), axis=1), 1, rtol=0, atol=rounding(4 * WAY, scale=10, precision=np.float64)
        )
        right = jnp.argmax(log_p, axis=1) == episode.query.labels
        assert float(found["accuracy"].total[i]) == int(jnp.sum(right))
        nll = -log_p[np.arange(6), episode.query.labels]
        np.testing.assert_allclose(found["loss"].total[i], jnp.sum(nll), rtol=0, atol=6 * LOGITS)
        assert float(found["accuracy"].count[i]) == float(found["loss"].count[i]) == 6
        turned, alone = (PREDICT(one, adapted, episode.query.inputs[which]) for which in (order, np.array([2])))
        np.testing.assert_allclose(turned, log_p[order], rtol=0, atol=LOGITS)
        np.testing.assert_allclose(alone, log_p[2:3], rtol=0, atol=LOGITS)
        assert eqx.tree_equal(jax.tree.map(np.array, adapted), before)


@pytest.mark.parametrize(("statistics", "transductive"), [("running", False), ("support", False), ("episode", True)])
@pytest.mark.parametrize("name", BOTH)
def test_an_answer_depends_on_other_queries_with_statistics_of_episodes_alone(
    name: str, statistics: str, transductive: bool
) -> None:
    one, state = trained(name)
    one, batch = with_statistics(one, statistics), given()
    whole = EVALUATE(one, state, batch)["loss"].value
    halves = [EVALUATE(one, state, of_queries(batch, which))["loss"].value for which in ([0, 1, 2], [3, 4, 5])]
    apart = np.abs(whole - (halves[0] + halves[1]) / 2).max()
    assert apart > 1e-4 if transductive else apart < LOGITS
    assert one.config.facts["transductive"] == transductive


@pytest.mark.parametrize("statistics", ["running", "support", "episode"])
@pytest.mark.parametrize("name", BOTH)
def test_a_figure_does_not_depend_on_other_episodes_of_the_batch(name: str, statistics: str) -> None:
    one, state = trained(name)
    one, batch = with_statistics(one, statistics), given()
    alone = EVALUATE(one, state, jax.tree.map(lambda x: x[1:2], batch))["loss"].total
    np.testing.assert_allclose(EVALUATE(one, state, batch)["loss"].total[1], alone[0], rtol=0, atol=6 * LOGITS)


@pytest.mark.parametrize("name", BOTH)
def test_statistics_of_episodes_need_the_queries(name: str) -> None:
    one, state = trained(name)
    support = jax.tree.map(lambda x: x[0], given()).support
    with refused("statistics: got 'episode', expected running or support"):
        with_statistics(one, "episode").adapt(state, support, key=KEY)


@pytest.mark.parametrize("name", BOTH)
def test_permuted_labels_permute_the_answers(name: str) -> None:
    """If the network's own view of labels is permuted with them: no class number means anything by itself."""
    one, state = trained(name)
    order = np.array([2, 0, 1])
    batch = given()
    relabelled = eqx.tree_at(
        lambda e: (e.support.labels, e.query.labels),
        batch,
        (jnp.asarray(order)[batch.support.labels], jnp.asarray(order)[batch.query.labels]),
    )
    # what read class c now reads class order[c]
    back = np.argsort(order)
    head = lambda s: (s.params.network.head.linear.weight, s.params.network.head.linear.bias)
    permuted = eqx.tree_at(head, state, tuple(leaf[back] for leaf in head(state)))
    if name == "fine-tune":
        hidden = lambda s: [
            getattr(s.params.predictors.predictors, n).hidden.weight for n in ("input", "output", "write")
        ]
        moved = [jnp.concatenate([w[:, :-WAY], w[:, -WAY:][:, back]], axis=1) for w in hidden(permuted)]
        permuted = eqx.tree_at(hidden, permuted, moved)
    else:
        write = lambda s: s.params.network.cell.controllers.write.input_weight
        w = write(permuted)
        permuted = eqx.tree_at(write, permuted, jnp.concatenate([w[:, :-WAY], w[:, -WAY:][:, back]], axis=1))
    before, after = EVALUATE(one, state, batch), EVALUATE(one, permuted, relabelled)
    np.testing.assert_allclose(after["loss"].total, before["loss"].total, rtol=0, atol=6 * LOGITS)
    unmoved = EVALUATE(one, state, relabelled)
    assert np.abs(unmoved["loss"].total - before["loss"].total).max() > 1e-2


@pytest.mark.parametrize("name", BOTH)
def test_evaluating_changes_nothing(name: str) -> None:
    one, state = trained(name)
    before = jax.tree.map(np.array, state)
    EVALUATE(one, state, given())
    assert eqx.tree_equal(jax.tree.map(np.array, state), before)


# --- learning


@pytest.mark.parametrize(
    ("protocol", "regime"),
    [("in-context", "true"), ("fine-tune", "true"), ("fine-tune", "meta")],
)
def test_an_easy_task_is_learned(protocol: str, regime: str) -> None:
    """Three characters without much noise; chance is a third, and labels change from episode to episode."""
    path = feedback(regime, "local", alpha=5.0)
    if protocol == "in-context":
        one = learner(InContextConfig(path), nmn("write", "key-value", WIDE))
    else:
        one = learner(FineTuneConfig(path, steps=2), nmn(conv=WIDE))
    state: LearnerState = one.init(key=jax.random.key(1))
    for step in range(150):
        state, _ = UPDATE(one, state, given(step))
    scorer = with_statistics(one, "support")
    accuracies = np.concatenate([EVALUATE(scorer, state, given(1000 + i))["accuracy"].value for i in range(8)])
    assert np.mean(accuracies) > 0.8
