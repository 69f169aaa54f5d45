"""Streams of values of one function: the process against its textbook, episodes by their statistics."""

import hashlib
import re
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference import gaussian_process as twin
from tests.reference.rounding import rounding

from fastslow._checks import UserError
from fastslow.metrics import LOG_LIKELIHOOD, Axis
from fastslow.tasks.gaussian_process import (
    SPLITS,
    GaussianProcessConfig,
    GaussianProcessTask,
    posterior,
    sequential_nll,
)
from fastslow.tasks.targets import Gaussian

STEP = jnp.int32(0)
CONFIG = GaussianProcessConfig(dimensions=2, length=9, scale=1.3, variance=2.5, jitter=0.02, reach=2.0)
SOLVED = rounding(CONFIG.length**2, scale=1 + CONFIG.length * CONFIG.variance / CONFIG.jitter, precision=np.float64)
"""Rounding errors of what takes a factor of the covariance of nine values: by their number and its condition."""


@eqx.filter_jit
def drawn(task, keys):
    return jax.vmap(lambda key: task.sample(key, STEP))(keys)


def episodes(config, count, seed=0, split="train"):
    return drawn(GaussianProcessTask(config, split), jax.random.split(jax.random.key(seed), count))


def process(config):
    return {"variance": config.variance, "scale": config.length_scale, "jitter": config.jitter}


def some_values(config, seed=0):
    rng = np.random.default_rng(seed)
    xs = rng.uniform(-config.reach, config.reach, (config.length, config.dimensions))
    return xs, rng.normal(size=config.length)


# --- the true process


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_posterior_is_the_textbooks(dimensions):
    config = replace(CONFIG, dimensions=dimensions)
    xs, ys = some_values(config)
    asked = np.concatenate([xs[:2], np.random.default_rng(1).uniform(-3, 3, (5, dimensions))])
    with jax.enable_x64(True):
        mean, deviation = posterior(config, jnp.asarray(xs), jnp.asarray(ys), jnp.asarray(asked))
    expected = twin.posterior(xs, ys, asked, **process(config))
    np.testing.assert_allclose(mean, expected[0], rtol=SOLVED, atol=SOLVED)
    np.testing.assert_allclose(deviation, expected[1], rtol=SOLVED, atol=SOLVED)


def test_the_posterior_of_nothing_is_the_prior():
    mean, deviation = posterior(CONFIG, jnp.zeros((0, 2)), jnp.zeros(0), jnp.ones((3, 2)))
    np.testing.assert_array_equal(mean, 0)
    np.testing.assert_allclose(deviation, np.sqrt(2.52), rtol=rounding(4))


def test_a_value_seen_is_known_and_a_far_one_is_not():
    config = GaussianProcessConfig()
    places = jnp.asarray([[0.0], [100.0]])
    mean, deviation = posterior(config, places[:1], jnp.asarray([1.7]), places)
    # one value of variance 1 under noise of variance j: mean y / (1 + j), variance 1 + j − 1 / (1 + j)
    np.testing.assert_allclose(mean, [1.7 / 1.001, 0], rtol=rounding(8))
    np.testing.assert_allclose(deviation**2, [1.001 - 1 / 1.001, 1.001], rtol=0, atol=rounding(8))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_nll_is_that_of_one_posterior_after_the_other(dimensions):
    config = replace(CONFIG, dimensions=dimensions)
    xs, ys = some_values(config, seed=2)
    with jax.enable_x64(True):
        nll = sequential_nll(config, jnp.asarray(xs), jnp.asarray(ys))
    np.testing.assert_allclose(nll, twin.sequential_nll(xs, ys, **process(config)), rtol=SOLVED, atol=SOLVED)


@pytest.mark.parametrize("scale", [None, 100.0])
def test_single_precision_is_enough_down_to_the_least_jitter(scale):
    config = GaussianProcessConfig(length=40, scale=scale, jitter=2e-5)
    with pytest.raises(UserError):
        GaussianProcessTask(replace(config, jitter=1.9e-5), "train")
    episode = jax.tree.map(lambda leaf: leaf[0], episodes(config, 1))
    nll = sequential_nll(config, episode.inputs.x, episode.targets[:, 0])
    xs, ys = (np.asarray(array, np.float64) for array in (episode.inputs.x, episode.targets[:, 0]))
    expected = twin.sequential_nll(xs, ys, **process(config))
    assert np.abs(nll - expected).max() < 0.1
    assert np.abs(nll - expected).mean() < 0.01


def test_values_that_repeat_stay_finite():
    config = GaussianProcessConfig(length=400, jitter=2e-4)
    xs, ys = np.ones((400, 1)), np.full(400, 0.3)
    single = [jnp.asarray(array, jnp.float32) for array in (xs, ys)]
    assert np.isfinite(sequential_nll(config, *single)).all()
    assert np.isfinite(posterior(config, *single, single[0][:1])).all()
    # after t equal values y: mean t y / (t + j), and variance j / (t + j) of the function, plus j of the noise
    t = np.arange(401)
    means, variances = 0.3 * t / (t + 2e-4), 2e-4 / (t + 2e-4) + 2e-4
    expected = 0.5 * (0.3 - means[:400]) ** 2 / variances[:400] + 0.5 * np.log(2 * np.pi * variances[:400])
    tolerance = rounding(400, scale=400 / 2e-4, precision=np.float64)
    with jax.enable_x64(True):
        nll = sequential_nll(config, jnp.asarray(xs), jnp.asarray(ys))
        mean, deviation = posterior(config, jnp.asarray(xs), jnp.asarray(ys), jnp.asarray(xs[:1]))
    np.testing.assert_allclose(nll, expected, rtol=tolerance)
    np.testing.assert_allclose(mean, means[400], rtol=tolerance)
    np.testing.assert_allclose(deviation, np.sqrt(variances[400]), rtol=tolerance)


# --- episodes


def test_an_episode_has_its_shapes():
    for dimensions in (1, 2, 3):
        task = GaussianProcessTask(GaussianProcessConfig(dimensions=dimensions, length=4), "test")
        episode = jax.eval_shape(lambda key, task=task: task.sample(key, STEP), jax.random.key(0))
        assert episode.inputs.x.shape == (4, dimensions)
        assert episode.inputs.label.shape == (4, 1)
        assert episode.targets.shape == (4, 1)
        assert episode.inputs.x.dtype == episode.inputs.label.dtype == episode.targets.dtype == jnp.float32


def test_each_value_is_shown_one_step_late():
    episode = episodes(CONFIG, 3)
    np.testing.assert_array_equal(episode.inputs.label[:, 0], 0)
    np.testing.assert_array_equal(episode.inputs.label[:, 1:], episode.targets[:, :-1])


def test_the_axis_counts_the_values_seen_before():
    episode = episodes(CONFIG, 3)
    np.testing.assert_array_equal(episode.axis_index, [range(9)] * 3)
    assert episode.mask.all()


def test_inputs_are_uniform_in_their_range():
    xs = np.asarray(episodes(CONFIG, 2000).inputs.x).reshape(-1, 2)
    assert np.abs(xs).max() <= 2
    for dimension in (0, 1):
        counts = np.histogram(xs[:, dimension], bins=8, range=(-2, 2))[0] / len(xs)
        np.testing.assert_allclose(counts, 1 / 8, atol=0.0125)  # 5 sigma of 18,000
    assert abs(np.corrcoef(xs.T)[0, 1]) < 0.04


def covariances_of(xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The textbook's, of values at each episode's inputs, and squared distances between these."""
    squares = ((xs[:, :, None] - xs[:, None]) ** 2).sum(-1)
    return 2.5 * np.exp(-squares / (2 * 1.3**2)) + 0.02 * np.eye(9), squares


def test_values_have_the_priors_covariance():
    """Whitened by the textbook's covariance, values are uncorrelated and of variance 1, in each place of a stream."""
    episode = episodes(CONFIG, 2000)
    xs, ys = np.asarray(episode.inputs.x, np.float64), np.asarray(episode.targets[..., 0], np.float64)
    covariances, squares = covariances_of(xs)
    np.testing.assert_allclose(
        covariances[0] - 0.02 * np.eye(9), twin.covariance(xs[0], xs[0], 2.5, 1.3), rtol=0, atol=SOLVED
    )
    white = np.linalg.solve(np.linalg.cholesky(covariances), ys[..., None])[..., 0]
    np.testing.assert_allclose(white.mean(0), 0, atol=0.12)  # 5 sigma
    np.testing.assert_allclose(white.T @ white / 2000, np.eye(9), atol=0.16)
    # and of near pairs more directly
    near = (squares > 0) & (squares < 0.25)
    found, expected = (ys[:, :, None] * ys[:, None])[near], covariances[near]
    assert abs(found.mean() - expected.mean()) < 0.25
    assert expected.mean() > 2.2


def test_the_mean_nll_is_the_entropy_of_the_process():
    """Its mean nll is the entropy of a normal distribution with the textbook's covariance, and falls over time."""
    episode = episodes(CONFIG, 2000)
    nll = jax.jit(jax.vmap(lambda x, y: sequential_nll(CONFIG, x, y)))(episode.inputs.x, episode.targets[..., 0])
    covariances, _ = covariances_of(np.asarray(episode.inputs.x, np.float64))
    entropy = 0.5 * (np.linalg.slogdet(covariances)[1] / 9 + np.log(2 * np.pi * np.e))
    assert abs(np.mean(np.mean(nll, axis=1) - entropy)) < 0.027  # 5 sigma of 18,000 numbers of deviation 0.71
    by_step = np.mean(nll, axis=0)
    assert by_step[0] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * 2.52), abs=5 * np.sqrt(0.5 / 2000))  # 5 sigma
    assert by_step[-1] < by_step[4] < by_step[0] - 0.2


def test_an_episode_is_a_function_of_its_key():
    first, again, other = (jax.tree.map(np.asarray, episodes(CONFIG, 3, seed)) for seed in (0, 0, 1))
    assert eqx.tree_equal(first, again)
    for a, b in ((first.inputs.x, other.inputs.x), (first.targets, other.targets)):
        assert (a[0] != a[1]).all()
        assert (a != b).all()


def test_splits_draw_different_functions_from_the_same_key():
    found = [episodes(CONFIG, 3, split=split) for split in SPLITS]
    for i in range(3):
        for j in range(i):
            assert (np.asarray(found[i].inputs.x) != np.asarray(found[j].inputs.x)).all()
            assert (np.asarray(found[i].targets) != np.asarray(found[j].targets)).all()


def test_one_trace_serves_all_keys():
    once = eqx.filter_jit(eqx.debug.assert_max_traces(lambda task, key, step: task.sample(key, step), max_traces=1))
    task, keys = GaussianProcessTask(CONFIG, "train"), jax.random.split(jax.random.key(0), 3)
    with jax.enable_x64(True):
        side_by_side = episodes(CONFIG, 3)
        for i, key in enumerate(keys):
            alone = once(task, key, STEP + i)
            np.testing.assert_array_equal(alone.inputs.x, side_by_side.inputs.x[i])
            np.testing.assert_allclose(alone.targets, side_by_side.targets[i], rtol=SOLVED, atol=SOLVED)


# --- settings


def test_the_spec_names_its_metrics_and_the_values_seen():
    """By numbers of values seen before, as far as an episode goes."""
    spec = GaussianProcessConfig(dimensions=3).spec
    assert (spec.kind, spec.episode, spec.shape, spec.label) == ("gaussian-process", "sequence", (3,), 1)
    assert isinstance(spec.target, Gaussian)
    assert (spec.tokens, spec.padded, spec.chance) == (None, False, None)
    assert [metric.key for metric in spec.metrics] == ["log_likelihood", "log_likelihood/seen"]
    assert spec.monitor == LOG_LIKELIHOOD == spec.metrics[0]
    assert spec.metrics[1].axis == Axis("seen", (0, 10, 20, 50, 99))
    assert GaussianProcessConfig(length=20).spec.metrics[1].axis == Axis("seen", (0, 10))


def test_streams_are_drawn_without_end():
    task = GaussianProcessTask(CONFIG, "train")
    assert task.size() is None
    with pytest.raises(UserError, match="expected a task of finite data; GaussianProcessTask draws its episodes"):
        task.at(STEP)


def test_more_dimensions_have_a_longer_scale_unless_one_is_asked_for():
    assert [GaussianProcessConfig(dimensions=d).length_scale for d in (1, 2, 3)] == [0.5, 1.5, 3.0]
    assert GaussianProcessConfig(dimensions=3, scale=0.7).length_scale == 0.7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dimensions": 0}, "dimensions: got 0, expected 1, 2 or 3"),
        ({"dimensions": 4}, "dimensions: got 4"),
        ({"length": 0}, "length: got 0"),
        ({"scale": 0.0}, "scale: got 0.0"),
        ({"scale": -1.0}, "scale: got -1.0"),
        ({"variance": 0.0}, "variance: got 0.0"),
        ({"reach": -5.0}, "reach: got -5.0"),
        ({"jitter": 0.0}, "jitter: got 0.0"),
        ({"jitter": float("nan")}, "jitter: got nan"),
        ({"jitter": 1e-6, "length": 100}, "covariance of 100 values singular in single precision; try 0.0001"),
        ({"jitter": 1e-3, "length": 100, "variance": 100.0}, "jitter: got 0.001"),
    ],
)
def test_bad_settings_are_refused(change, words):
    config = replace(GaussianProcessConfig(), **change)
    with pytest.raises(UserError, match=re.escape(words)):
        config.build()
    with pytest.raises(UserError, match=re.escape(words)):
        GaussianProcessTask(config, "train")


def test_what_is_advised_is_taken():
    for length in (7, 50, 100, 333):
        with pytest.raises(UserError) as caught:
            GaussianProcessTask(GaussianProcessConfig(length=length, jitter=1e-9), "train")
        advised = float(str(caught.value).rsplit("try ", 1)[1].removesuffix("."))
        GaussianProcessTask(GaussianProcessConfig(length=length, jitter=advised), "train")


def test_the_true_process_refuses_what_it_cannot_answer():
    config = GaussianProcessConfig(length=1, jitter=1e-6)
    many, values = jnp.zeros((50, 1)), jnp.zeros(50)
    for asked in (lambda: sequential_nll(config, many, values), lambda: posterior(config, many, values, many)):
        with pytest.raises(UserError, match="covariance of 50 values singular"):
            asked()
    with pytest.raises(UserError, match="places of 2 numbers"):
        sequential_nll(GaussianProcessConfig(), jnp.zeros((3, 2)), jnp.zeros(3))
    with pytest.raises(UserError, match="split"):
        GaussianProcessTask(GaussianProcessConfig(), "dev")


def test_tasks_name_their_process():
    tasks = CONFIG.build()
    assert [task.split for task in (tasks.train, tasks.validation, tasks.test)] == list(SPLITS)
    assert tasks.data == {
        "name": "gaussian-process",
        "split": "a stream of keys each",
        "digest": tasks.digest,
        "scheme": "draws-sha256",
    }
    assert len(tasks.digest) == len(hashlib.sha256().hexdigest())
    assert replace(CONFIG, length=5).build().digest == tasks.digest
    for change in ({"dimensions": 3}, {"scale": 1.0}, {"variance": 1.0}, {"jitter": 0.1}, {"reach": 1.0}):
        assert replace(CONFIG, **change).build().digest != tasks.digest
