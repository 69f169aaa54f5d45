"""Learning to reconstruct the images of streams: against a twin, without padding, and downhill."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.streams import batch

from fastslow._checks import UserError
from fastslow.baselines.stream_neighbours import StreamNeighbours
from fastslow.learners.autoencoder import AutoencoderLearner
from fastslow.models.autoencoder import Autoencoder
from fastslow.optim.config import OptimiserConfig, build_optimiser
from fastslow.tasks.base import Examples, SequenceEpisode

KEY = jax.random.key(0)
BATCH, STEPS, SIDE = 2, 6, 3
LEARNER = AutoencoderLearner(
    build=lambda key: Autoencoder(SIDE * SIDE, 12, 2, key=key),
    optimiser=build_optimiser(OptimiserConfig(learning_rate=1e-2), 1000),
)
UPDATE = jax.jit(eqx.debug.assert_max_traces(lambda state, given: LEARNER.update(state, given, key=KEY), max_traces=1))
EVALUATE = jax.jit(lambda state, given: LEARNER.evaluate(state, given, key=KEY))


def first_state():
    return LEARNER.init(key=KEY)


def streams(seed: int = 0) -> SequenceEpisode:
    """Bars, upright or level, of any strength; the second stream ends in two steps of padding."""
    rng = np.random.default_rng(seed)
    bars = np.zeros((2, SIDE, SIDE))
    bars[0, 1], bars[1, :, 1] = 1, 1
    images = rng.uniform(0, 1, (BATCH, STEPS, 1, 1)) * bars[rng.integers(0, 2, (BATCH, STEPS))]
    instance = np.ones((BATCH, STEPS), int)
    instance[1, -2:] = 0
    images[1, -2:] = 77
    return batch(images, np.zeros((BATCH, STEPS, 2)), instance)


def shown(images: SequenceEpisode, episodes: range) -> np.ndarray:
    """Rows of pixels of the steps that count."""
    rows = [images.inputs[b, t] for b in episodes for t in range(STEPS) if images.instance[b, t] > 0]
    return np.stack(rows).reshape(len(rows), -1)


def figures(network: Autoencoder, rows: np.ndarray) -> tuple[float, float]:
    """Mean squared error, and one less its share of the squared distances from the mean image."""
    error, away, mean = 0.0, 0.0, sum(rows) / len(rows)
    for row in rows:
        error += ((np.asarray(network.decode(network.encode(jnp.asarray(row)))) - row) ** 2).sum()
        away += ((row - mean) ** 2).sum()
    return error / rows.size, 1 - error / away


def trained(updates: int):
    state, metrics = first_state(), []
    for seed in range(updates):
        state, told = UPDATE(state, streams(seed))
        metrics.append(told)
    return state, metrics


def test_metrics_are_the_twins() -> None:
    state, _ = trained(40)
    after, metrics = UPDATE(state, streams(200))
    loss, explained = figures(state.params, shown(streams(200), range(BATCH)))
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["explained_variance"], explained, rtol=1e-3)
    assert 0.3 < explained < 1
    assert jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype, x.weak_type), state
    )


def test_evaluation_is_the_twins_for_each_episode() -> None:
    state, _ = trained(40)
    scored = EVALUATE(state, streams(200))
    for b in range(BATCH):
        loss, explained = figures(state.params, shown(streams(200), range(b, b + 1)))
        np.testing.assert_allclose(scored["loss"][b], loss, rtol=1e-4)
        np.testing.assert_allclose(scored["explained_variance"][b], explained, rtol=1e-3)


def test_training_lowers_the_loss() -> None:
    _, metrics = trained(120)
    first, last = metrics[0], metrics[-1]
    assert last["loss"] < 0.05 * first["loss"]
    assert first["explained_variance"] < 0  # worse than the mean image
    assert last["explained_variance"] > 0.9
    assert np.isfinite([value for told in metrics for value in told.values()]).all()


def test_padding_changes_nothing() -> None:
    plain, state = streams(), first_state()
    other = eqx.tree_at(lambda e: (e.inputs, e.targets), plain, (plain.inputs.at[1, -2:].set(-5), plain.targets + 1))
    assert eqx.tree_equal(UPDATE(state, plain), UPDATE(state, other))
    assert eqx.tree_equal(EVALUATE(state, plain), EVALUATE(state, other))


def test_images_that_are_all_alike_explain_nothing() -> None:
    alike = eqx.tree_at(lambda e: e.inputs, streams(), jnp.full((BATCH, STEPS, SIDE, SIDE), 0.25, jnp.float32))
    after, metrics = UPDATE(first_state(), alike)
    assert metrics["explained_variance"] == 0
    assert np.isfinite(metrics["loss"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.params))


def test_it_names_no_classes_but_its_features_do() -> None:
    state, _ = trained(40)
    support = Examples(streams().inputs[0], jnp.arange(STEPS, dtype=jnp.int32))
    with pytest.raises(UserError, match="give `StreamNeighbours` its `encode`"):
        LEARNER.adapt(state, support, key=KEY)
    with pytest.raises(UserError, match="names no classes"):
        LEARNER.predict(None, support.inputs)
    neighbours = StreamNeighbours(state.params.encode, way=STEPS)
    log_probabilities = neighbours.predict(neighbours.adapt(neighbours.init(key=KEY), support, key=KEY), support.inputs)
    np.testing.assert_array_equal(jnp.argmax(log_probabilities, axis=1), support.labels)
