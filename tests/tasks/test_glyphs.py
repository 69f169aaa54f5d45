from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.rounding import rounding

from fastslow._checks import UserError
from fastslow.metrics import ACCURACY
from fastslow.tasks import glyphs
from fastslow.tasks.base import Examples
from fastslow.tasks.glyphs import CLASSES_PER_SPLIT, SPLITS, GlyphsConfig, GlyphsTask, class_key, class_numbers
from fastslow.tasks.strokes import EDGE, MOST_JITTER, SHAKES, SIZE, STROKES, class_program, draw, ink, render
from fastslow.tasks.targets import Categorical

STEP = jnp.int32(0)
DRAWING = rounding(40, scale=SIZE)
"""What rounding may change of ink: some forty operations lead from a program to places of up to 28 pixels."""


@eqx.filter_jit
def episodes(task, keys):
    return jax.vmap(lambda key: task.sample(key, STEP))(keys)


@jax.jit
def programs(numbers):
    """The programs of 300 classes."""
    return jax.vmap(lambda number: class_program(class_key(number)))(numbers)


@jax.jit
def drawings_of(programs, shakes):
    """240 drawings."""
    return jax.vmap(draw)(programs, shakes)


def batch_of(seed):
    """200 episodes of test classes."""
    keys = jax.random.split(jax.random.key(seed), 200)
    return jax.tree.map(np.asarray, episodes(GlyphsTask(GlyphsConfig(), "test"), keys))


@pytest.fixture(scope="module")
def test_episodes():
    return batch_of(11)


@pytest.fixture(scope="module")
def alphabet():
    """Programs of 300 classes, 100 of each split."""
    return programs(jnp.concatenate([class_numbers(split, jnp.uint32(500), 100) for split in SPLITS]))


def rows(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


@pytest.fixture(scope="module")
def sheet(alphabet):
    """60 classes, four drawings of each."""
    shakes = jax.random.uniform(jax.random.key(5), (240, SHAKES), minval=-1.0, maxval=1.0)
    return np.asarray(drawings_of(rows(alphabet, jnp.repeat(jnp.arange(60), 4)), shakes)).reshape(60, 4, SIZE, SIZE)


# --- the twin: ink by the textbook's distance from a point to a segment, pixel by pixel


def twin_ink(paths, radius):
    image = np.zeros((SIZE, SIZE))
    for row in range(SIZE):
        for column in range(SIZE):
            nearest = np.inf
            for path in paths:
                for (ax, ay), (bx, by) in pairwise(path):
                    dx, dy = bx - ax, by - ay
                    along = ((column - ax) * dx + (row - ay) * dy) / (dx * dx + dy * dy)
                    along = min(max(along, 0.0), 1.0)
                    nearest = min(nearest, np.hypot(column - ax - along * dx, row - ay - along * dy))
            image[row, column] = min(max((radius - nearest) / EDGE + 0.5, 0.0), 1.0)
    return image


def test_ink_is_that_of_the_twin():
    paths = np.random.default_rng(0).uniform(3, 24, (2, 4, 2)).astype(np.float32)
    # distances beside and beyond a segment are some roundings of numbers up to 28 away, and ink is as far as they
    np.testing.assert_allclose(
        ink(jnp.asarray(paths), jnp.float32(1.2)), twin_ink(paths, 1.2), rtol=0, atol=2 * rounding(6, scale=SIZE)
    )


def test_ink_of_a_dot_and_of_a_level_line_is_exact():
    dot = ink(jnp.array([[[9.0, 4.0], [9.0, 4.0]]]), jnp.float32(0.5))
    assert dot[4, 9] == 1
    assert float(dot.sum()) == 1
    line = np.asarray(ink(jnp.array([[[5.0, 10.0], [20.0, 10.0]]]), jnp.float32(1.0)))
    assert (line[10, 5:21] == 1).all()
    np.testing.assert_allclose(line[[9, 11], 5:21], 0.5, atol=rounding(6, scale=SIZE))
    assert line[[8, 12]].max() == 0
    np.testing.assert_allclose(line[10, [4, 21]], 0.5, atol=rounding(6, scale=SIZE))


# --- episodes


@pytest.mark.parametrize("config", [GlyphsConfig(), GlyphsConfig(way=3, shot=2, queries=4)])
def test_an_episode_has_its_shapes(config):
    task = GlyphsTask(config, "train")
    drawn = jax.eval_shape(lambda key: task.sample(key, STEP), jax.random.key(0))
    for examples, each in ((drawn.support, config.shot), (drawn.query, config.queries)):
        assert examples.inputs.shape == (config.way * each, SIZE, SIZE)
        assert examples.inputs.dtype == jnp.float32
        assert examples.labels.shape == (config.way * each,)
        assert examples.labels.dtype == jnp.int32


def test_each_class_has_its_share_and_ink_its_range(test_episodes):
    for examples, each in ((test_episodes.support, 1), (test_episodes.query, 5)):
        np.testing.assert_array_equal((examples.labels[..., None] == np.arange(5)).sum(axis=1), each)
        assert examples.inputs.min() == 0
        assert examples.inputs.max() == 1


def test_an_episode_is_a_function_of_its_key(test_episodes):
    assert eqx.tree_equal(batch_of(11), test_episodes)
    assert not np.array_equal(batch_of(12).query.inputs, test_episodes.query.inputs)


def test_labels_and_places_are_random(test_episodes):
    for examples in (test_episodes.support, test_episodes.query):
        for place in (0, -1):
            counts = np.bincount(examples.labels[:, place], minlength=5)
            assert counts.min() > 15  # 40 expected; below 15 is 4 sigma and more
            assert counts.max() < 70


def test_a_label_tells_nothing_beyond_its_episode(test_episodes):
    # Were labels tied to classes, the mean drawing of a label would differ from that of the others.
    inputs, labels = test_episodes.support.inputs, test_episodes.support.labels
    means = np.stack([inputs[labels == label].mean(0) for label in range(5)])
    spread = inputs.std(axis=(0, 1)) / np.sqrt(len(inputs))
    assert (np.abs(means - means.mean(0)) < 5 * spread + 1e-6).mean() > 0.99


def test_no_drawing_is_shown_twice(test_episodes):
    for support, query in zip(test_episodes.support.inputs[:50], test_episodes.query.inputs[:50], strict=True):
        flat = np.concatenate([support, query]).reshape(30, -1)
        apart = np.linalg.norm(flat[:, None] - flat[None], axis=-1) + 1e3 * np.eye(30)
        assert apart.min() > 0.5


# --- classes


@pytest.mark.parametrize("first", [0, 12345, CLASSES_PER_SPLIT - 2])
def test_classes_of_a_split_are_distinct_and_stay_within_it(first):
    for index, split in enumerate(SPLITS):
        numbers = np.asarray(class_numbers(split, jnp.uint32(first), 5))
        assert len(set(numbers.tolist())) == 5
        assert set(numbers // CLASSES_PER_SPLIT) == {index}


def test_episodes_of_a_split_draw_its_classes_alone(monkeypatch):
    # What a class looks like does not matter here, and takes long to compile.
    monkeypatch.setattr(glyphs, "class_program", lambda key: jnp.zeros(()))
    monkeypatch.setattr(glyphs, "draw", lambda program, shake: jnp.zeros((SIZE, SIZE)))
    drawn = {split: [] for split in SPLITS}
    for index, split in enumerate(SPLITS):

        def spy(number, seen=drawn[split]):
            jax.debug.callback(lambda value: seen.append(int(value)), number)
            return class_key(number)

        monkeypatch.setattr(glyphs, "class_key", spy)
        task = GlyphsTask(GlyphsConfig(way=4, queries=1), split)
        jax.block_until_ready(episodes(task, jax.random.split(jax.random.key(1), 20)))
        jax.effects_barrier()
        assert len(set(drawn[split])) == 80
        assert {number // CLASSES_PER_SPLIT for number in drawn[split]} == {index}


def test_different_classes_have_different_keys_and_programs(alphabet):
    numbers = jnp.concatenate([class_numbers(split, jnp.uint32(0), 1000) for split in SPLITS])
    keys = np.asarray(jax.vmap(lambda number: jax.random.key_data(class_key(number)))(numbers))
    assert len({tuple(key) for key in keys.tolist()}) == 3000
    flat = np.stack([alphabet.heading, alphabet.length], axis=1).reshape(300, -1)
    apart = np.abs(flat[:, None] - flat[None]).max(-1) + np.eye(300)
    assert apart.min() > 1e-3


def test_classes_do_not_depend_on_the_default_generator():
    usual = jax.random.bits(class_key(7), (4,))
    with jax.default_prng_impl("rbg"):
        assert eqx.tree_equal(jax.random.bits(class_key(7), (4,)), usual)


def test_characters_have_two_to_five_strokes_and_the_rest_leaves_no_ink(alphabet):
    counts = np.asarray(alphabet.present).sum(-1)
    assert set(counts.tolist()) == {2, 3, 4, 5}
    some = rows(alphabet, jnp.asarray(np.flatnonzero(counts < STROKES)[:240]))
    assert len(some.length) == 240
    other = eqx.tree_at(lambda p: p.length, some, some.length.at[:, STROKES - 1].set(50.0))
    shakes = jax.random.uniform(jax.random.key(0), (240, SHAKES))
    np.testing.assert_array_equal(drawings_of(some, shakes), drawings_of(other, shakes))


# --- drawings


@pytest.mark.parametrize("jitter", [1.0, MOST_JITTER])
def test_ink_stays_inside_the_frame(alphabet, jitter):
    # Shakes at the ends of their range bring a drawing nearest to the frame.
    shakes = jitter * jnp.sign(jax.random.normal(jax.random.key(2), (240, SHAKES)))
    drawn = np.asarray(drawings_of(rows(alphabet, jnp.arange(240)), shakes))
    assert max(drawn[:, [0, -1]].max(), drawn[:, :, [0, -1]].max()) < DRAWING
    assert (drawn.max(axis=(1, 2)) > 0.8).all()
    assert drawn.sum(axis=(1, 2)).min() > 10


def test_ink_has_a_soft_edge(sheet):
    assert (sheet == 0).mean() > 0.5
    assert (sheet > 0.95).mean() > 0.03
    assert ((sheet > 0.05) & (sheet < 0.95)).mean() > 0.03


def test_render_draws_with_the_shakes_of_its_key(alphabet):
    key = jax.random.key(1)
    shakes = jax.random.uniform(key, (SHAKES,), minval=-1.0, maxval=1.0)
    still, shaken = drawings_of(rows(alphabet, jnp.full(240, 3)), jnp.zeros((240, SHAKES)).at[1].set(shakes))[:2]
    np.testing.assert_allclose(jax.jit(render)(rows(alphabet, 3), key), shaken, rtol=0, atol=DRAWING)
    assert jnp.abs(still - shaken).max() > 0.5


def test_aligned_drawings_are_nearest_to_their_own_class(sheet):
    # Correlation at the best shift, over all shifts at once.
    spectra = np.fft.fft2(sheet / np.linalg.norm(sheet, axis=(2, 3), keepdims=True))
    match = np.fft.ifft2(spectra[:, None, 0] * spectra[None, :, 1].conj()).real.max(axis=(2, 3))
    within, between = np.diag(match), match[~np.eye(60, dtype=bool)]
    assert within.mean() > between.mean() + 2 * between.std()
    assert (match.argmax(axis=1) == np.arange(60)).mean() > 0.4  # chance is 1 in 60


def nearest_neighbour(support: Examples, query: Examples) -> float:
    flat = support.inputs.reshape(len(support.labels), -1)
    apart = np.linalg.norm(query.inputs.reshape(len(query.labels), 1, -1) - flat[None], axis=-1)
    return float((support.labels[apart.argmin(1)] == query.labels).mean())


def test_pixels_alone_do_not_solve_the_task(test_episodes):
    right = [nearest_neighbour(*rows((test_episodes.support, test_episodes.query), i)) for i in range(200)]
    assert 0.35 < np.mean(right) < 0.60


# --- the three tasks, and mistakes


def test_the_spec_is_that_of_small_images_and_as_many_classes_as_ways():
    spec = GlyphsConfig(way=3).spec
    assert (spec.kind, spec.episode, spec.shape, spec.label) == ("glyphs", "few-shot", (SIZE, SIZE), 3)
    assert isinstance(spec.target, Categorical)
    assert (spec.target.classes, spec.chance) == (3, 1 / 3)
    assert spec.metrics == (ACCURACY,)
    assert spec.monitor == ACCURACY
    assert (spec.tokens, spec.padded) == (None, False)


def test_a_learner_of_other_episodes_is_refused():
    spec = GlyphsConfig().spec
    spec.require("few-shot", "in-context")
    with pytest.raises(
        UserError, match="learner: got 'supervised', expected one for few-shot episodes, which task glyphs"
    ):
        spec.require("sequence", "supervised")


def test_episodes_are_drawn_without_end():
    task = GlyphsTask(GlyphsConfig(), "train")
    assert task.size() is None
    with pytest.raises(UserError, match="expected a task of finite data; GlyphsTask draws its episodes"):
        task.at(STEP)


def test_tasks_name_their_generator():
    tasks = GlyphsConfig().build()
    assert (tasks.train.split, tasks.validation.split, tasks.test.split) == SPLITS
    assert tasks.data == {"name": "glyphs", "split": "2**30 each", "digest": tasks.digest, "scheme": "draws-sha256"}
    assert len(bytes.fromhex(tasks.digest)) == 32
    assert GlyphsConfig(way=20).build().digest == tasks.digest
    assert GlyphsConfig(jitter=0.5).build().digest != tasks.digest


@pytest.mark.parametrize(
    ("config", "split", "named"),
    [
        (GlyphsConfig(way=0), "train", "way"),
        (GlyphsConfig(shot=0), "train", "shot"),
        (GlyphsConfig(queries=-1), "train", "queries"),
        (GlyphsConfig(jitter=2.0), "train", "jitter"),
        (GlyphsConfig(jitter=float("nan")), "train", "jitter"),
        (GlyphsConfig(), "tests", "split"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(config, split, named):
    with pytest.raises(UserError, match=f"^{named}: got"):
        GlyphsTask(config, split)


def test_training_episodes_may_have_more_classes() -> None:
    splits = GlyphsConfig(way=3, train_way=5, shot=2, queries=1).build()
    sizes = []
    for task in (splits.train, splits.validation, splits.test):
        episode = jax.eval_shape(task.sample, jax.random.key(0), jnp.asarray(0))
        sizes.append((episode.support.labels.shape[0], episode.query.labels.shape[0]))
    assert sizes == [(10, 5), (6, 3), (6, 3)]
