"""Nearest neighbour over a stream: against a naive twin, its guess at the start, and what is never stored."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.streams import counts, stacked, stream
from tests.reference.rounding import rounding
from tests.reference.streams import by_instance, nearest_before

from fastslow.baselines.stream_neighbours import Features, StreamNeighbours
from fastslow.metrics import ACCURACY, Axis
from fastslow.models.autoencoder import Autoencoder
from fastslow.tasks.base import AbstractTask, Inputs, SequenceEpisode
from fastslow.training.evaluate import evaluate_all

KEY = jax.random.key(0)
WAY, STEPS, SIDE, INSTANCES = 5, 50, 3, 10
BY_INSTANCE = ACCURACY.along(Axis("instance", tuple(range(1, INSTANCES + 1))))


def neighbours(features: Features | None = None) -> StreamNeighbours:
    return StreamNeighbours((ACCURACY, BY_INSTANCE), features)


@eqx.filter_jit
def figures(one: StreamNeighbours, episodes: SequenceEpisode, key: jax.Array = KEY) -> dict:
    """Accuracy of each episode, and by instance how many are right and how many there are."""
    found = one.evaluate(episodes, key=key)
    each = found[BY_INSTANCE.key]
    return {"accuracy": found[ACCURACY.key].value, "hits": each.total, "seen": each.count}


def names(label: str) -> np.ndarray:
    """Targets of five classes: one-hot rows, or strings of five letters of which each place tells little."""
    if label == "one-hot":
        return np.eye(WAY)
    letters = np.random.default_rng(9).integers(0, 2, (WAY, 5))
    letters[:, 0] = [0, 0, 0, 1, 1]
    letters[:, 1:3] = [[0, 0], [0, 1], [1, 0], [0, 0], [0, 1]]
    return np.eye(5)[letters].reshape(WAY, 25)


def noisy(seed: int, label: str = "one-hot", noise: float = 1.0, padding: tuple[int, ...] = ()) -> SequenceEpisode:
    """Noisy images of five characters that change from stream to stream."""
    rng = np.random.default_rng(seed)
    characters = rng.normal(size=(WAY, SIDE, SIDE))
    classes = rng.integers(0, WAY, STEPS)
    instance = np.zeros(STEPS, int)
    kept = [t for t in range(STEPS) if t not in padding]
    instance[kept] = counts(classes[kept])
    inputs = characters[classes] + noise * rng.normal(size=(STEPS, SIDE, SIDE))
    return stream(inputs, names(label)[classes], instance)


@pytest.mark.parametrize("label", ["one-hot", "strings"])
@pytest.mark.parametrize("padding", [(), (0, 1, 7, 30, 48, 49)])
def test_it_agrees_with_a_naive_search(label: str, padding: tuple[int, ...]) -> None:
    episodes = stacked([noisy(seed, label, padding=padding) for seed in range(3)])
    scored = figures(neighbours(), episodes)
    for b in range(3):
        parts = episodes.inputs.x, episodes.targets, episodes.axis_index
        inputs, targets, instance = (np.asarray(leaf[b]) for leaf in parts)
        nearest = nearest_before(inputs, instance)

        def right(t: int, luck: bool, nearest=nearest, targets=targets) -> bool:
            return luck if nearest[t] is None else bool((targets[t] == targets[nearest[t]]).all())

        either = [by_instance(lambda t, luck=luck: right(t, luck), instance, 10) for luck in (False, True)]
        found = scored["accuracy"][b], scored["hits"][b].tolist(), scored["seen"][b].tolist()
        assert found[1:] in [twin[1:] for twin in either]
        np.testing.assert_allclose(found[0], either[int(found[1] == either[1][1])][0], rtol=rounding(2))
        assert 0.3 < either[0][0] < 0.95


@pytest.mark.parametrize("label", ["one-hot", "strings"])
def test_the_first_instance_is_right_once_in_n_squared(label: str) -> None:
    """Of N first instances in an episode only the very first step's can be right, by a guess out of N."""
    count = 40
    few = stacked([noisy(seed, label, noise=0.0) for seed in range(count)])
    hits = seen = np.zeros(10)
    for i in range(100):
        scored = figures(neighbours(), few, jax.random.fold_in(KEY, i))
        hits, seen = hits + np.sum(scored["hits"], axis=0), seen + np.sum(scored["seen"], axis=0)
    guesses = count * 100
    # 5 sigma of a coin of 1/5, over about five classes
    assert abs(hits[0] / guesses - 1 / WAY) < 5 * np.sqrt(0.16 / guesses)
    assert seen[0] == WAY * guesses  # every episode shows all classes
    np.testing.assert_array_equal(hits[1:], seen[1:])
    assert (seen[1:4] > 0).all()


def test_a_guess_is_one_of_the_episodes_classes_and_follows_the_key() -> None:
    """Of two classes the first step's is guessed every other time, however rare it is and however many labels exist."""
    classes = np.array([3, 17, 17, 17, 17, 17])
    many = stacked([stream(np.eye(25)[classes], np.eye(25)[classes], counts(classes))] * 1000)
    first = np.asarray(figures(neighbours(), many)["hits"][:, 0])
    assert abs(first.mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)
    assert eqx.tree_equal(figures(neighbours(), many), figures(neighbours(), many))
    other = np.asarray(figures(neighbours(), many, jax.random.key(1))["hits"][:, 0])
    assert 300 < np.sum(first != other) < 700


def test_what_comes_later_is_not_known_and_the_earliest_of_equals_is_named() -> None:
    # the third step equals the fourth, which it does not know, and is as near to the first as to the second
    inputs, classes = np.array([[-1.0], [1.0], [0.0], [0.0], [0.9]]), np.array([0, 1, 0, 2, 1])
    one = stream(inputs, np.eye(3)[classes], counts(classes))
    scored = figures(neighbours(), stacked([one]))
    np.testing.assert_array_equal(scored["hits"][0, 1], 2)  # the third step and the fifth
    np.testing.assert_array_equal(scored["seen"][0, :3], [3, 2, 0])


def test_inputs_are_compared_by_their_features() -> None:
    """The first of two numbers tells the class, the second is large noise."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, WAY, STEPS)
    inputs = np.stack([classes, 100 * rng.normal(size=STEPS)], axis=1)
    one = stream(inputs, np.eye(WAY)[classes], counts(classes))
    first = lambda x: x[:1]
    told = figures(neighbours(first), stacked([one]))
    np.testing.assert_array_equal(told["hits"][0, 1:], told["seen"][0, 1:])
    assert figures(neighbours(), stacked([one]))["accuracy"][0] < 0.6


def test_features_may_be_a_modules() -> None:
    """Its weights are arguments of a compiled function like any others."""
    network = Autoencoder(SIDE * SIDE, 6, 4, key=KEY)
    episodes = stacked([noisy(1), noisy(2)])
    scored = figures(neighbours(network.encode), episodes)
    encoded = eqx.tree_at(lambda e: e.inputs.x, episodes, jax.vmap(jax.vmap(network.encode))(episodes.inputs.x))
    np.testing.assert_array_equal(scored["hits"], figures(neighbours(), encoded)["hits"])
    assert len(jax.tree.leaves(eqx.filter(neighbours(network.encode), eqx.is_array))) == 12


class Streams(AbstractTask[SequenceEpisode]):
    """Streams of few steps."""

    def sample(self, key, step):
        class_key, noise_key = jax.random.split(key)
        classes = jax.random.randint(class_key, (12,), 0, WAY)
        same = (classes[:, None] == classes[None]) & (jnp.arange(12)[:, None] >= jnp.arange(12)[None])
        one_hot = jax.nn.one_hot(classes, WAY)
        noise = 0.3 * jax.random.normal(noise_key, (12, WAY))
        inputs = Inputs(one_hot + noise, jnp.concatenate([jnp.zeros_like(one_hot[:1]), one_hot[:-1]]))
        return SequenceEpisode(inputs, one_hot, jnp.ones(12, bool), jnp.sum(same, axis=1))


def test_it_is_measured_on_the_episodes_of_every_learner() -> None:
    drawn = lambda batch: evaluate_all(neighbours(), None, Streams(), episodes=12, batch=batch, seed=3)["accuracy"]
    found = drawn(4)
    assert found.total.shape == (1, 12)
    assert (found.count == 12).all()
    assert 1 / WAY < found.total.sum() / found.count.sum() < 1
    np.testing.assert_array_equal(drawn(5).count, found.count)
