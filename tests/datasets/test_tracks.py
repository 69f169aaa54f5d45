"""Tracks of every data set: read from small files in its own layout, resampled, cut, and refused with a reason."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.sentences import refused

from fastslow.datasets.ind import load_ind
from fastslow.datasets.own_tracks import Columns, load_own_tracks
from fastslow.datasets.sind import load_sind
from fastslow.datasets.stanford_drone import load_stanford_drone
from fastslow.datasets.tracks import Track, Tracks, apart, first_windows, track_of
from fastslow.datasets.vru import ARCHIVE, load_vru


def line(count: int, step: float = 0.04, speed: tuple[float, float] = (1.0, -2.0), user: str = "1") -> Track:
    """A straight path."""
    seconds = np.arange(count) * step
    (track,) = track_of("here", user, "pedestrian", seconds, seconds[:, None] * np.array([speed]))
    return track


# --- what a track is


def test_resampling_is_linear_from_the_first_time_on() -> None:
    (track,) = track_of("s", "u", "bicycle", np.array([2.0, 2.5, 4.0]), np.array([[0, 0], [1, 10], [4, -5]]))
    found = track.at_rate(4.0)
    np.testing.assert_allclose(found.seconds, 2 + np.arange(9) / 4)
    np.testing.assert_allclose(found.positions[[0, 1, 2, 5, 8]], [[0, 0], [0.5, 5], [1, 10], [2.5, 2.5], [4, -5]])
    # 0.28 s at 25 Hz are seven steps, though 0.28 · 25 is a little less in floating point
    (seven,) = track_of("s", "u", "bicycle", np.array([0.0, 0.28]), np.zeros((2, 2)))
    assert len(seven.at_rate().seconds) == 8


def test_rows_may_come_in_any_order_and_more_than_once() -> None:
    (track,) = track_of("s", "u", "k", np.array([3.0, 1.0, 2.0, 1.0]), np.array([[3, 0], [1, 0], [2, 0], [9, 9]]))
    assert track.seconds.tolist() == [1, 2, 3]
    assert track.positions[:, 0].tolist() == [1, 2, 3]


def test_a_track_is_cut_at_its_gaps() -> None:
    (track,) = track_of("s", "u", "k", np.array([0.0, 1, 2, 5, 6, 9]), np.arange(12.0).reshape(6, 2))
    assert [piece.seconds.tolist() for piece in track.pieces(1.5)] == [[0, 1, 2], [5, 6], [9]]
    assert [len(piece.positions) for piece in track.pieces(3.0)] == [6]


def test_windows_are_the_first_positions_of_tracks_that_are_long_enough() -> None:
    windows = first_windows([line(100), line(99), line(60, step=0.08)], 100)
    assert windows.shape == (2, 100, 2)
    for window in windows:
        np.testing.assert_allclose(window, 0.04 * np.arange(100)[:, None] * [1, -2], atol=1e-12)
    np.testing.assert_allclose(apart(windows), np.hypot(3.96, 7.92))


def test_the_checksum_is_of_the_content() -> None:
    one = Tracks("a", "m", (line(5), line(6)))
    assert one.sha256 == Tracks("b", "m", (line(5), line(6))).sha256
    assert one.sha256 != Tracks("a", "m", (line(5), line(6, user="2"))).sha256
    assert one.sha256 != Tracks("a", "m", (line(5), line(6, speed=(1, -2.0001)))).sha256


def test_what_is_too_short_or_not_there_is_refused() -> None:
    with refused("data: got 2 tracks of at most 80 positions at 25 Hz, expected tracks of at least 100"):
        first_windows([line(80), line(70)], 100)
    assert track_of("s", "u", "k", np.zeros(3), np.zeros((3, 2))) == []
    with refused("agent: got 'bus', expected one that a has: pedestrian"):
        Tracks("a", "m", (line(5),)).of_agent("bus")


# --- VRU


def vru_files() -> dict[str, str]:
    rows = "".join(f"{i},{0.08 * i},{i},{-i}\n" for i in range(3))
    files = {f"{kind}/{motion}/7.csv": ",timestamp,x,y\n" + rows for kind, motion in VRU}
    return files | {"pedestrians/.svn/format.csv": "9\n", "readme.txt": "?"}


VRU = [("cyclists", "moving"), ("cyclists", "stopping"), ("pedestrians", "waiting")]


@pytest.mark.parametrize("packed", [True, False])
def test_vru_is_read_from_its_archive_or_its_folders(tmp_path: Path, packed: bool) -> None:
    home = tmp_path / "vru"
    home.mkdir()
    if packed:
        with tarfile.open(home / ARCHIVE, "w:gz") as handle:
            for name, text in vru_files().items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(text)
                handle.addfile(member, io.BytesIO(text.encode()))
    else:
        for name, text in vru_files().items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text)
    found = load_vru(tmp_path)
    assert [(track.agent, track.motion, track.user) for track in found.tracks] == [
        ("bicycle", "moving", "cyclists/moving/7"),
        ("bicycle", "stopping", "cyclists/stopping/7"),
        ("pedestrian", "waiting", "pedestrians/waiting/7"),
    ]
    assert found.unit == "m"
    np.testing.assert_allclose(found.tracks[0].positions, [[0, 0], [1, -1], [2, -2]])
    np.testing.assert_allclose(found.tracks[0].seconds, [0, 0.08, 0.16])


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(b"no archive")
    with refused("data: got .*expected a whole copy; fetch it from"):
        load_vru(tmp_path)


# --- Stanford Drone

BOXES = """3 10 20 30 60 0 0 0 0 "Biker"
3 12 20 32 60 1 0 0 1 "Biker"
3 14 20 34 60 2 1 0 1 "Biker"
3 16 20 36 60 3 0 0 1 "Biker"
3 18 20 38 60 4 0 0 1 "Biker"
4 0 0 2 2 0 0 0 0 "Pedestrian"
4 0 0 2 4 1 0 0 0 "Pedestrian"
"""
SCALES = "gates:\n   video2:\n      scale: 0.5\n      certainty: 1.0\n   video3:\n      scale: 0.25\n"


def test_stanford_drone_boxes_become_places_and_lost_rows_cut_a_track(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "annotations.zip", "w") as handle:
        handle.writestr("annotations/gates/video2/annotations.txt", BOXES)
        handle.writestr("README", "?")
    (tmp_path / "estimated_scales.yaml").write_text(SCALES)
    metres, pixels = load_stanford_drone(tmp_path), load_stanford_drone(tmp_path, unit="px")
    assert [(t.scene, t.user, t.agent) for t in metres.tracks] == [
        ("gates/video2", "3", "bicycle"),
        ("gates/video2", "3.1", "bicycle"),
        ("gates/video2", "4", "pedestrian"),
    ]
    np.testing.assert_allclose(pixels.tracks[0].positions, [[20, 40], [22, 40]])
    np.testing.assert_allclose(pixels.tracks[1].positions, [[26, 40], [28, 40]])
    np.testing.assert_allclose(pixels.tracks[1].seconds, [0.1, 4 / 30])
    np.testing.assert_allclose(metres.tracks[0].positions, 0.5 * pixels.tracks[0].positions)
    (tmp_path / "estimated_scales.yaml").write_text(SCALES.replace("video2", "video9"))
    with refused("data: got estimated_scales.yaml without gates/video2, expected a scale for every video; use unit px"):
        load_stanford_drone(tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1 2 3", "data: got line 1 of gates/video2 with 3 columns, expected 10"),
        ('1 a 2 3 4 5 0 0 0 "Cart"', "data: got line 1 of gates/video2: .*expected whole numbers"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, row: str, said: str) -> None:
    file = tmp_path / "annotations" / "gates" / "video2" / "annotations.txt"
    file.parent.mkdir(parents=True)
    file.write_text(row + "\n")
    with refused(said):
        load_stanford_drone(tmp_path, unit="px")


# --- SinD


@pytest.mark.parametrize("packed", ["yes", "no", "both"])
def test_sind_has_milliseconds(tmp_path: Path, packed: str) -> None:
    text = "track_id,frame_id,timestamp_ms,agent_type,x,y\nP0,1,100,pedestrian,1,2\nP0,2,200,pedestrian,3,4\n"
    text += "P1,1,100,pedestrian,5,6\nP1,2,200,pedestrian,7,8\n"
    if packed != "no":
        with gzip.open(tmp_path / "Xian_Ped_smoothed_tracks.csv.gz", "wt") as stream:
            stream.write(text)
    if packed != "yes":
        (tmp_path / "Xian_Ped_smoothed_tracks.csv").write_text(text)
    one, two = load_sind(tmp_path).tracks
    assert (one.scene, one.user, one.agent, two.user) == ("Xian", "P0", "pedestrian", "P1")
    np.testing.assert_allclose(one.seconds, [0.1, 0.2])
    np.testing.assert_allclose(two.positions, [[5, 6], [7, 8]])


# --- inD


def write_recording(folder: Path, number: str, rate: float = 25, kinds: str = "4,car\n5,pedestrian\n") -> None:
    rows = "".join(
        f"{number},{user},{frame},{frame - 10},{user + frame},{-user},90\n" for user in (4, 5) for frame in (10, 11)
    )
    header = "recordingId,trackId,frame,trackLifetime,xCenter,yCenter,heading\n"
    (folder / f"{number}_tracks.csv").write_text(header + rows)
    (folder / f"{number}_tracksMeta.csv").write_text("trackId,class\n" + kinds)
    (folder / f"{number}_recordingMeta.csv").write_text(f"recordingId,locationId,frameRate\n{number},1,{rate}\n")


def test_ind_has_three_files_for_each_recording(tmp_path: Path) -> None:
    for number in ("00", "07"):
        write_recording(tmp_path, number)
    found = load_ind(tmp_path)
    assert [(t.scene, t.user, t.agent) for t in found.tracks] == [
        ("00", "4", "car"),
        ("00", "5", "pedestrian"),
        ("07", "4", "car"),
        ("07", "5", "pedestrian"),
    ]
    np.testing.assert_allclose(found.tracks[1].positions, [[15, -5], [16, -5]])
    np.testing.assert_allclose(found.tracks[1].seconds, [0.4, 0.44])


def test_recordings_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    write_recording(tmp_path, "00")
    write_recording(tmp_path, "01", rate=12.5)
    with refused("data: got 25 Hz in recording 00 and 12.5 Hz in recording 01, expected one rate in all recordings"):
        load_ind(tmp_path)
    write_recording(tmp_path, "01", kinds="4,car\n")
    with refused("data: got 01_tracksMeta.csv without track 5, expected every track of 01_tracks.csv"):
        load_ind(tmp_path)
    (tmp_path / "01_recordingMeta.csv").unlink()
    with refused("data: got recording 01 in .*, expected also 01_recordingMeta.csv"):
        load_ind(tmp_path)


# --- a user's own file


def own(tmp_path: Path, text: str, **names: object) -> Tracks:
    file = tmp_path / "paths.csv"
    file.write_text(text)
    return load_own_tracks(file, Columns(**names))


def test_a_users_columns_have_any_names(tmp_path: Path) -> None:
    text = "id,f,east,north,what\na,0,1,2,bike\na,5,3,4,bike\nb,0,5,6,walker\nb,5,7,8,walker\n"
    found = own(tmp_path, text, track="id", time="f", x="east", y="north", agent="what", rate=10.0)
    assert [(track.user, track.agent) for track in found.tracks] == [("a", "bike"), ("b", "walker")]
    np.testing.assert_allclose(found.tracks[1].seconds, [0, 0.5])
    np.testing.assert_allclose(found.tracks[1].positions, [[5, 6], [7, 8]])
    # as spreadsheets write it, and with a track of a single position
    assert own(tmp_path, "\ufefftrack,time,x,y\n1,0,1,2\n1,1,3,4\n2,0,0,0\n").agents == ("unknown",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("track,time,x\n1,0,1\n", "data: got paths.csv without a column 'y', expected columns track, time, x, y"),
        ("", "data: got paths.csv without a column 'time'"),
        ("track,time,x,y\n", "data: got paths.csv without a line of numbers, expected tracks"),
        ("track,time,x,y\n1,0,nan,2\n", "data: got 'nan' in column 'x', line 2 of paths.csv, expected a finite number"),
        ("track,time,x,y\n1,0,inf,2\n", "data: got 'inf' in column 'x', line 2 of paths.csv, expected a finite number"),
        ("track,time,x,y\n\n\n1,zero,1,2\n", "data: got 'zero' in column 'time', line 4 of paths.csv"),
        ("track,time,x,y\n1,0,1,2\n2,0,1,2\n", "data: got paths.csv, no track of which has two positions, expected"),
        ("track,time,x,y\n1,0,1\n", "data: got line 2 of paths.csv with 3 columns, expected at least 4"),
        (
            "track,time,x,y\na,0,0,0\na,1,0,0\nb,0,0,0\nb,0.5,0,0\n",
            "data: got 2 Hz in track 'b' and 1 Hz in track 'a' of paths.csv, expected one rate in a file; give each",
        ),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with refused(said):
        own(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with refused("data: got .*nowhere.csv.*, expected a text file that can be read"):
        load_own_tracks(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("load", [load_vru, load_stanford_drone, load_sind, load_ind])
def test_a_data_set_that_is_not_there_says_where_to_get_it(
    load: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(r"data: got .*, expected a folder with [^ ]+( or [^ ]+){0,2}, or .*; fetch it from https?://"):
        load(tmp_path)
    monkeypatch.delenv("FASTSLOW_DATA", raising=False)
    with refused("data: got None, expected a folder with .*; fetch it from https?://.* and name its folder"):
        load()


# --- the real files


@pytest.mark.parametrize(
    ("kind", "count", "constant", "moving"),
    [
        ("bicycle", 185, (3.125, 6.173, 7.592), (0.596, 1.229, 0.344)),
        ("pedestrian", 441, (1.148, 2.243, 1.002), (0.356, 0.800, 0.129)),
    ],
)
def test_vru_gives_the_known_figures_of_constant_position_and_velocity(
    real_data: Path, kind: str, count: int, constant: tuple, moving: tuple
) -> None:
    """ADE, FDE and MSE of windows whose ends lie a metre apart; velocity is the mean over the last ten positions."""
    if not (real_data / "vru").is_dir():
        pytest.skip(f"{real_data} has no vru/")
    windows = first_windows(load_vru(real_data).of_agent(kind), 100)
    windows = windows[apart(windows) >= 1]
    assert len(windows) == count
    last, future = windows[:, 49:50], windows[:, 50:]
    velocity = (windows[:, 49:50] - windows[:, 39:40]) / 10
    for predicted, expected in ((last, constant), (last + velocity * np.arange(1, 51)[None, :, None], moving)):
        away = np.linalg.norm(future - predicted, axis=2)
        found = away.mean(), away[:, -1].mean(), np.mean((future - predicted) ** 2)
        np.testing.assert_allclose(found, expected, atol=5e-4)


def test_stanford_drone_and_sind_are_read_whole(real_data: Path) -> None:
    if not (real_data / "sind").is_dir() or not (real_data / "stanford_drone").is_dir():
        pytest.skip(f"{real_data} has no sind/ or no stanford_drone/")
    drone = load_stanford_drone(real_data)
    assert {"bicycle", "pedestrian"} <= set(drone.agents)
    for track in drone.tracks:
        assert np.diff(track.seconds).max() < 1.5 / 30
    sind = load_sind(real_data)
    assert sind.agents == ("pedestrian",)
    assert len(first_windows(sind.tracks, 100)) > 60
