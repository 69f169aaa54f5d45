"""Episodes of drawn characters: balanced, disjoint, turned the right way, the same for the same key."""

from collections import Counter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastslow._checks import UserError
from fastslow.datasets.omniglot import Omniglot
from fastslow.datasets.splits import Split, load_split
from fastslow.metrics import ACCURACY
from fastslow.tasks import omniglot as module
from fastslow.tasks.omniglot import (
    OmniglotConfig,
    OmniglotTask,
    distinct,
    quarter_turns,
    task_from_arrays,
)

CLASSES, DRAWINGS = 7, 20
STEP = jnp.array(0)


def marked_images(classes: int = CLASSES) -> np.ndarray:
    """Images that carry their own class and drawing in three corners; the fourth tells how they were turned."""
    images = np.zeros((classes, DRAWINGS, 28, 28), np.uint8)
    images[:, :, 0, 0] = 255
    images[:, :, 10, 13] = np.arange(classes)[:, None] + 1
    images[:, :, 20, 5] = np.arange(DRAWINGS)[None] + 1
    return images


def decode(image: np.ndarray) -> tuple[int, int, int]:
    """Class, drawing and number of quarter turns of a marked image."""
    values = np.rint(image * 255).astype(int)
    for turns in range(4):
        upright = np.rot90(values, -turns)
        if upright[0, 0] == 255:
            return int(upright[10, 13]) - 1, int(upright[20, 5]) - 1, turns
    raise AssertionError("no mark in any corner")


@eqx.filter_jit
def sample(task: OmniglotTask, key):
    return task.sample(key, STEP)


def draw(task: OmniglotTask, seed: int):
    return sample(task, jax.random.key(seed))


def content(examples) -> list[tuple[int, tuple[int, int, int]]]:
    inputs, labels = np.asarray(examples.inputs), np.asarray(examples.labels).tolist()
    return [(label, decode(image)) for image, label in zip(inputs, labels, strict=True)]


def make(way=5, shot=2, queries=3, rotations=True, classes=CLASSES) -> OmniglotTask:
    return OmniglotTask(jnp.asarray(marked_images(classes)), way, shot, queries, rotations)


@pytest.mark.parametrize("rotations", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_an_episode_is_balanced_and_its_drawings_are_distinct(rotations, seed):
    episode = draw(make(rotations=rotations), seed)
    assert episode.support.inputs.shape == (10, 28, 28)
    assert episode.query.inputs.shape == (15, 28, 28)
    assert episode.support.inputs.dtype == jnp.float32
    assert float(episode.support.inputs.max()) == 1.0
    support, query = content(episode.support), content(episode.query)
    assert Counter(label for label, _ in support) == dict.fromkeys(range(5), 2)
    assert Counter(label for label, _ in query) == dict.fromkeys(range(5), 3)
    meaning = {label: (name, turns) for label, (name, _, turns) in support}
    assert len(set(meaning.values())) == 5  # five different classes
    assert all(meaning[label] == (name, turns) for label, (name, _, turns) in support + query)
    seen = [(label, drawing) for label, (_, drawing, _) in support + query]
    assert len(set(seen)) == len(seen)  # no drawing twice, none in both sets
    if not rotations:
        assert {turns for _, turns in meaning.values()} == {0}


def test_all_drawings_of_all_classes_can_be_used_up():
    task = make(way=7, shot=5, queries=15, rotations=False)
    episode = draw(task, 0)
    seen = {drawn[:2] for _, drawn in content(episode.support) + content(episode.query)}
    assert seen == {(name, drawing) for name in range(7) for drawing in range(20)}


def test_quarter_turns_are_numpys():
    image = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    for turns in range(4):
        np.testing.assert_array_equal(quarter_turns(jnp.asarray(image), jnp.array(turns)), np.rot90(image, turns))


def test_rotations_make_four_times_the_classes():
    task = make(way=28, shot=1, queries=1)
    assert task.classes == 28
    meaning = {(name, turns) for _, (name, _, turns) in content(draw(task, 0).support)}
    assert meaning == {(name, turns) for name in range(7) for turns in range(4)}


@pytest.mark.parametrize(("classes", "count"), [(6, 1), (6, 2), (6, 5), (6, 6)])
def test_distinct_draws_are_distinct_and_every_set_is_equally_likely(classes, count):
    draws = 6000
    drawn = np.asarray(jax.vmap(lambda key: distinct(key, classes, count))(jax.random.split(jax.random.key(0), draws)))
    assert ((drawn >= 0) & (drawn < classes)).all()
    sets = Counter(tuple(sorted(set(row))) for row in drawn.tolist())
    assert all(len(chosen) == count for chosen in sets)
    kinds = {1: 6, 2: 15, 5: 6, 6: 1}[count]
    assert len(sets) == kinds
    expected = draws / kinds
    surprise = sum((seen - expected) ** 2 / expected for seen in sets.values())
    assert surprise < 40  # 0.999 of chi squared with 14 degrees of freedom is 36.1


def test_labels_classes_order_and_drawings_are_random():
    task = make(way=5, shot=1, queries=1, rotations=False)
    keys = jax.random.split(jax.random.key(3), 600)
    episodes = eqx.filter_jit(lambda task, keys: jax.vmap(lambda key: task.sample(key, STEP))(keys))(task, keys)
    inputs = np.rint(np.asarray(episodes.support.inputs) * 255).astype(int)
    names, drawings, labels = inputs[:, :, 10, 13] - 1, inputs[:, :, 20, 5] - 1, np.asarray(episodes.support.labels)
    query_labels = np.asarray(episodes.query.labels)
    for place in range(5):
        # 120 expected of each label at each place, with a standard deviation of 10
        assert (abs(np.bincount(labels[:, place], minlength=5) - 120) < 45).all()
        assert (abs(np.bincount(query_labels[:, place], minlength=5) - 120) < 45).all()
    for label in range(5):
        # 86 expected of each class under each label, with a standard deviation of 9
        assert (abs(np.bincount(names[labels == label], minlength=CLASSES) - 600 / 7) < 40).all()
    # 150 expected of each drawing, with a standard deviation of 12
    assert (abs(np.bincount(drawings.reshape(-1), minlength=20) - 150) < 55).all()
    same = (labels == query_labels).all(axis=1).mean()
    assert same < 0.05  # the queries' order is their own: 1 in 120


def test_the_same_key_draws_the_same_and_another_key_another():
    task = make()
    first, again, other = draw(task, 1), draw(task, 1), draw(task, 2)
    assert eqx.tree_equal(first, again)
    assert not eqx.tree_equal(first, other)


def test_single_and_mapped_draws_agree_in_one_trace():
    task, keys = make(), jax.random.split(jax.random.key(5), 3)

    @eqx.filter_jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def batch(task, keys, step):
        return jax.vmap(lambda key: task.sample(key, step))(keys)

    mapped = batch(task, keys, jnp.array(0))
    assert eqx.tree_equal(mapped, batch(task, keys, jnp.array(9)))  # the step has no effect
    assert eqx.tree_equal(sample(task, keys[1]), jax.tree.map(lambda leaf: leaf[1], mapped))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"way": 6, "rotations": False, "classes": 5}, "way: got 6, expected at most the 5 classes"),
        ({"way": 29}, "way: got 29, expected at most the 28 classes"),
        ({"shot": 10, "queries": 11}, r"shot \+ queries: got 21, expected at most the 20 drawings"),
        ({"way": 0}, "way: got 0, expected at least 2"),
        ({"way": 1}, "way: got 1, expected at least 2"),
        ({"shot": 0}, "shot: got 0"),
        ({"queries": -1}, "queries: got -1"),
    ],
)
def test_impossible_episodes_are_refused(change, match):
    with pytest.raises(UserError, match=match):
        make(**change)


def test_a_users_own_classes():
    upright = marked_images(5)
    paper = [255 - images for images in upright]
    task = task_from_arrays(paper, way=5, shot=1, queries=4)
    np.testing.assert_array_equal(task.images, upright)
    assert not task.rotations
    assert len(content(draw(task, 0).query)) == 20
    large = task_from_arrays([np.zeros((3, 50, 40)), np.ones((3, 90, 90))], way=2, shot=1, queries=2, ink="light")
    assert large.images.shape == (2, 3, 28, 28)
    assert [int(value) for value in large.images[:, 0, 14, 14]] == [0, 255]


def test_a_users_own_classes_that_do_not_do():
    images = np.zeros((4, 9, 9))
    with pytest.raises(UserError, match="way: got 6, expected at most the 5 classes"):
        task_from_arrays([images] * 5, way=6, shot=1, queries=1)
    with pytest.raises(UserError, match=r"classes of \[3, 4\] drawings"):
        task_from_arrays([images, images[:3]], way=2, shot=1, queries=1)
    with pytest.raises(UserError, match=r"classes of \[0, 4\] drawings, expected as many drawings in each class"):
        task_from_arrays([images, images[:0]], way=2, shot=1, queries=1)
    with pytest.raises(UserError, match="expected at most the 4 drawings"):
        task_from_arrays([images, images], way=2, shot=1, queries=4)
    with pytest.raises(UserError, match="as many drawings"):
        task_from_arrays([], way=2, shot=1, queries=4)


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> Omniglot:
    """A data set of seven classes and a split of it."""
    names = tuple(f"images_background/Alpha/character{number:02}" for number in range(1, 8))
    omniglot = Omniglot(marked_images(), names, "0" * 64)
    monkeypatch.setattr(module, "load_omniglot", lambda path: omniglot)
    monkeypatch.setattr(module, "load_split", lambda name: Split(name, names[:4], names[4:5], names[5:]))
    return omniglot


def test_the_tasks_of_a_split_hold_its_classes(small_world):
    tasks = OmniglotConfig(way=4, split="mine").build()
    assert tasks.data == {"name": "omniglot", "split": "mine", "digest": "0" * 64, "scheme": "arrays-sha256"}
    for task, places in ((tasks.train, range(4)), (tasks.validation, [4]), (tasks.test, [5, 6])):
        np.testing.assert_array_equal(task.images, small_world.images[list(places)])
        assert (task.way, task.shot, task.queries, task.rotations) == (4, 1, 5, True)


def test_training_drawings_alone_are_warped(small_world):
    tasks = OmniglotConfig(way=4, split="mine", warp=0.7).build()
    assert (tasks.train.warp, tasks.validation.warp, tasks.test.warp) == (0.7, 0.0, 0.0)


def test_a_warp_changes_drawings_and_neither_classes_nor_order(small_world):
    plain, warped = (OmniglotConfig(way=4, split="mine", warp=w).build().train for w in (0.0, 0.7))
    before, after = (draw(task, 5) for task in (plain, warped))
    np.testing.assert_array_equal(after.support.labels, before.support.labels)
    np.testing.assert_array_equal(after.query.labels, before.query.labels)
    assert not np.array_equal(after.support.inputs, before.support.inputs)


def test_augmented_and_generated_characters_train_alone(small_world):
    plain = OmniglotConfig(way=4, split="mine").build()
    more = OmniglotConfig(way=4, split="mine", augment=0.5, generated=3).build()
    characters = plain.train.images.shape[0]
    assert more.train.images.shape[0] == characters + 3
    np.testing.assert_array_equal(more.train.images[:characters], plain.train.images)
    assert len({image.tobytes() for image in np.asarray(more.train.images[characters:]).reshape(-1, 28, 28)}) == 60
    assert (more.train.augment, more.validation.augment, more.test.augment) == (0.5, 0.0, 0.0)
    for old, new in ((plain.validation, more.validation), (plain.test, more.test)):
        np.testing.assert_array_equal(old.images, new.images)
    # classes and order of an episode do not change, its drawings do
    changed = draw(eqx.tree_at(lambda task: task.images, more.train, plain.train.images), 5)
    np.testing.assert_array_equal(changed.support.labels, draw(plain.train, 5).support.labels)
    assert not np.array_equal(changed.support.inputs, draw(plain.train, 5).support.inputs)


@pytest.mark.parametrize(
    ("change", "match"), [({"augment": 1.5}, "augment: got 1.5"), ({"generated": -1}, "generated: got -1")]
)
def test_more_of_either_than_there_is_is_refused(small_world, change, match):
    with pytest.raises(UserError, match=match):
        OmniglotConfig(way=4, split="mine", **change).build()


def test_a_way_that_one_side_cannot_serve_is_refused(small_world):
    with pytest.raises(UserError, match="way: got 5, expected at most the 4 classes"):
        OmniglotConfig(way=5).build()


def test_the_spec_needs_no_data(monkeypatch):
    monkeypatch.setattr(module, "load_omniglot", lambda path: pytest.fail("loaded"))
    spec = OmniglotConfig(way=7).spec
    assert (spec.kind, spec.episode, spec.shape, spec.label) == ("omniglot", "few-shot", (28, 28), 7)
    assert (spec.target.classes, spec.chance, spec.metrics) == (7, 1 / 7, (ACCURACY,))


@pytest.mark.parametrize("strength", [-0.1, 5.1, float("nan")])
def test_a_warp_out_of_range_is_refused(small_world, strength):
    with pytest.raises(UserError, match=f"warp: got {strength}, expected a number from 0 to 5"):
        OmniglotConfig(way=4, split="mine", warp=strength).build()


def test_an_unknown_split_is_refused_before_anything_is_loaded(monkeypatch):
    def never(path):
        raise AssertionError("loaded")

    monkeypatch.setattr(module, "load_omniglot", never)
    with pytest.raises(UserError, match="one of omniglot_1200_423"):
        OmniglotConfig(split="nowhere").build()


def test_the_real_data(real_data):
    if not (real_data / "omniglot").is_dir() and not (real_data / "images_background.zip").is_file():
        pytest.skip(f"no Omniglot in {real_data}")
    tasks = OmniglotConfig(way=20, shot=5, data=str(real_data)).build()
    split = load_split("omniglot_1200_423")
    assert (tasks.train.classes, tasks.validation.classes, tasks.test.classes) == (4600, 200, 1692)
    assert tasks.split == split.name
    episode = draw(tasks.test, 0)
    assert episode.support.inputs.shape == (100, 28, 28)
    assert 0.03 < float(episode.query.inputs.mean()) < 0.2
