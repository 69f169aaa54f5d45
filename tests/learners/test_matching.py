"""Matching networks: similarities and context embeddings against a naive twin, and a configuration."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.tiny import CONV, SPEC, WAY, Marks, episodes

import fastslow as fs
from fastslow.learners.matching import FLOOR, MatchingConfig

KEY = jax.random.key(2)
MODEL = fs.EmbedderConfig(CONV)


def build(**choices: Any) -> fs.Trainable:
    return MatchingConfig(**choices).build(MODEL, SPEC, fs.AdamConfig().build(10), batch=2)


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(cell: Any, h: np.ndarray, c: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = (np.asarray(leaf) for leaf in (cell.input_weight, cell.hidden_weight, cell.bias))
    into, recurrent, bias = weights
    i, f, g, o = np.split(into @ x + recurrent @ h + bias, 4)
    c = logistic(f) * c + logistic(i) * np.tanh(g)
    return logistic(o) * np.tanh(c), c


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def with_context(context: Any, support: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`g` of the support set and `f` of a query."""
    g = support.copy()
    for cell, order in ((context.forward, range(len(support))), (context.backward, reversed(range(len(support))))):
        h = c = np.zeros(support.shape[1])
        for i in order:
            h, c = lstm(cell, h, c, support[i])
            g[i] += h
    h, c = query, np.zeros_like(query)
    for _ in range(context.steps):
        recalled = sum(a * row for a, row in zip(softmax(g @ h), g, strict=True))
        hat, c = lstm(context.query, h, c, np.concatenate([query, recalled]))
        h = hat + query
    return g, h


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "choices",
    [{}, {"scale": "one"}, {"similarity": "distance", "scale": "one"}, {"context_steps": 3}],
    ids=["learned scale", "as printed", "distance", "context"],
)
def test_answers_agree_with_a_naive_twin(choices: dict[str, Any]) -> None:
    learner = build(statistics="support", **choices)
    state = learner.init(key=KEY)
    support, queries = Marks(shot=2).sample(KEY, jnp.asarray(0)).support, episodes(1, 5).query.inputs[0]
    found = jax.jit(lambda s: learner.predict(learner.adapt(s, support, key=KEY), queries))(state)
    features, statistics = (jax.tree.map(np.asarray, part) for part in state.params.embed(support.inputs, None))
    asked = np.asarray(state.params.embed(queries, jax.tree.map(jnp.asarray, statistics))[0])
    for row, x in zip(np.asarray(found), asked, strict=True):
        g = features
        if state.params.context is not None:
            g, x = with_context(state.params.context, features, x)
        if choices.get("similarity") == "distance":
            similar = np.array([-sum((x - item) ** 2) for item in g])
        else:
            similar = np.array([x @ item / np.linalg.norm(x) / np.linalg.norm(item) for item in g])
        attention = softmax(similar * (1 if choices.get("scale") == "one" else 10))
        p = np.array([sum(attention[np.asarray(support.labels) == j]) + FLOOR for j in range(WAY)])
        # nine steps of sums of a dozen products; the floor's six columns add 6e-8 to a sum that is divided by
        np.testing.assert_allclose(np.exp(row), p, rtol=1e-6)


@pytest.mark.usefixtures("double")
def test_it_does_not_depend_on_the_order_without_context() -> None:
    learner = build(statistics="support")
    state = learner.init(key=KEY)
    episode = Marks(shot=2).sample(KEY, jnp.asarray(0))
    answer = jax.jit(lambda s: learner.predict(learner.adapt(state, s, key=KEY), episode.query.inputs))
    turned = jax.tree.map(lambda leaf: leaf[::-1], episode.support)
    np.testing.assert_allclose(answer(turned), answer(episode.support), rtol=1e-9)


def test_a_model_with_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="embedder"):
        MatchingConfig().build(fs.NetworkConfig(CONV), SPEC, fs.AdamConfig().build(1), batch=1)
