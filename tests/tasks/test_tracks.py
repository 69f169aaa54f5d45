"""Episodes of paths: which tracks are drawn, what is shown of each, and in which units."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.sentences import refused

from fastslow.datasets.generated_tracks import generated_tracks
from fastslow.datasets.own_tracks import Columns
from fastslow.tasks.tracks import TracksConfig, as_sequence, tracks_task

pytestmark = pytest.mark.usefixtures("double")
RATE, OBSERVED, PREDICTED = 5.0, 12, 4
CONFIG = TracksConfig(observed=OBSERVED, predicted=PREDICTED, rate=RATE, shots=2, queries=1, training=4)


def windows(count: int = 3, speed: float = 1.0, seed: int = 0) -> np.ndarray:
    """Random walks of about a speed, in metres a frame."""
    steps = np.random.default_rng(seed).normal(loc=(1.0, 0.5), size=(count, OBSERVED + PREDICTED, 2))
    return 7 + speed * np.cumsum(steps, axis=1)


def twin(window: np.ndarray, config: TracksConfig) -> tuple[np.ndarray, np.ndarray]:
    """What is shown of one window and what is to be predicted, in plain numbers."""
    before, last = window[OBSERVED - 11], window[OBSERVED - 1]
    velocity = (last - before) / 10
    heading = np.arctan2(velocity[1], velocity[0]) if config.turned else 0.0
    rows = []
    for frame, (x, y) in enumerate(window):
        if config.origin != "scene":
            x, y = x - last[0], y - last[1]
        if config.origin == "velocity" and frame >= OBSERVED:
            ahead_by = frame - OBSERVED + 1
            x, y = x - ahead_by * velocity[0], y - ahead_by * velocity[1]
        # turned by minus the heading
        cos, sin = np.cos(-heading), np.sin(-heading)
        rows.append([(cos * x - sin * y) / config.scale, (sin * x + cos * y) / config.scale])
    return np.array(rows[:OBSERVED]), np.ravel(rows[OBSERVED:])


@pytest.mark.parametrize("origin", ["scene", "position", "velocity"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_shown_and_predicted_is_its_twin(origin: str, turned: bool) -> None:
    config = replace(CONFIG, origin=origin, turned=turned, scale=2.0)
    given = np.concatenate([windows(speed=0.1), windows(speed=3.0)])
    past, labels = config.coordinates.observed_and_next(jnp.asarray(given))
    assert past.shape == (6, OBSERVED, 2)
    assert labels.shape == (6, config.target.size)
    for one, row, window in zip(past, labels, given, strict=True):
        expected = twin(window, config)
        np.testing.assert_allclose(one, expected[0], atol=1e-9)
        np.testing.assert_allclose(row, expected[1], atol=1e-9)


def test_zero_is_the_constant_velocity_and_its_errors_are_in_metres() -> None:
    """Whatever the units, the errors of a prediction by the mean velocity are those in metres."""
    given = windows()
    velocity = (given[:, OBSERVED - 1] - given[:, OBSERVED - 11]) / 10
    leads = given[:, OBSERVED - 1][:, None] + velocity[:, None] * np.arange(1, PREDICTED + 1)[None, :, None]
    expected = np.mean((leads - given[:, OBSERVED:]) ** 2, axis=(1, 2))
    config = replace(CONFIG, scale=2.0)
    _, labels = config.coordinates.observed_and_next(jnp.asarray(given))
    target = config.target
    found = jax.vmap(target.scores, (None, 0))(jnp.zeros(target.outputs), labels)
    np.testing.assert_allclose(found["MSE"], expected, rtol=1e-9)


@pytest.mark.parametrize("origin", ["scene", "position", "velocity"])
def test_positions_are_those_of_the_window_again(origin: str) -> None:
    config = replace(CONFIG, origin=origin, turned=False, scale=2.0)
    given = windows()
    past, future = config.coordinates.positions(*config.coordinates.observed_and_next(jnp.asarray(given)))
    last = 0 if origin == "scene" else given[:, OBSERVED - 1][:, None]
    np.testing.assert_allclose(past, given[:, :OBSERVED] - last, atol=1e-9)
    np.testing.assert_allclose(future, given[:, OBSERVED:] - last, atol=1e-9)


@pytest.mark.parametrize("origin", ["scene", "position", "velocity"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_predicted_is_placed_where_the_path_is(origin: str, turned: bool) -> None:
    coordinates = replace(CONFIG, origin=origin, turned=turned, scale=2.0).coordinates
    given = jnp.asarray(windows())
    shown, labels = coordinates.observed_and_next(given)
    observed, future = given[:, :OBSERVED], given[:, OBSERVED:]
    np.testing.assert_allclose(coordinates.shown(observed), shown, atol=1e-9)
    np.testing.assert_allclose(coordinates.placed(observed, labels), future, atol=1e-9)


def test_a_road_user_who_stands_is_not_turned() -> None:
    still = jnp.broadcast_to(jnp.array([3.0, 1.0]), (1, OBSERVED + PREDICTED, 2))
    past, labels = replace(CONFIG, origin="scene").coordinates.observed_and_next(still)
    np.testing.assert_array_equal(past, still[:, :OBSERVED])
    np.testing.assert_array_equal(labels.reshape(1, PREDICTED, 2), still[:, OBSERVED:])


def numbered(config: TracksConfig, groups: list[int]):
    """A task whose windows can be told apart by where they are."""
    given = np.zeros((len(groups), OBSERVED + PREDICTED, 2)) + np.arange(len(groups))[:, None, None]
    config = replace(config, origin="scene", turned=False, scale=1.0)
    return tracks_task(config, given, np.array(groups, np.int32), 10 * np.array(groups, np.int32), ())


def test_an_episode_has_tracks_of_one_group_and_none_twice() -> None:
    groups = [0, 1, 0, 1, 1, 0, 2, 2, 1]
    task = numbered(CONFIG, groups)
    draw = jax.jit(lambda key: task.sample(key, jnp.int32(0)))
    seen, times = set(), np.zeros(3)
    for seed in range(200):
        episode = draw(jax.random.key(seed))
        drawn = np.concatenate([episode.support.inputs, episode.query.inputs])[:, 0, 0].astype(int).tolist()
        assert len(set(drawn)) == 3
        (group,) = {groups[place] for place in drawn}
        assert episode.groups.tolist() == [10 * group]
        seen |= set(drawn)
        times[group] += 1
    # the third group is too small for an episode; of the others the larger one is drawn more often
    assert seen == {0, 1, 2, 3, 4, 5, 8}
    assert 0 < times[0] < times[1]


def test_a_sequence_has_as_many_tracks() -> None:
    task = numbered(replace(CONFIG, episode="sequence"), [0, 0, 0, 0])
    episode = task.sample(jax.random.key(0), jnp.int32(0))
    assert episode.inputs.x.shape == (3, OBSERVED, 2)
    assert episode.mask.all()
    np.testing.assert_array_equal(episode.inputs.label[1:], episode.targets[:-1])
    assert not episode.inputs.label[0].any()
    few_shot = replace(task, config=replace(task.config, episode="few-shot")).sample(jax.random.key(0), jnp.int32(0))
    again = as_sequence(few_shot.support, jnp.zeros(2, jnp.int32))
    np.testing.assert_array_equal(again.inputs.x, episode.inputs.x[:2])


def table(folder: Path, cyclists: int = 7, pedestrians: int = 3, frames: int = 16) -> Path:
    """A file of straight paths, each longer than the one before; the last one of each kind stands."""
    lines = ["who,frame,east,north,kind"]
    for kind, count in (("bike", cyclists), ("walker", pedestrians)):
        for user in range(count + 1):
            for frame in range(frames):
                place = 0.3 * (user + 1) * frame if user < count else 0
                lines.append(f"{kind}{user},{frame},{place},{-place},{kind}")
    file = folder / "mine.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


OWN = replace(
    CONFIG,
    source="file",
    columns=Columns("who", "frame", "east", "north", "kind", rate=RATE),
    learned="bike",
    tested="walker",
    groups="any",
)


def test_a_file_of_ones_own_is_split_by_road_users(tmp_path: Path) -> None:
    splits = replace(OWN, data=str(table(tmp_path))).build()
    sizes = [len(task.windows) for task in (splits.train, splits.validation, splits.test)]
    assert sizes == [4, 3, 3]  # those that stand are left out
    speeds = [
        {round(float(w[1, 0] - w[0, 0]), 6) for w in np.asarray(task.windows)}
        for task in (splits.train, splits.validation)
    ]
    assert len(speeds[0] | speeds[1]) == 7
    assert not speeds[0] & speeds[1]
    assert splits.data["split"] == "bike, walker"
    episode = splits.test.sample(jax.random.key(0), jnp.int32(0))
    # straight paths are where constant velocity leads
    np.testing.assert_allclose(episode.query.labels, 0, atol=1e-5)


def test_one_kind_of_road_user_alone_is_split_three_ways(tmp_path: Path) -> None:
    splits = replace(OWN, data=str(table(tmp_path, cyclists=10)), tested="bike").build()
    parts = [np.asarray(task.windows) for task in (splits.train, splits.validation, splits.test)]
    speeds = [{round(float(w[1, 0] - w[0, 0]), 6) for w in part} for part in parts]
    assert [len(part) for part in speeds] == [4, 3, 3]
    assert len(set.union(*speeds)) == 10


def test_generated_paths_are_trained_with_and_nothing_else(tmp_path: Path) -> None:
    config = replace(OWN, data=str(table(tmp_path, frames=26)), rate=5.0, generated=90, groups="scene")
    plain, splits = (replace(config, generated=count).build() for count in (0, 90))
    for part in ("validation", "test"):
        ours, theirs = getattr(splits, part), getattr(plain, part)
        np.testing.assert_array_equal(ours.windows, theirs.windows)
    assert splits.data["split"] == "bike, walker, 90 generated"
    made = generated_tracks(90, points=OBSERVED + PREDICTED, rate=5.0).tracks
    shapes = np.stack([track.positions - track.positions[0] for track in made])
    found = set()
    for group, count in zip(splits.train.members, splits.train.counts, strict=True):
        windows = np.asarray(splits.train.windows)[group[:count]]
        away = np.abs(windows[:, None] - windows[:, None, :1] - shapes).max(axis=(2, 3))
        scenes = {made[row.argmin()].scene if row.min() < 1e-3 else "mine" for row in away}
        assert len(scenes) == 1
        found |= scenes
    assert found == {"mine", "generated 0", "generated 1", "generated 2"}


@pytest.mark.parametrize(
    ("change", "sizes", "said"),
    [
        ({"tested": "bike"}, {"cyclists": 9}, "training: got 9 tracks of bike in mine, expected at least 10: 4 for"),
        ({"generated": 9, "origin": "scene"}, {}, "generated: got 9, expected 0 where the unit is px or the origin is"),
        ({"generated": -1}, {}, "generated: got -1"),
        ({}, {"cyclists": 6}, "training: got 6 tracks of bike in mine, expected at least 7: 4 for training and an"),
        ({}, {"pedestrians": 2}, "tested: got 2 tracks of walker in mine, expected at least 3, those of an episode"),
        ({"training": 2, "groups": "motion"}, {}, "groups: got at most 2 tracks in a group for training"),
        ({"tested": "bus"}, {}, "agent: got 'bus', expected one that mine has: bike, walker"),
        ({"origin": "scene"}, {}, "scale: got 1.0, expected at least"),
        ({}, {"frames": 15}, "data: got 8 tracks of at most 15 positions at 5 Hz, expected tracks of at least 16"),
        ({"observed": 5}, {}, "observed: got 5, expected"),
        ({"data": None}, {}, "data: got None, expected the path of a file with tracks; name it by --data"),
        ({"source": "vru", "unit": "px"}, {}, "unit: got px for source vru, expected m, the unit of its positions"),
        ({"source": "moon"}, {}, "source: got 'moon', expected"),
        ({"columns": Columns(time="when")}, {}, "data: got"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, sizes: dict, said: str, tmp_path: Path) -> None:
    changes = {"data": str(table(tmp_path, **sizes))} | change
    with refused(said):
        replace(OWN, **changes).build()
