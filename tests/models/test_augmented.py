"""The network whose layers can add fast weights: sizes, pooling of odd images, and its parts against a naive twin."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.learners.tiny import SPEC, episodes
from tests.reference import metanet as twin
from tests.reference.rounding import operations_of, rounding

from fastslow.learners.maml import MAMLConfig
from fastslow.models.augmented import AugmentedConfig, pool_up
from fastslow.tasks.omniglot import OmniglotConfig

KEY = jax.random.key(0)


@pytest.mark.parametrize(("height", "columns"), [(4, 4), (7, 5), (1, 1)])
def test_an_odd_edge_is_pooled_alone(height: int, columns: int) -> None:
    x = np.random.default_rng(0).uniform(size=(2, height, columns, 3)).astype(np.float32)
    np.testing.assert_array_equal(pool_up(jnp.asarray(x)), np.stack([twin.pool(image) for image in x]))


def test_the_papers_network_ends_in_one_pixel() -> None:
    net = jax.eval_shape(lambda: AugmentedConfig().build(OmniglotConfig(way=5).spec, key=KEY))
    weights = sum(leaf.size for leaf in jax.tree.leaves(net.slow))
    assert net.slow.hidden.shape == (64, 64)
    assert weights == 9 * 64 + 4 * 9 * 64 * 64 + 64 * 64 + 5 * 64


@pytest.mark.usefixtures("double")
def test_layers_are_those_of_a_naive_twin() -> None:
    """Answers without fast weights, keys with fast weights that all share, answers with those of each item."""
    net = jax.tree.map(lambda w: w.astype(jnp.float64), AugmentedConfig(2, 2, 3).build(SPEC, key=KEY))
    rng = np.random.default_rng(1)
    fast = jax.tree.map(lambda w: jnp.asarray(rng.normal(size=(3, *w.shape))), net.slow)
    x = jnp.asarray(rng.uniform(size=(3, 4, 4)))
    of = lambda weights: {
        "kernels": [np.asarray(layer.kernel) for layer in weights.features],
        "hidden": np.asarray(weights.hidden),
        "readout": np.asarray(weights.readout),
    }
    nothing, slow = of(jax.tree.map(jnp.zeros_like, net.slow)), of(net.slow)
    tolerance = rounding(2 * operations_of(net.slow), scale=100, precision=np.float64)
    close = lambda found, expected: np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    one = lambda i: jax.tree.map(lambda w: w[i], fast)
    alone = lambda added, image: twin.answer(slow, [added], [np.ones(3)], np.ones(3), image)
    close(net.items(x, None)[0], [alone(nothing, image) for image in np.asarray(x)])
    close(net.keys(x, one(0)), [twin.key(slow, of(one(0)), image) for image in np.asarray(x)])
    close(net.augmented(x, fast), [alone(of(one(i)), image) for i, image in enumerate(np.asarray(x))])


def test_other_learners_train_it_as_it_is() -> None:
    learner = MAMLConfig(steps=1, statistics="support").build(AugmentedConfig(2, 2, 3), SPEC, optax.sgd(0.1), batch=2)
    state = jax.eval_shape(lambda: learner.init(key=KEY))
    after, figures = jax.eval_shape(lambda s, e: learner.update(s, e, key=KEY), state, episodes(2))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert "loss" in figures
