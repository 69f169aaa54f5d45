"""An inspection shows what the learner does."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import LSTM, SPEC, WAY, WIDTH, learner, nmn
from tests.reference.rounding import rounding

from fastslow.cells.context import joined
from fastslow.learners.adapted import adapt_inner, support_segment
from fastslow.learners.few_shot import embed_episodes
from fastslow.learners.fine_tune import FineTuneConfig
from fastslow.learners.in_context import InContextConfig
from fastslow.synthetic.feedback import feedback
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.base import Examples, FewShotEpisode

pytestmark = pytest.mark.usefixtures("double")

STEPS, QUERIES, SLOTS = 2, 6, WAY + 1
KEY = jax.random.key(0)
NAMES = ("input", "output", "write")
ROUNDING = rounding(3000, scale=10, precision=np.float64)
"""Two inner steps over three items, nine steps of reading, convolutions of nine images."""
STREAM = {"support_order": "stream", "query_memory": "post-support", "statistics": "support"}
CASES = {
    "meta": (FineTuneConfig(FeedbackConfig("meta", hidden=6), STEPS), nmn()),
    "both, streamed": (
        FineTuneConfig(FeedbackConfig("both", predictor="lstm", regression=1.0, hidden=6), STEPS, **STREAM),
        nmn(),
    ),
    "true, in context": (InContextConfig(statistics="episode"), nmn("write")),
}
every_case = pytest.mark.parametrize("name", CASES)
inner_steps = pytest.mark.parametrize("name", ["meta", "both, streamed"])


@cache
def case(name: str) -> tuple:
    """A learner, its state, an episode, and what is inside."""
    one = learner(*CASES[name])
    state = one.init(key=jax.random.key(1))
    rng = np.random.default_rng(0)
    images = lambda count: jnp.asarray(rng.random((count, *SPEC.shape)))
    support = Examples(images(WAY), jnp.array([2, 0, 1]))
    query = Examples(images(QUERIES), jnp.array([0, 1, 2, 2, 1, 0]))
    episode = FewShotEpisode(support, query)
    return one, state, episode, eqx.filter_jit(lambda state, episode: one.inspect(state, episode))(state, episode)


@every_case
def test_queries_are_answered_as_the_learner_answers_them(name: str) -> None:
    one, state, episode, inside = case(name)
    log_p = np.asarray(inside.outputs) - np.log(np.sum(np.exp(inside.outputs), axis=1, keepdims=True))
    nll = -np.sum(log_p[np.arange(QUERIES), episode.query.labels])
    batch = jax.tree.map(lambda x: x[None], episode)
    evaluated = jax.jit(lambda state, batch: one.evaluate(state, batch, key=KEY))(state, batch)["loss"]
    np.testing.assert_allclose(nll, evaluated.total[0], rtol=0, atol=QUERIES * ROUNDING)
    if one.config.statistics != "episode":
        adapted = one.adapt(state, episode.support, key=KEY)
        answers = one.predict(adapted, episode.query.inputs)
        np.testing.assert_allclose(log_p, answers, rtol=0, atol=ROUNDING)


@every_case
def test_memory_and_scores_cover_the_support_set_and_the_queries(name: str) -> None:
    one, state, _, inside = case(name)
    assert inside.support == WAY
    assert inside.scores.shape == (WAY + QUERIES, SLOTS)
    assert inside.memory.shape == (WAY + QUERIES, SLOTS, WIDTH)
    np.testing.assert_allclose(np.sum(inside.scores, axis=1), np.ones(WAY + QUERIES), rtol=0, atol=ROUNDING)
    np.testing.assert_array_equal(inside.initial, state.params.network.cell.memory.initial)
    assert inside.streamed == (getattr(one.config, "query_memory", "post-support") == "post-support")


@every_case
def test_each_step_starts_from_the_memory_that_the_protocol_says(name: str) -> None:
    """`M_t − (1 − z_t) M_{t−1} = z_t m'_t` (eq. 7), so divided by `z_t` all slots hold the one vector `m'_t`."""
    *_, inside = case(name)
    memory, scores, initial = (np.asarray(x) for x in (inside.memory, inside.scores, inside.initial))
    after_support = memory[WAY - 1] if inside.streamed else initial
    for t in range(WAY + QUERIES):
        before = after_support if t >= WAY else initial
        if inside.streamed and 0 < t < WAY:
            before = memory[t - 1]
        z = scores[t][:, None]
        update = (memory[t] - (1 - z) * before) / z
        atol = rounding(8, scale=1 / z.min(), precision=np.float64)
        np.testing.assert_allclose(update, update[:1].repeat(SLOTS, axis=0), rtol=0, atol=atol)


@every_case
def test_gradients_have_a_row_for_each_inner_step_or_one_for_the_walk(name: str) -> None:
    one, _, _, inside = case(name)
    shape = (STEPS, WAY) if one.config.kind == "fine-tune" else (1, WAY + QUERIES)
    found = inside.gradients
    assert (found.synthetic is None) == (found.agreement is None) == (not one.config.feedback.predicts)
    for part in (found.true, found.synthetic, found.agreement):
        if part is None:
            continue
        for controller in NAMES:
            rows = getattr(part, controller)
            assert rows.shape == shape
            assert np.isfinite(rows).all()


def met_by_inner_steps(one, state, episode) -> list:
    """What `feedback` gives at each inner step, its steps taken by `adapt_inner` with the first rates alone."""
    batch = jax.tree.map(lambda x: x[None], episode)
    config, params = one.config, state.params
    features = embed_episodes(params.network.embed, state.model_state, batch, config.statistics)[0][0]
    labels = jax.nn.one_hot(episode.support.labels, WAY, dtype=float)
    # with a weight of eq. 11 above 0 every regime takes the true gradient beside the synthetic one
    path = replace(config.feedback, regression=1.0)
    network, found = params.network, []
    for step in range(STEPS):
        segment = support_segment(network, features, labels, config.support_order)
        taught = feedback(network.cell, network.head, params.predictors, segment, path)
        found.append((joined(taught.true), joined(taught.synthetic)))
        rates = jax.tree.map(lambda rate, last=step + 1: rate[:last], params.rates)
        shorter = eqx.tree_at(lambda p: p.rates, params, rates)
        given = (config.feedback, config.support_order, config.query_memory)
        network = adapt_inner(shorter, features, labels, *given).network
    return found


@inner_steps
def test_gradients_are_those_that_the_inner_steps_meet(name: str) -> None:
    one, state, episode, inside = case(name)
    found = eqx.filter_jit(lambda state, episode: met_by_inner_steps(one, state, episode))(state, episode)
    gradients = inside.gradients
    for step, (true, synthetic) in enumerate(found):
        for controller in NAMES:
            a, b = (np.asarray(getattr(part, controller)) for part in (true, synthetic))
            lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
            for ours, length in zip((gradients.true, gradients.synthetic), lengths, strict=True):
                np.testing.assert_allclose(getattr(ours, controller)[step], length, rtol=0, atol=ROUNDING)
            product = lengths[0] * lengths[1]
            cosine = np.where(product > 0, np.sum(a * b, axis=1) / np.where(product > 0, product, 1), 0)
            # an error in a short gradient is a large one in its direction
            atol = ROUNDING / np.min(np.where(product > 0, np.minimum(*lengths), 1))
            np.testing.assert_allclose(getattr(gradients.agreement, controller)[step], cosine, rtol=0, atol=atol)


@inner_steps
def test_a_validation_measures_the_gradients_where_asked(name: str) -> None:
    one, state, episode, inside = case(name)
    asked = learner(replace(CASES[name][0], gradients=True), CASES[name][1])
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), episode)
    plain, found = (jax.jit(lambda s, b, o=o: o.evaluate(s, b, key=KEY))(state, batch) for o in (one, asked))
    kinds = {"true": inside.gradients.true, "synthetic": inside.gradients.synthetic}
    kinds["agreement"] = inside.gradients.agreement
    means = {f"{kind}_gradient_{c}": np.mean(getattr(part, c)) for kind, part in kinds.items() for c in NAMES}
    assert set(found) - set(plain) == set(means)
    for figure, mean in means.items():
        np.testing.assert_allclose(found[figure].value, [mean, mean], rtol=1e-6, atol=ROUNDING)


def test_the_loss_does_not_depend_on_what_a_query_writes() -> None:
    """In one walk of support set and queries the loss depends on what the support set wrote, not on later writes."""
    *_, inside = case("true, in context")
    write = np.asarray(inside.gradients.true.write[0])
    assert (write[:WAY] > 0).all()
    np.testing.assert_array_equal(write[WAY:], np.zeros(QUERIES))


def test_a_cell_without_controllers_shows_nothing() -> None:
    one = InContextConfig().build(LSTM, SPEC, optax.sgd(0.1), batch=1)
    *_, episode, _ = case("meta")
    assert one.inspect(one.init(key=KEY), episode) is None
