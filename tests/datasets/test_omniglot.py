"""Reading Omniglot: from zips and folders, and through the cache."""

import errno
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fake import EVALUATION, FAKE, cache_file, members, write_fake

from fastslow._checks import Notice, UserError
from fastslow.datasets import omniglot as module
from fastslow.datasets.images import shrink, to_ink_28
from fastslow.datasets.omniglot import OFFICIAL, Omniglot, _load, _load_raw, load_omniglot, load_raw


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever the arrays are built from the drawings."""
    count, build = [], module._build

    def counted(*args) -> Omniglot:
        count.append(1)
        return build(*args)

    monkeypatch.setattr(module, "_build", counted)
    return count


def test_classes_in_the_data_sets_order_and_ink_is_high(data):
    omniglot = _load(data, FAKE)
    assert omniglot.names == (
        "images_background/Alpha/character01",
        "images_background/Alpha/character02",
        "images_background/Alpha-Beta/character01",
        "images_evaluation/Beta/character01",
        "images_evaluation/Beta/character02",
    )
    assert omniglot.images.shape == (5, 20, 28, 28)
    assert omniglot.images.dtype == np.uint8
    assert omniglot.images.max() > 200
    assert omniglot.images.mean() < 60  # mostly paper
    drawing = f"{omniglot.names[3]}/0001_05.png"
    raw = np.asarray(Image.open(io.BytesIO(members(EVALUATION, 1000)[drawing])))
    np.testing.assert_array_equal(omniglot.images[3, 4], shrink(np.where(raw, 0, 255).astype(np.uint8)))


def test_folders_give_the_same_as_zips(data, tmp_path):
    from_zips = _load(data, FAKE)
    for name in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(data / f"{name}.zip") as file:
            file.extractall(tmp_path / "folders")
    assert _load(tmp_path / "folders", FAKE).sha256 == from_zips.sha256


def test_select_and_its_unknown_name(data):
    omniglot = _load(data, FAKE)
    np.testing.assert_array_equal(omniglot.select(omniglot.names[3:1:-1]), omniglot.images[[3, 2]])
    with pytest.raises(UserError, match="names: got 'images_background/Greek/character99'"):
        omniglot.select(["images_background/Greek/character99"])
    with pytest.raises(ValueError, match="read-only"):
        omniglot.images[0, 0, 0, 0] = 1


def test_raw_drawings_shrink_to_the_cached_images(data):
    omniglot = _load(data, FAKE)
    chosen = (omniglot.names[4], omniglot.names[0])
    raw = _load_raw(chosen, data, FAKE)
    assert raw.shape == (2, 20, 105, 105)
    assert set(np.unique(raw)) == {0, 255}
    paper = 255 - raw.reshape(-1, 105, 105)
    expected = omniglot.select(chosen).reshape(-1, 28, 28).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(to_ink_28(paper), expected)
    np.testing.assert_array_equal(to_ink_28(raw[0, :1].astype(np.float32) / 255, "light"), expected[:1])
    with pytest.raises(UserError, match="a class of Omniglot"):
        _load_raw(["images_background/Greek/character99"], data, FAKE)


def test_the_second_load_reads_the_cache(data, builds):
    first, second = _load(data, FAKE), _load(data, FAKE)
    assert len(builds) == 1
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.names, first.sha256) == (second.names, second.sha256)
    assert sorted(file.name for file in cache_file().parent.iterdir()) == ["omniglot_28.lock", "omniglot_28.npz"]


def test_the_cache_needs_no_pickle(data):
    _load(data, FAKE)
    with np.load(cache_file(), allow_pickle=False) as stored:
        assert sorted(stored) == ["images", "names", "sha256", "stamp"]
        assert stored["images"].dtype == np.uint8


def test_a_stale_cache_is_rebuilt(data, builds):
    before = _load(data, FAKE)
    write_fake(data, seed=77)
    after = _load(data, FAKE)
    assert len(builds) == 2
    assert before.sha256 != after.sha256
    assert _load(data, FAKE).sha256 == after.sha256
    assert len(builds) == 2


def test_a_cache_of_an_older_preparation_is_rebuilt(data, builds, monkeypatch):
    _load(data, FAKE)
    monkeypatch.setattr(module, "CACHE_FORMAT", module.CACHE_FORMAT + 1)
    _load(data, FAKE)
    assert len(builds) == 2


@pytest.mark.parametrize("damage", ["half", "empty", "bit", "other file", "wrong sum"])
def test_a_torn_cache_is_rebuilt(data, builds, damage):
    whole = _load(data, FAKE)
    content = bytearray(cache_file().read_bytes())
    if damage == "half":
        cache_file().write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        cache_file().write_bytes(b"")
    elif damage == "bit":
        content[len(content) // 2] ^= 1
        cache_file().write_bytes(content)
    elif damage == "other file":
        cache_file().write_text("not an array")
    else:
        with np.load(cache_file()) as stored:
            arrays = dict(stored)
        arrays["images"] = 255 - arrays["images"]
        np.savez(cache_file(), **arrays)
    again = _load(data, FAKE)
    assert len(builds) == 2
    np.testing.assert_array_equal(whole.images, again.images)
    _load(data, FAKE)
    assert len(builds) == 2


def test_two_processes_build_the_cache_once(data, tmp_path):
    log = tmp_path / "builds"
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.datasets.fake import FAKE
from fastslow.datasets import omniglot as module
build = module._build
def slow(*args):
    with open({str(log)!r}, "a") as file:
        file.write("built\\n")
    time.sleep(1)
    return build(*args)
module._build = slow
print("ready", flush=True)
sys.stdin.readline()
print(module._load({str(data)!r}, FAKE).sha256)
"""
    pipe = subprocess.PIPE
    both = [subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    sums = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1]
    assert sums[0].strip() == _load(data, FAKE).sha256
    assert log.read_text() == "built\n"


@pytest.mark.parametrize("obstacle", ["file in the way", "no right to lock", "no right to write"])
def test_an_unwritable_cache_folder_is_done_without(data, builds, tmp_path, monkeypatch, obstacle):
    if obstacle == "file in the way":
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("FASTSLOW_CACHE", str(tmp_path / "file"))
    else:
        denied = PermissionError(errno.EACCES, "Permission denied")
        target = (module.FileLock, "acquire") if obstacle == "no right to lock" else (np, "savez")
        monkeypatch.setattr(*target, failing(denied))
    with pytest.warns(Notice, match=r"^Omniglot is used without a cache, as .*set FASTSLOW_CACHE [^.]*\.$"):
        omniglot = _load(data, FAKE)
    assert omniglot.images.shape == (5, 20, 28, 28)
    assert len(builds) == 1


def failing(error: Exception):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize("where", ["write", "sync", "replace"])
@pytest.mark.parametrize("old", [False, True])
def test_a_full_disk_loses_nothing(data, builds, monkeypatch, where, old):
    content = None
    if old:
        _load(data, FAKE)
        content = cache_file().read_bytes()
        write_fake(data, seed=77)
    full = OSError(errno.ENOSPC, "No space left on device")
    target = {"write": (np, "savez"), "sync": (os, "fsync"), "replace": (os, "replace")}[where]
    with monkeypatch.context() as patch:
        patch.setattr(*target, failing(full))
        with pytest.warns(Notice, match="No space left on device"):
            omniglot = _load(data, FAKE)
    assert omniglot.images.max() > 200
    left = {file.name for file in cache_file().parent.iterdir()} - {"omniglot_28.lock"}
    assert left == ({"omniglot_28.npz"} if old else set())  # nothing half-written stays
    if old:
        assert cache_file().read_bytes() == content
    _load(data, FAKE)
    assert cache_file().is_file()


def test_the_real_data(real_data):
    if not (real_data / "omniglot").is_dir() and not (real_data / "images_background.zip").is_file():
        pytest.skip(f"no Omniglot in {real_data}")
    omniglot = load_omniglot(real_data)
    assert omniglot.images.shape == (1623, 20, 28, 28)
    assert len(set(omniglot.names)) == 1623
    assert omniglot.names[0] == "images_background/Alphabet_of_the_Magi/character01"
    assert omniglot.names[963] == "images_background/Tifinagh/character55"
    assert omniglot.names[964] == "images_evaluation/Angelic/character01"
    assert omniglot.names[-1] == "images_evaluation/ULOG/character26"
    assert 0.05 < omniglot.images.mean() / 255 < 0.15  # strokes on paper, not paper on strokes
    names = omniglot.names[700:702]
    raw = load_raw(names, real_data)
    ink = omniglot.select(names).reshape(-1, 28, 28).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(to_ink_28(raw.reshape(-1, 105, 105), "light"), ink)
    assert load_omniglot(real_data).sha256 == omniglot.sha256


def test_the_official_addresses():
    assert [content.part.url.rpartition("/")[2] for content in OFFICIAL] == [
        "images_background.zip",
        "images_evaluation.zip",
    ]
    assert json.dumps([[content.alphabets, content.classes] for content in OFFICIAL]) == "[[30, 964], [20, 659]]"
    assert all(len(content.part.md5) == 32 for content in OFFICIAL)
