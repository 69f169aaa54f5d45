"""Generated paths move as their motion class says."""

from functools import cache

import numpy as np
import pytest
from tests.sentences import refused

from fastslow.datasets.generated_tracks import (
    ANGLE,
    DRIFT,
    FAST,
    IN_SCENE,
    JITTER,
    MOTIONS,
    generated_tracks,
)

COUNT, POINTS, RATE = 4000, 105, 25.0


@cache
def paths() -> dict[str, np.ndarray]:
    """Positions of all paths of each motion, `[paths points 2]`."""
    tracks = generated_tracks(COUNT, points=POINTS, seed=3).tracks
    return {motion: np.stack([t.positions for t in tracks if t.motion == motion]) for motion in MOTIONS}


def speeds(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """m/s over the first and the last half second."""
    points = int(RATE / 2)
    ends = (positions[:, :points], positions[:, -points:])
    first, last = (np.linalg.norm(end[:, -1] - end[:, 0], axis=1) / ((points - 1) / RATE) for end in ends)
    return first, last


def turned(positions: np.ndarray) -> np.ndarray:
    """Radians from the heading of the first half second to that of the last one, to the left."""
    points = int(RATE / 2)
    (x, y), (u, v) = ((end[:, -1] - end[:, 0]).T for end in (positions[:, :points], positions[:, -points:]))
    return np.arctan2(x * v - y * u, x * u + y * v)


def test_every_motion_is_there_at_the_speeds_of_walking_and_cycling() -> None:
    first, last = speeds(paths()["moving"])
    for found in (first, last):
        assert 0.5 < np.quantile(found, 0.05) < 1.5
        assert 4.0 < np.quantile(found, 0.95) < 8.0
    for positions in paths().values():
        assert len(positions) > COUNT / 16
        assert positions.shape[1:] == (POINTS, 2)


def test_they_start_stop_and_turn() -> None:
    first, last = speeds(paths()["starting"])
    assert np.median(last) > 2 * np.median(first)
    first, last = speeds(paths()["stopping"])
    assert np.median(first) > 2 * np.median(last)
    angles = {motion: turned(positions) for motion, positions in paths().items()}
    assert ANGLE[0] < np.median(angles["turning left"]) < ANGLE[1]
    assert -ANGLE[1] < np.median(angles["turning right"]) < -ANGLE[0]
    assert abs(np.median(angles["moving"])) < 0.1


def test_no_path_jumps() -> None:
    everyone = np.concatenate(list(paths().values()))
    longest = np.linalg.norm(np.diff(everyone, axis=1), axis=2).max()
    # no step of twelve metres a second and errors at both ends is longer, six standard deviations away
    slow = 1 - np.exp(-1 / RATE / FAST)
    assert longest < 12 / RATE + 6 * np.sqrt(2 * (JITTER[1] ** 2 + slow * DRIFT[1] ** 2))


def test_paths_follow_from_the_seed_and_come_in_scenes() -> None:
    one, again, other = (generated_tracks(2 * IN_SCENE + 1, "bicycle", seed=seed) for seed in (0, 0, 1))
    assert one.sha256 == again.sha256 != other.sha256
    scenes = [track.scene for track in one.tracks]
    assert [scenes.count(scene) for scene in dict.fromkeys(scenes)] == [IN_SCENE, IN_SCENE, 1]
    assert one.agents == ("bicycle",)
    assert len({track.user for track in one.tracks}) == len(scenes)


def test_positions_come_at_the_rate_asked_for() -> None:
    track = generated_tracks(1, rate=10.0).tracks[0]
    np.testing.assert_allclose(np.diff(track.seconds), 0.1)


@pytest.mark.parametrize(
    ("count", "seed", "said"), [(0, 0, "count: got 0"), (10**9, 0, "count: got 1000000000"), (1, -1, "seed: got -1")]
)
def test_numbers_out_of_range_are_refused(count: int, seed: int, said: str) -> None:
    with refused(said):
        generated_tracks(count, seed=seed)
