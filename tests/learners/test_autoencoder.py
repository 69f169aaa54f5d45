"""Learning to reconstruct the images of streams: against a twin, without padding, and downhill."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.streams import batch
from tests.reference.rounding import rounding

from fastslow.learners.autoencoder import EXPLAINED, AutoencoderLearner, ReconstructionConfig
from fastslow.learners.base import Adaptable, Figures
from fastslow.models.autoencoder import Autoencoder, AutoencoderConfig
from fastslow.optim.config import AdamConfig
from fastslow.tasks.base import SequenceEpisode, TaskSpec
from fastslow.tasks.targets import Categorical

pytestmark = pytest.mark.usefixtures("double")

KEY = jax.random.key(0)
BATCH, STEPS, SIDE = 2, 6, 3
SPEC = TaskSpec("bars", "sequence", (SIDE, SIDE), Categorical(2), label=2, metrics=())
LEARNER: AutoencoderLearner = ReconstructionConfig().build(
    AutoencoderConfig(12, 2), SPEC, AdamConfig(learning_rate=1e-2).build(1000), batch=BATCH
)
UPDATE = jax.jit(eqx.debug.assert_max_traces(lambda state, given: LEARNER.update(state, given, key=KEY), max_traces=1))
EVALUATE = jax.jit(lambda state, given: LEARNER.evaluate(state, given, key=KEY))
ROUNDING = rounding(1000, scale=10, precision=np.float64)
"""Six layers of up to twelve products a unit, and sums over twelve images of nine pixels."""


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


def measured_rows(images: SequenceEpisode, episodes: range) -> np.ndarray:
    """Rows of pixels of the steps that count."""
    rows = [images.inputs.x[b, t] for b in episodes for t in range(STEPS) if images.mask[b, t]]
    return np.stack(rows).reshape(len(rows), -1)


def twin_figures(network: Autoencoder, rows: np.ndarray) -> tuple[float, float]:
    """Mean squared error, and one less its share of the squared distances from the mean image."""
    error, away, mean = 0.0, 0.0, sum(rows) / len(rows)
    for row in rows:
        error += ((np.asarray(network.decode(network.encode(jnp.asarray(row)))) - row) ** 2).sum()
        away += ((row - mean) ** 2).sum()
    return error / rows.size, 1 - error / away


@cache
def trained(updates: int) -> tuple:
    state, figures = first_state(), []
    for seed in range(updates):
        state, found = UPDATE(state, streams(seed))
        figures.append(found)
    return state, figures


def value(figures: Figures, name: str) -> float:
    return float(figures[name].value)


def test_figures_of_an_update_are_the_twins() -> None:
    state, _ = trained(120)
    after, figures = UPDATE(state, streams(200))
    loss, explained = twin_figures(state.params, measured_rows(streams(200), range(BATCH)))
    np.testing.assert_allclose(value(figures, "loss"), loss, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(value(figures, "explained_variance"), explained, rtol=0, atol=ROUNDING)
    assert 0.3 < explained < 1
    described = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)
    assert described(after) == described(state)


def test_figures_of_an_evaluation_are_the_twins_for_each_episode() -> None:
    state, _ = trained(120)
    found = EVALUATE(state, streams(200))
    for b in range(BATCH):
        loss, explained = twin_figures(state.params, measured_rows(streams(200), range(b, b + 1)))
        np.testing.assert_allclose(found["loss"].value[b], loss, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(found["explained_variance"].value[b], explained, rtol=0, atol=ROUNDING)


def test_training_lowers_the_loss() -> None:
    _, figures = trained(120)
    first, last = figures[0], figures[-1]
    assert value(last, "loss") < 0.05 * value(first, "loss")
    assert value(first, "explained_variance") < 0  # worse than the mean image
    assert value(last, "explained_variance") > 0.9
    assert np.isfinite([value(found, name) for found in figures for name in found]).all()


def test_padding_changes_nothing() -> None:
    plain, state = streams(), first_state()
    where = lambda e: (e.inputs.x, e.inputs.label, e.targets)
    other = eqx.tree_at(where, plain, (plain.inputs.x.at[1, -2:].set(-5), plain.inputs.label + 1, plain.targets + 1))
    assert eqx.tree_equal(UPDATE(state, plain), UPDATE(state, other))
    assert eqx.tree_equal(EVALUATE(state, plain), EVALUATE(state, other))


def test_images_that_are_all_alike_explain_nothing() -> None:
    alike = eqx.tree_at(lambda e: e.inputs.x, streams(), jnp.full_like(streams().inputs.x, 0.25))
    after, figures = UPDATE(first_state(), alike)
    assert value(figures, "explained_variance") == 0
    assert np.isfinite(value(figures, "loss"))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.params))


def test_it_names_no_classes() -> None:
    assert not isinstance(LEARNER, Adaptable)
    assert LEARNER.monitor == EXPLAINED
    assert LEARNER.metrics == (EXPLAINED,)
    assert ReconstructionConfig().facts == {}
