"""One suite for every baseline. A new baseline is one row of `BASELINES`."""

from collections.abc import Callable
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.streams import batch, counts
from tests.learners.tiny import WAY, episodes

from fastslow.baselines.base import Baseline
from fastslow.baselines.gp_oracle import GPOracle
from fastslow.baselines.pixel_neighbours import PixelNeighbours
from fastslow.baselines.stream_neighbours import StreamNeighbours
from fastslow.metrics import ACCURACY, Axis
from fastslow.tasks.gaussian_process import GaussianProcessConfig, GaussianProcessTask

BATCH, STEPS = 3, 8
KEY = jax.random.key(0)
PROCESS = GaussianProcessConfig(length=STEPS)


def streams(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, WAY, (BATCH, STEPS))
    x = np.eye(WAY)[classes] + 0.3 * rng.normal(size=(BATCH, STEPS, WAY))
    return batch(x, np.eye(WAY)[classes], np.stack([counts(row) for row in classes]))


def functions(seed: int) -> Any:
    keys = jax.random.split(jax.random.key(seed), BATCH)
    return jax.vmap(lambda key: GaussianProcessTask(PROCESS, "train").sample(key, jnp.int32(0)))(keys)


BASELINES: dict[str, tuple[Baseline, Callable[[int], Any]]] = {
    "pixel-neighbours": (PixelNeighbours(way=WAY), lambda seed: episodes(BATCH, seed, noise=0.5)),
    "stream-neighbours": (StreamNeighbours((ACCURACY.along(Axis("instance", (1, 2, 3))),)), streams),
    "gp-oracle": (GPOracle(PROCESS, PROCESS.spec.metrics), functions),
}
every_baseline = pytest.mark.parametrize("name", BASELINES)


@cache
def evaluated(name: str, seed: int = 0) -> dict:
    one, draw = BASELINES[name]
    compute = eqx.filter_jit(
        eqx.debug.assert_max_traces(lambda one, given, key: one.evaluate(given, key=key), max_traces=1)
    )
    return compute(one, draw(seed), KEY)


@every_baseline
def test_it_has_nothing_to_train(name: str) -> None:
    assert not jax.tree.leaves(eqx.filter(BASELINES[name][0], eqx.is_array))


@every_baseline
def test_an_evaluation_gives_a_figure_for_each_episode(name: str) -> None:
    one, found = BASELINES[name][0], evaluated(name)
    for metric in one.metrics:
        figure = found[metric.key]
        expected = (BATCH,) if metric.axis is None else (BATCH, len(metric.axis.labels))
        assert figure.total.shape == figure.count.shape == expected
        assert np.isfinite(figure.total).all()
        if metric.bounds is not None:
            assert (figure.total >= metric.bounds[0] * figure.count).all()
            assert (figure.total <= metric.bounds[1] * figure.count).all()
        assert metric.reduce(jax.tree.map(lambda part: part[None], figure))


@every_baseline
def test_an_evaluation_follows_its_episodes_and_its_key(name: str) -> None:
    one, draw = BASELINES[name]
    assert eqx.tree_equal(one.evaluate(draw(0), key=KEY).keys(), evaluated(name).keys())
    assert eqx.tree_equal(evaluated.__wrapped__(name), evaluated(name))
    totals = lambda found: np.concatenate([np.ravel(figure.total) for figure in found.values()])
    assert (totals(evaluated(name, 1)) != totals(evaluated(name))).any()
