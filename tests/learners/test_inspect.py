"""What an inspection tells is what the learner does."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fastslow.learners.adapting import fit_support, support_lesson
from fastslow.learners.gradients import feedback
from fastslow.learners.regimes import AdaptConfig, FeedbackConfig

from fastslow.cells.context import joined
from fastslow.configs.config import ModelConfig, RunConfig, build_learner
from fastslow.learners.inspect import inspect_episode
from fastslow.tasks.base import Examples, FewShotEpisode
from fastslow.tasks.omniglot import OmniglotConfig

WAY, SLOTS, WIDTH, STEPS = 3, 4, 5, 2
CASES = {
    "meta": (AdaptConfig(steps=STEPS), FeedbackConfig(hidden=6), "none"),
    "both, streamed": (
        AdaptConfig(steps=STEPS, support_order="stream", query_memory="post-support", statistics="support"),
        FeedbackConfig(regime="both", predictor="lstm", regression=1.0, hidden=6),
        "none",
    ),
    "true, bind": (
        AdaptConfig(protocol="bind", query_memory="post-support", statistics="episode"),
        FeedbackConfig(regime="true"),
        "write",
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A learner, its state, an episode, and what is inside."""
    adapt, path, label_input = CASES[request.param]
    model = ModelConfig(features=6, channels=2, width=WIDTH, slots=SLOTS, label_input=label_input)
    config = RunConfig(task=OmniglotConfig(way=WAY, queries=2), model=model, adapt=adapt, feedback=path)
    learner = build_learner(config)
    state = learner.init(key=jax.random.key(1))
    rng = np.random.default_rng(0)
    support = Examples(jnp.asarray(rng.random((3, 28, 28)), jnp.float32), jnp.array([2, 0, 1]))
    query = Examples(jnp.asarray(rng.random((6, 28, 28)), jnp.float32), jnp.array([0, 1, 2, 2, 1, 0]))
    episode = FewShotEpisode(support, query)
    return learner, state, episode, inspect_episode(learner, state, episode)


@eqx.filter_jit
def answered(learner, state, episode):
    """Loss of the queries: by `evaluate` where statistics need them beside the support set, else by `predict`."""
    if learner.adaptation.statistics == "episode":
        one = jax.tree.map(lambda x: x[None], episode)
        return learner.evaluate(state, one, key=jax.random.key(0))["loss"][0]
    adapted = learner.adapt(state, episode.support, key=jax.random.key(0))
    told = learner.predict(adapted, episode.query.inputs)
    return -jnp.mean(told[jnp.arange(6), episode.query.labels])


def test_queries_are_answered_as_the_learner_answers_them(case):
    learner, state, episode, inside = case
    told = np.asarray(inside.logits) - np.log(np.sum(np.exp(inside.logits), axis=1, keepdims=True))
    loss = -np.mean(told[np.arange(6), episode.query.labels])
    np.testing.assert_allclose(loss, answered(learner, state, episode), rtol=1e-5)


def test_memory_and_scores_cover_the_support_set_and_the_queries(case):
    learner, state, _, inside = case
    assert inside.support == 3
    assert inside.scores.shape == (9, SLOTS)
    assert inside.memory.shape == (9, SLOTS, WIDTH)
    np.testing.assert_allclose(np.sum(inside.scores, axis=1), np.ones(9), rtol=1e-5)
    np.testing.assert_array_equal(inside.initial, state.params.network.cell.memory.initial)
    assert inside.streamed == (learner.adaptation.query_memory == "post-support")


def test_each_step_starts_from_the_memory_that_the_protocol_says(case):
    """`M_t − (1 − z_t) M_{t−1} = z_t m'_t` (eq. 7), so divided by `z_t` all slots hold the one vector `m'_t`."""
    *_, inside = case
    memory, scores, initial = (np.asarray(x) for x in (inside.memory, inside.scores, inside.initial))
    fork = memory[2] if inside.streamed else initial
    for t in range(9):
        before = fork if t >= 3 else initial
        if inside.streamed and 0 < t < 3:
            before = memory[t - 1]
        z = scores[t][:, None]
        update = (memory[t] - (1 - z) * before) / z
        np.testing.assert_allclose(update, update[:1].repeat(SLOTS, axis=0), atol=2e-5)


def test_gradients_have_a_row_for_each_fast_step_or_one_for_the_walk(case):
    learner, _, _, inside = case
    shape = (STEPS, 3) if learner.adaptation.protocol == "fine-tune" else (1, 9)
    for part in (inside.true, inside.synthetic, inside.agreement):
        if part is None:
            assert learner.path.regime == "true"
            continue
        for name in ("input", "output", "write"):
            rows = getattr(part, name)
            assert rows.shape == shape
            assert np.isfinite(rows).all()


@eqx.filter_jit
def met_by_fast_steps(learner, state, episode):
    """What `feedback` says at each fast step, its steps taken by `fit_support` with the first rates alone."""
    one = jax.tree.map(lambda x: x[None], episode)
    features = learner.embed(state.params.network, state.running, one)[0][0]
    labels = jax.nn.one_hot(episode.support.labels, WAY)
    params, adapt = state.params, learner.adaptation
    # eq. 11's weight above 0 makes every regime take the true gradient beside the synthetic one
    path = replace(learner.path, regression=1.0)
    network, told = params.network, []
    for step in range(STEPS):
        lesson = support_lesson(network, features, labels, adapt.support_order)
        taught = feedback(network.cell, network.head, params.predictors, lesson, path)
        told.append((joined(taught.true), joined(taught.synthetic)))
        rates = jax.tree.map(lambda rate, last=step + 1: rate[:last], params.rates)
        fitted = fit_support(params.network, params.predictors, rates, features, labels, adapt, learner.path)
        network = fitted.network
    return told


def test_gradients_are_those_that_the_fast_steps_meet(case):
    learner, state, episode, inside = case
    if learner.adaptation.protocol == "bind":
        pytest.skip("takes no fast steps")
    for step, (true, synthetic) in enumerate(met_by_fast_steps(learner, state, episode)):
        for name in ("input", "output", "write"):
            a, b = (np.asarray(getattr(part, name)) for part in (true, synthetic))
            lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
            np.testing.assert_allclose(getattr(inside.true, name)[step], lengths[0], rtol=1e-3, atol=1e-7)
            np.testing.assert_allclose(getattr(inside.synthetic, name)[step], lengths[1], rtol=1e-3, atol=1e-7)
            cosine = np.sum(a * b, axis=1) / np.maximum(lengths[0] * lengths[1], 1e-30)
            np.testing.assert_allclose(getattr(inside.agreement, name)[step], cosine, rtol=1e-2, atol=1e-3)


def test_a_query_sends_no_gradient_to_its_own_write(case):
    """In one walk of support set and queries the loss depends on what the support set wrote, not on later writes."""
    learner, *_, inside = case
    if learner.adaptation.protocol != "bind":
        pytest.skip("queries are no part of the fast steps")
    write = np.asarray(inside.true.write[0])
    assert (write[:3] > 0).all()
    np.testing.assert_array_equal(write[3:], np.zeros(6))
