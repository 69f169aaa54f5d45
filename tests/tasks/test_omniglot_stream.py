"""Streams of characters: labels, counts, drawings, and the images against a twin that computes one pixel at a time."""

import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.tiny import as_users_come
from tests.reference.rounding import rounding

from fastslow._checks import UserError
from fastslow.datasets.omniglot import Omniglot
from fastslow.datasets.splits import Split
from fastslow.metrics import ACCURACY, Axis
from fastslow.tasks import omniglot_stream
from fastslow.tasks.drawing import SHIFT, TURN, as_shown, bilinear, places
from fastslow.tasks.omniglot_stream import STRINGS, OmniglotStreamConfig, OmniglotStreamTask

CHARACTERS, DRAWINGS, SIDE = 7, 20, 35


def drawings() -> np.ndarray:
    """Smooth blots, each drawing another one; the first pixel tells character and drawing."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images = np.zeros((CHARACTERS, DRAWINGS, SIDE, SIDE))
    for c in range(CHARACTERS):
        for d in range(DRAWINGS):
            for _ in range(3):
                y, x = rng.uniform(8, 26, 2)
                images[c, d] += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 12)
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)


IMAGES = drawings()


def task(classes: int = 5, length: int = 50, labels: str = "one-hot", balanced: bool = False) -> OmniglotStreamTask:
    return OmniglotStreamTask(jnp.asarray(IMAGES), classes, length, labels, balanced)


SAMPLE = eqx.filter_jit(lambda one, key, step: one.sample(key, step))


def draw(one: OmniglotStreamTask, seed: int = 0):
    return jax.tree.map(np.asarray, SAMPLE(one, jax.random.key(seed), jnp.int32(0)))


def shown_twin(image: np.ndarray, turn: float, shift: tuple[float, float], quarter: int) -> np.ndarray:
    """Turned, shifted and shrunk, then turned by quarters: for each pixel, where it was before all that."""
    small = np.zeros((20, 20))
    for i in range(20):
        for j in range(20):
            # middle of the pixel in the 105 by 105 drawing, from its centre
            down, right = (i - 9.5) * 5.25 - shift[0], (j - 9.5) * 5.25 - shift[1]
            # anticlockwise as the eye sees it, with rows counted downwards
            y = math.cos(turn) * down + math.sin(turn) * right
            x = math.cos(turn) * right - math.sin(turn) * down
            row, column = y / 3 + 17, x / 3 + 17
            for r in (math.floor(row), math.floor(row) + 1):
                for c in (math.floor(column), math.floor(column) + 1):
                    if 0 <= r < SIDE and 0 <= c < SIDE:
                        small[i, j] += image[r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return np.rot90(small, quarter)


@pytest.mark.parametrize("quarter", range(4))
def test_images_are_turned_shifted_and_shrunk(quarter: int) -> None:
    turn, shift = 0.15, (7.0, -4.5)
    rows, columns = places(jnp.asarray(turn), jnp.asarray(shift), jnp.asarray(quarter), SIDE)
    got = bilinear(jnp.asarray(IMAGES), jnp.asarray([2 * DRAWINGS + 3]), rows[None], columns[None])[0]
    # places on either axis are some roundings of numbers up to 35 away, and a pixel's neighbour differs by up to 255
    atol = 2 * 255 * rounding(8, scale=SIDE)
    np.testing.assert_allclose(got, shown_twin(IMAGES[2, 3], turn, shift, quarter), rtol=0, atol=atol)


def test_beyond_the_edge_is_paper() -> None:
    full = jnp.full((1, 1, SIDE, SIDE), 255, jnp.uint8)
    rows, columns = places(jnp.asarray(0.0), jnp.asarray([10.0, 0.0]), jnp.asarray(0), SIDE)
    got = np.asarray(bilinear(full, jnp.asarray([0]), rows[None], columns[None])[0])
    # shifted down by ten of 105 pixels: the first row is beyond the drawing, the last is inside
    assert (got[0] == 0).all()
    assert (got[3:, 1:-1] == 255).all()


@pytest.mark.parametrize("labels", ["one-hot", "strings"])
def test_a_class_keeps_its_label_and_counts_its_instances(labels: str) -> None:
    episode = draw(task(labels=labels))
    width = 5 if labels == "one-hot" else 25
    assert episode.inputs.x.shape == (50, 20, 20)
    assert episode.inputs.x.min() >= 0
    assert 0.5 < episode.inputs.x.max() <= 1
    assert episode.targets.shape == (50, width)
    rows = [tuple(row) for row in episode.targets]
    assert len(set(rows)) == 5
    came: dict[tuple, int] = {}
    for row, instance in zip(rows, episode.axis_index, strict=True):
        came[row] = came.get(row, 0) + 1
        assert instance == came[row]
    if labels == "strings":
        assert (episode.targets.reshape(50, 5, 5).sum(axis=2) == 1).all()
    else:
        assert (episode.targets.sum(axis=1) == 1).all()


@pytest.mark.parametrize("labels", ["one-hot", "strings"])
@pytest.mark.parametrize("start", [0, 2])
def test_each_label_is_shown_one_step_late(labels: str, start: int) -> None:
    one = OmniglotStreamTask(jnp.asarray(IMAGES), 5, 50, labels, balanced=False, start=start, grow_every=3)
    episode = draw(one)
    np.testing.assert_array_equal(episode.inputs.label[0], 0)
    shown = np.where(episode.mask[1:, None], episode.targets[:-1], 0)
    np.testing.assert_array_equal(episode.inputs.label[1:], shown)
    assert episode.mask.sum() == (20 if start else 50)


def test_the_spec_measures_instances() -> None:
    spec = OmniglotStreamConfig(classes=15, length=150, split="nowhere").spec
    assert (spec.kind, spec.episode, spec.shape) == ("omniglot-stream", "sequence", (20, 20))
    axis = Axis("instance", (1, 2, 3, 4, 5, 10, 20, 50, 100), optional=(20, 50, 100))
    assert spec.metrics == (ACCURACY.along(axis),)
    assert spec.monitor == ACCURACY
    assert not spec.padded
    assert OmniglotStreamConfig(start=1).spec.padded


def test_streams_are_drawn_without_end() -> None:
    assert task().size() is None
    with pytest.raises(UserError, match="expected a task of finite data; OmniglotStreamTask draws its episodes"):
        task().at(jnp.int32(0))


def test_other_streams_may_be_asked_for() -> None:
    config = OmniglotStreamConfig(labels="strings", classes=5, length=50, start=1)
    same = config.with_streams()
    assert (same.classes, same.length, same.balanced, same.start) == (5, 50, True, 0)
    more = config.with_streams(classes=20)
    assert (more.classes, more.length, more.balanced) == (20, 200, True)
    longer = config.with_streams(classes=20, examples=700)
    assert (longer.classes, longer.length, longer.balanced) == (20, 700, False)
    one_hot = OmniglotStreamConfig(classes=5)
    assert one_hot.with_streams(examples=7).length == 7


@pytest.mark.parametrize(
    ("labels", "asked", "why"),
    [
        (
            "one-hot",
            {"classes": 6},
            "classes: got 6, expected no number, as the network was not trained on labels that",
        ),
        ("strings", {"classes": 0}, "classes: got 0"),
        ("strings", {"classes": 8, "examples": 7}, "examples: got 7, expected at least one for each of the 8 classes"),
    ],
)
def test_other_streams_that_cannot_be_are_refused(labels: str, asked: dict, why: str) -> None:
    with pytest.raises(UserError, match=why):
        OmniglotStreamConfig(labels=labels).with_streams(**asked)


def test_drawings_can_be_shown_as_they_are() -> None:
    """Neither turned nor shifted, for the networks of a user's own images."""
    got = as_shown(jnp.asarray(IMAGES[2, :2]))
    # as for the twin above, and no turn adds to it
    for image, shown in zip(IMAGES[2, :2], got, strict=True):
        twin = shown_twin(image, 0.0, (0.0, 0.0), 0) / 255
        np.testing.assert_allclose(shown, twin, rtol=0, atol=2 * rounding(8, scale=SIDE))


def flat(grey: np.ndarray) -> jax.Array:
    """Drawings of one grey each, to be seen in the middle of every image. `grey` broadcasts to character by drawing."""
    images = np.zeros((CHARACTERS, DRAWINGS, SIDE, SIDE), np.uint8)
    images[:] = np.broadcast_to(grey, (CHARACTERS, DRAWINGS))[..., None, None]
    return jnp.asarray(images)


def test_an_image_comes_with_the_label_of_its_class_and_labels_are_dealt_out_anew() -> None:
    """With as many classes as characters, which are then chosen in one order only, labels alone differ."""
    one = OmniglotStreamTask(flat(30 * np.arange(1, CHARACTERS + 1)[:, None]), CHARACTERS, 70, "one-hot", True)
    dealt = set()
    for seed in range(4):
        episode = draw(one, seed)
        characters = np.rint(episode.inputs.x[:, 10, 10] * 255 / 30).astype(int)
        pairs = set(zip(characters.tolist(), episode.targets.argmax(axis=1).tolist(), strict=True))
        assert {character for character, _ in pairs} == set(range(1, CHARACTERS + 1))
        assert len(pairs) == CHARACTERS
        dealt.add(tuple(sorted(pairs)))
    assert len(dealt) == 4


def pointers() -> jax.Array:
    """A heavy blot on the left and a light one on the right, with the middle of their weight in the drawing's."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - 17
    blot = lambda column: np.exp(-(rows**2 + (columns - column) ** 2) / 8)
    image = np.rint(120 * (2 * blot(-5) + blot(10))).astype(np.uint8)
    return jnp.broadcast_to(jnp.asarray(image), (CHARACTERS, DRAWINGS, SIDE, SIDE))


def seen(image: np.ndarray) -> tuple[float, float, float]:
    """How far down and right the middle of the weight is, in pixels of the original, and degrees that it is turned."""
    down, right = np.mgrid[: image.shape[0], : image.shape[1]] - 9.5
    weight = image / image.sum()
    middle = (weight * down).sum(), (weight * right).sum()
    up, right = middle[0] - down, right - middle[1]
    axis = 0.5 * math.atan2(2 * (weight * up * right).sum(), (weight * (right**2 - up**2)).sum())
    along = right * math.cos(axis) + up * math.sin(axis)
    if (weight * along**3).sum() < 0:  # the light blot is the farther one
        axis += math.pi
    return middle[0] * 5.25, middle[1] * 5.25, math.degrees(axis)


def test_each_drawing_is_turned_and_shifted_anew_and_each_class_by_quarters() -> None:
    """mann supplement 7: up to π/16 and 10 pixels for a drawing, a multiple of 90° for a class of an episode."""
    assert (math.pi / 16, 10) == (TURN, SHIFT)
    one = OmniglotStreamTask(pointers(), 5, 100, "one-hot", False)
    shifts, turns, quarters = [], [], []
    for seed in range(3):
        episode = draw(one, seed)
        found = np.array([seen(image) for image in episode.inputs.x])
        quarter = np.rint(found[:, 2] / 90)
        labels = episode.targets.argmax(axis=1)
        of_class = [set(quarter[labels == label] % 4) for label in range(5)]
        assert [len(one_of_four) for one_of_four in of_class] == [1] * 5
        quarters.append(tuple(one_of_four.pop() for one_of_four in of_class))
        turns.extend(found[:, 2] - 90 * quarter)
        shifts.extend(found[:, :2])
    assert len(set(quarters)) == 3
    assert {turn for episode in quarters for turn in episode} == {0, 1, 2, 3}
    for values, most in ((np.array(turns), 11.25), (np.array(shifts)[:, 0], 10), (np.array(shifts)[:, 1], 10)):
        assert np.abs(values).max() < 1.03 * most
        assert values.min() < -0.95 * most
        assert values.max() > 0.95 * most
        # uniform: a kurtosis of 1.8 makes the deviation of 300 numbers' deviation √(0.8 / 1200) of it; four of those
        np.testing.assert_allclose(values.std(), most / math.sqrt(3), rtol=4 * math.sqrt((1.8 - 1) / (4 * len(values))))


def test_counts_are_random_or_balanced() -> None:
    counts = {tuple(sorted(draw(task(), seed).targets.sum(axis=0).astype(int))) for seed in range(8)}
    assert len(counts) > 4
    for seed in range(3):
        assert (draw(task(balanced=True), seed).targets.sum(axis=0) == 10).all()
    orders = {tuple(draw(task(balanced=True), seed).targets.argmax(axis=1)) for seed in range(3)}
    assert len(orders) == 3


def test_strings_are_spread_over_all_labels() -> None:
    letters = np.stack([draw(task(labels="strings"), seed).targets for seed in range(60)])
    shares = letters.mean(axis=(0, 1))
    assert shares.shape == (25,)
    assert ((shares > 0.1) & (shares < 0.32)).all()
    assert STRINGS.strings == 3125


def test_labels_and_classes_are_dealt_out_anew() -> None:
    first = [draw(task(classes=2, length=4), seed) for seed in range(40)]
    starts = np.array([e.targets[0, 0] for e in first])
    assert 0.2 < starts.mean() < 0.8
    assert not np.array_equal(first[0].inputs.x, first[1].inputs.x)
    again = draw(task(classes=2, length=4), 0)
    np.testing.assert_array_equal(again.inputs.x, first[0].inputs.x)


def test_no_drawing_comes_twice_before_all_of_its_class_have_come() -> None:
    """Drawings marked by their number."""
    one = OmniglotStreamTask(flat(10 * np.arange(1, DRAWINGS + 1)), 2, 40, "one-hot", True)
    episode = draw(one)
    middle = np.rint(episode.inputs.x[:, 10, 10] * 25.5).astype(int)
    for label in (0, 1):
        of_class = middle[episode.targets[:, label] == 1]
        assert sorted(of_class) == list(range(1, DRAWINGS + 1))


def test_it_is_one_program_for_every_key() -> None:
    sample = eqx.filter_jit(eqx.debug.assert_max_traces(lambda t, k: t.sample(k, jnp.int32(0)), max_traces=1))
    for seed in range(3):
        sample(task(), jax.random.key(seed))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"classes": 8, "length": 80}, "classes: got 8, expected at most the 7 characters there are"),
        ({"classes": 1, "length": 10}, "classes: got 1, expected at least 2"),
        ({"length": 4}, "length: got 4, expected at least one step for each of the 5 classes; use 50"),
        ({"length": 52, "balanced": True}, "length: got 52, expected a multiple of the 5 classes"),
        ({"labels": "words"}, "labels: got 'words', expected one of one-hot, strings"),
        ({"classes": 0}, "classes: got 0"),
    ],
)
def test_streams_that_cannot_be_are_refused(settings: dict, why: str) -> None:
    with as_users_come(), pytest.raises(UserError, match=why):
        task(**settings)


def test_there_are_no_more_classes_than_strings() -> None:
    many = jnp.zeros((STRINGS.strings + 1, 1, 2, 2), jnp.uint8)
    OmniglotStreamTask(many, STRINGS.strings + 1, STRINGS.strings + 1, "one-hot", balanced=False)
    with (
        as_users_come(),
        pytest.raises(UserError, match="classes: got 3126, expected at most the 3125 labels there are"),
    ):
        OmniglotStreamTask(many, STRINGS.strings + 1, STRINGS.strings + 1, "strings", balanced=False)


def test_a_curriculum_adds_a_class_now_and_then_and_pads_the_rest() -> None:
    grown = OmniglotStreamTask(jnp.asarray(IMAGES), 5, 50, "strings", balanced=False, start=2, grow_every=3)
    for step, classes in ((0, 2), (2, 2), (3, 3), (8, 4), (9, 5), (1000, 5)):
        seen = set()
        for seed in range(4):
            episode = jax.tree.map(np.asarray, SAMPLE(grown, jax.random.key(seed), jnp.int32(step)))
            counts = episode.mask
            assert counts.tolist() == [t < 10 * classes for t in range(50)]
            assert all((part[~counts] == 0).all() for part in jax.tree.leaves(episode))
            np.testing.assert_array_equal(episode.axis_index > 0, counts)
            seen.add(len(np.unique(episode.targets[counts], axis=0)))
        assert max(seen) == classes


def test_a_curriculum_at_its_end_is_none() -> None:
    grown = OmniglotStreamTask(jnp.asarray(IMAGES), 5, 50, "one-hot", balanced=False, start=2, grow_every=3)
    ended = SAMPLE(grown, jax.random.key(0), jnp.int32(9))
    assert eqx.tree_equal(jax.tree.map(np.asarray, ended), draw(task()))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"start": 6}, "start: got 6, expected 1 to 5"),
        ({"start": -1}, "start: got -1, expected 1 to"),
        ({"start": 2, "grow_every": 0}, "grow_every: got 0, expected a number above 0"),
        ({"start": 2, "balanced": True}, "balanced: got True, expected False where"),
        ({"start": 2, "length": 52}, "length: got 52, expected a multiple of the 5 classes where their number grows"),
    ],
    ids=str,
)
def test_curricula_that_cannot_be_are_refused(settings: dict, why: str) -> None:
    with as_users_come(), pytest.raises(UserError, match=re.escape(why)):
        OmniglotStreamTask(
            jnp.asarray(IMAGES), **{"classes": 5, "length": 50, "labels": "one-hot", "balanced": False} | settings
        )


def test_a_number_is_spelled_in_letters_of_five() -> None:
    rows = np.asarray(STRINGS.spell(jnp.array([0, 1, 7, 3124]))).reshape(4, 5, 5)
    assert rows.argmax(axis=2).tolist() == [[0] * 5, [1, 0, 0, 0, 0], [2, 1, 0, 0, 0], [4] * 5]
    assert (rows.sum(axis=2) == 1).all()


def test_the_size_of_a_label() -> None:
    one_hot, strings = OmniglotStreamConfig(classes=5).spec, OmniglotStreamConfig(classes=15, labels="strings").spec
    assert (one_hot.label, one_hot.target.size, one_hot.chance) == (5, 5, 1 / 5)
    assert (strings.label, strings.target.size, strings.chance) == (25, 25, 1 / 3125)


def test_splits_share_no_character_and_training_alone_has_a_curriculum(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"c{i}" for i in range(9))
    images = np.zeros((9, DRAWINGS, SIDE, SIDE), np.uint8) + np.arange(9, dtype=np.uint8)[:, None, None, None]
    split = Split("toy", train=names[:4], validation=names[4:6], test=names[6:])
    monkeypatch.setattr(omniglot_stream, "load_split", lambda name: split)
    monkeypatch.setattr(omniglot_stream, "load_omniglot", lambda path, form: Omniglot(images, names, "0" * 64))
    tasks = OmniglotStreamConfig(classes=2, length=20, start=1, grow_every=7).build()
    shown = [set(np.unique(part.images)) for part in (tasks.train, tasks.validation, tasks.test)]
    assert shown == [{0, 1, 2, 3}, {4, 5}, {6, 7, 8}]
    assert [part.start for part in (tasks.train, tasks.validation, tasks.test)] == [1, 0, 0]
    assert tasks.train.grow_every == 7
    assert tasks.data == {"name": "omniglot", "split": "toy", "digest": "0" * 64, "scheme": "arrays-sha256"}
    with pytest.raises(UserError, match="classes: got 3, expected at most the 2 characters there are for validation"):
        OmniglotStreamConfig(classes=3, length=30).build()
