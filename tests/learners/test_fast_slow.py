"""Memory and inner steps together: against a naive twin, for any number of classes, and through a configuration."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import as_users_come
from tests.learners.tiny import CONV, SPEC, WAY, Marks, episodes
from tests.reference import any_way as twin

import fastslow as fs
from fastslow.learners.fast_slow import FastSlowConfig
from fastslow.learners.maml import MAMLConfig
from fastslow.learners.matching import MatchingConfig
from fastslow.learners.prototypes import PrototypesConfig
from fastslow.models.any_way import AnyWayConfig, label_codes

KEY = jax.random.key(3)
WIDTH = 4
MODEL = AnyWayConfig(CONV, width=WIDTH)
ADAM = fs.AdamConfig(learning_rate=2e-2).build(1000)


def built(model: AnyWayConfig = MODEL, **choices: Any) -> fs.Trainable:
    return FastSlowConfig(hidden=5, **choices).build(model, SPEC, ADAM, batch=2)


def controller(lstm: Any) -> dict[str, np.ndarray]:
    return {"in": np.array(lstm.input_weight), "bias": np.array(lstm.bias)}


def flat(fast: dict[str, Any]) -> list[np.ndarray]:
    return [fast["output"]["in"], fast["output"]["bias"], fast["write"]["in"], fast["write"]["bias"], fast["decoder"]]


def adapted_by_hand(params: Any, features: np.ndarray, labels: np.ndarray, model: AnyWayConfig, gradient: str) -> Any:
    """Inner steps whose gradient at the weights comes from finite differences of the logits."""
    network, classes = params.network, len(labels)
    net = {name: float(getattr(network, name)) for name in ("gain", "absent")}
    net["temperature"] = float(np.exp(network.log_temperature))
    codes = label_codes(classes, WIDTH, np.dtype(float))
    reader = controller(network.controllers.input)
    queries = [twin.lstm(reader, x) for x in features]
    fast = {"output": controller(network.controllers.output), "write": controller(network.controllers.write)}
    balanced = model.keep == "class-balanced"
    columns = np.tile(np.asarray(network.start), (classes, 1))
    for j in range(classes):
        values = [v for _, v, y, _ in twin.written(fast, queries, labels, codes, model.slots, balanced) if y == j]
        if values and network.from_values is not None:
            columns[j] += np.asarray(network.from_values) @ np.mean(values, axis=0)
    fast["decoder"] = columns
    present = np.isin(np.arange(classes), labels)
    layers = [(np.asarray(m.weight), np.asarray(m.bias)) for m in params.predictor.layers] if params.predictor else None
    rates = [np.asarray(r) for r in jax.tree.leaves((params.rates.output, params.rates.write, params.rates.decoder))]
    rates = [rates[0], rates[2], rates[3], rates[5], rates[6]]  # a fresh state is zero: its weights have no gradient
    for step in range(len(rates[0])):
        given = (queries, labels, codes, classes, model.slots, balanced)
        logits, votes = twin.support_logits(net, fast, *given)
        at_logits = np.zeros_like(logits)
        for i, label in enumerate(labels):
            if gradient != "synthetic-alone":
                at_logits[i] += twin.softmax(logits[i], present) - np.eye(classes)[label]
            if layers is not None:
                at_logits[i] += twin.predicted(layers, logits[i], label, votes[i], present)
        at_logits /= len(labels)
        slopes = []
        for array in flat(fast):
            slope = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                sides = []
                for sign in (1, -1):
                    array[place] += sign * 1e-5
                    sides.append(np.sum(at_logits * twin.support_logits(net, fast, *given)[0]))
                    array[place] -= sign * 1e-5
                slope[place] = (sides[0] - sides[1]) / 2e-5
            slopes.append(slope)
        # the decoder's steps do not shrink with the number of classes
        slopes[-1] *= present.sum()
        for array, slope, rate in zip(flat(fast), slopes, rates, strict=True):
            array -= rate[step] * slope
    memory = twin.written(fast, queries, labels, codes, model.slots, balanced)
    nearness = 0.0 if network.nearness is None else float(network.nearness)

    def answer(x: np.ndarray) -> np.ndarray:
        logits = twin.answer(net, fast, memory, twin.lstm(reader, x), classes)[0]
        for j in np.flatnonzero(present):
            mean = np.mean([row for row, y in zip(features, labels, strict=True) if y == j], axis=0)
            logits[j] -= nearness * np.sum((x - mean) ** 2)
        return logits

    return answer, present


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("model", "gradient"),
    [
        (MODEL, "synthetic"),
        (replace(MODEL, slots=2), "synthetic-alone"),
        (replace(MODEL, slots=2, keep="least-used", start="alike"), "true"),
        (replace(MODEL, slots=0), "synthetic"),
        (replace(MODEL, class_means=True), "synthetic"),
    ],
    ids=["both", "two slots", "true, last two", "no memory", "class means"],
)
def test_two_inner_steps_agree_with_a_naive_twin(model: AnyWayConfig, gradient: str) -> None:
    learner = built(model, steps=2, gradient=gradient, rate=0.5, statistics="support")
    state = learner.init(key=KEY)
    support = Marks(shot=2).sample(KEY, jnp.asarray(0)).support
    adapted = jax.jit(lambda state: learner.adapt(state, support, key=KEY))(state)
    features, statistics = state.params.network.embed(support.inputs, None)
    answer, present = adapted_by_hand(state.params, np.asarray(features), np.asarray(support.labels), model, gradient)
    queries = episodes(1, 5).query.inputs[0]
    found = learner.predict(adapted, queries)
    asked, _ = state.params.network.embed(queries, statistics)
    for row, x in zip(np.asarray(found), np.asarray(asked), strict=True):
        p = twin.softmax(answer(x), present)
        # central differences are right to about 1e-9, twice
        np.testing.assert_allclose(np.exp(row), p[:WAY], rtol=0, atol=1e-7)


@pytest.mark.usefixtures("double")
def test_the_answer_follows_a_permutation_of_the_classes_but_for_their_codes() -> None:
    learner = built(replace(MODEL, slots=0), steps=2, rate=0.5, statistics="support")
    state = learner.init(key=KEY)
    episode = Marks(shot=2).sample(KEY, jnp.asarray(0))
    turn = jnp.asarray([2, 0, 1])
    answer = jax.jit(lambda s: learner.predict(learner.adapt(state, s, key=KEY), episode.query.inputs))
    turned = eqx.tree_at(lambda s: s.labels, episode.support, turn[episode.support.labels])
    np.testing.assert_allclose(answer(turned)[:, turn], answer(episode.support), rtol=1e-9)


@pytest.mark.parametrize("gradient", ["synthetic", "true"])
def test_an_inspection_shows_what_items_and_queries_read_and_what_inner_steps_met(gradient: str) -> None:
    learner = built(replace(MODEL, slots=4), steps=2, gradient=gradient)
    state = learner.init(key=KEY)
    episode = Marks(shot=2).sample(KEY, jnp.asarray(0))
    inside, adapted = jax.jit(lambda s: (learner.inspect(s, episode), learner.adapt(s, episode.support, key=KEY)))(
        state
    )
    answers = learner.predict(adapted, episode.query.inputs)
    np.testing.assert_allclose(jax.nn.log_softmax(inside.outputs), answers, atol=1e-4)
    scores, items = np.asarray(inside.scores), np.asarray(adapted.memory.items)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert scores.shape == (2 * WAY + len(episode.query.labels), 4)
    assert [scores[item, slot] for slot, item in enumerate(items)] == [0] * 4
    np.testing.assert_allclose(inside.memory[-1], adapted.memory.values, atol=1e-5)
    first = int(items.min())
    assert not np.asarray(inside.memory[:first]).any()
    assert np.count_nonzero(np.asarray(inside.memory[first]).any(axis=1)) == 1
    true, synthetic = inside.gradients.true["logits"], inside.gradients.synthetic
    assert true.shape == (2, 2 * WAY)
    assert synthetic is None if gradient == "true" else synthetic["logits"].shape == true.shape


@pytest.mark.parametrize("choices", [{"steps": 0}, {"slots": 0}], ids=str)
def test_one_part_alone_is_not_inspected(choices: dict[str, int]) -> None:
    learner = built(replace(MODEL, slots=choices.get("slots", 4)), steps=choices.get("steps", 1))
    episode = Marks().sample(KEY, jnp.asarray(0))
    assert learner.inspect(learner.init(key=KEY), episode) is None


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (FastSlowConfig(steps=1, hidden=4), MODEL),
        (PrototypesConfig(), fs.EmbedderConfig(CONV)),
        (MatchingConfig(), fs.EmbedderConfig(CONV)),
    ],
    ids=["fast-slow", "prototypes", "matching"],
)
def test_training_episodes_may_have_more_classes(config: Any, model: Any) -> None:
    two = replace(SPEC, target=fs.Categorical(2), label=2, train_way=WAY)
    learner = config.build(model, two, ADAM, batch=2)
    state, figures = jax.jit(lambda s: learner.update(s, episodes(2, 1), key=KEY))(learner.init(key=KEY))
    assert np.isfinite(figures["loss"].value)
    three = episodes(1, 2, shot=2).support
    labels = jnp.asarray([0, 1, 0, 1])
    support = fs.Examples(three.inputs[0, :4], labels)
    answer = jax.jit(lambda s: learner.predict(learner.adapt(s, support, key=KEY), support.inputs))(state)
    assert answer.shape == (4, 2)
    with pytest.raises(ValueError, match="train_way: got 3"):
        MAMLConfig().build(fs.ClassifierConfig(CONV), two, ADAM, batch=2)


def test_a_class_without_an_example_has_no_probability() -> None:
    learner = built(steps=1, statistics="support")
    state = learner.init(key=KEY)
    support = Marks(shot=1).sample(KEY, jnp.asarray(0)).support
    two = jax.tree.map(lambda leaf: leaf[support.labels.argsort()][:2], support)
    answer = jax.jit(lambda state: learner.predict(learner.adapt(state, two, key=KEY), support.inputs))
    found = np.exp(answer(state))
    assert found.shape == (WAY, WAY)
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"steps": -1}, "steps: got -1"),
        ({"gradient": "both"}, "gradient: got 'both', expected one of synthetic"),
        ({"rate": 0.0}, "rate: got 0.0"),
        ({"statistics": "batch"}, "statistics: got 'batch'"),
    ],
)
def test_choices_that_there_are_not_are_refused(choices: dict[str, Any], sentence: str) -> None:
    with as_users_come(), pytest.raises(ValueError, match=sentence):
        built(**choices)


def test_a_network_without_labelled_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="fast_weights"):
        FastSlowConfig().build(fs.NetworkConfig(CONV), SPEC, ADAM, batch=1)
