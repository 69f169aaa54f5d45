"""Reading Omniglot: from zips and folders, through the cache, and from copies that are not whole."""

import errno
import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastslow._checks import UserError
from fastslow.datasets import omniglot as module
from fastslow.datasets.images import shrink, to_ink_28
from fastslow.datasets.locate import Part
from fastslow.datasets.omniglot import OFFICIAL, Content, Omniglot, _load, _load_raw, load_omniglot, load_raw

FAKE = (
    Content(Part("images_background", "https://example.org/images_background.zip", ""), alphabets=2, classes=3),
    Content(Part("images_evaluation", "https://example.org/images_evaluation.zip", ""), alphabets=1, classes=2),
)
# Not in order, as in a folder: the reader sorts.
BACKGROUND = (
    "images_background/Alpha-Beta/character01",
    "images_background/Alpha/character02",
    "images_background/Alpha/character01",
)
EVALUATION = ("images_evaluation/Beta/character02", "images_evaluation/Beta/character01")


def png(seed: int, side: int = 105) -> bytes:
    """A black stroke on white, as in the data set's files."""
    paper = np.ones((side, side), bool)
    row, column = np.random.default_rng(seed).integers(5, side - 20, 2)
    paper[row : row + 3, 5:-5] = False
    paper[5:-5, column : column + 4] = False
    out = io.BytesIO()
    Image.fromarray(paper).save(out, "png")
    return out.getvalue()


def members(classes: tuple[str, ...], seed: int = 0) -> dict[str, bytes]:
    """Drawings of some classes, by their names in the archive."""
    names = [f"{name}/{place:04}_{drawer:02}.png" for place, name in enumerate(classes) for drawer in range(20, 0, -1)]
    return {name: png(seed + place) for place, name in enumerate(names)}


def write_zip(file: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w") as out:
        for name, data in content.items():
            out.writestr(name, data)


def write_fake(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_zip(folder / "images_background.zip", members(BACKGROUND, seed))
    write_zip(folder / "images_evaluation.zip", members(EVALUATION, seed + 1000))
    return folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny data set in zips, and a cache folder of the test's own."""
    monkeypatch.setenv("FASTSLOW_CACHE", str(tmp_path / "cache"))
    return write_fake(tmp_path / "data")


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever the arrays are built from the drawings."""
    count, build = [], module._build

    def counted(*args) -> Omniglot:
        count.append(1)
        return build(*args)

    monkeypatch.setattr(module, "_build", counted)
    return count


def cache_file() -> Path:
    return Path(os.environ["FASTSLOW_CACHE"]) / module.SMALL.file


def refused(folder: Path, match: str) -> None:
    """The copy is refused in one sentence, and nothing of it is cached."""
    with pytest.raises(UserError, match=match) as error:
        _load(folder, FAKE)
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert ". " not in text
    assert not cache_file().exists()


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
from tests.datasets.test_omniglot import FAKE
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
    with pytest.warns(UserWarning, match=r"^Omniglot is used without a cache, as .*set FASTSLOW_CACHE [^.]*\.$"):
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
        with pytest.warns(UserWarning, match="No space left on device"):
            omniglot = _load(data, FAKE)
    assert omniglot.images.max() > 200
    left = {file.name for file in cache_file().parent.iterdir()} - {"omniglot_28.lock"}
    assert left == ({"omniglot_28.npz"} if old else set())  # nothing half-written stays
    if old:
        assert cache_file().read_bytes() == content
    _load(data, FAKE)
    assert cache_file().is_file()


def test_a_truncated_zip(data):
    whole = (data / "images_background.zip").read_bytes()
    (data / "images_background.zip").write_bytes(whole[: len(whole) // 2])
    refused(data, "fetch it again")


def test_a_wrong_zip(data):
    write_zip(data / "images_background.zip", {"holiday/beach/sea/photo.png": png(0)})
    refused(data, "0 alphabets and 0 characters .* fetch https://example.org")


def test_the_zips_swapped(data):
    (data / "images_background.zip").rename(data / "other.zip")
    (data / "images_evaluation.zip").rename(data / "images_background.zip")
    (data / "other.zip").rename(data / "images_evaluation.zip")
    refused(data, "0 alphabets and 0 characters")


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "images_background/../../evil.png"])
def test_a_zip_whose_members_point_outside(data, name):
    write_zip(data / "images_background.zip", members(BACKGROUND) | {name: png(0)})
    refused(data, "only members inside the archive")


def test_missing_files(data):
    (data / "images_evaluation.zip").unlink()
    refused(data, r"images_evaluation\.zip is missing")


def test_a_class_too_few(data):
    write_zip(data / "images_evaluation.zip", members(EVALUATION[:1]))
    refused(data, "got '1 alphabets and 1 characters")


@pytest.mark.parametrize("extra", ["0001_01.png", "0001_00.png", "0001_1.png", "0002_13.png", "other.png"])
def test_each_drawer_must_be_there_once(data, extra):
    """Else the places of the drawings would be those of other drawers."""
    folder = "images_evaluation/Beta/character01/"
    content = members(EVALUATION)
    replaced = content.pop(f"{folder}0001_13.png")
    with zipfile.ZipFile(data / "images_evaluation.zip", "w") as out, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one name may be there twice
        for name, drawing in [*content.items(), (folder + extra, replaced)]:
            out.writestr(name, drawing)
    refused(data, f"the drawing [0-9a-z_]*.png of {folder[:-1]} .* by drawers 01 to 20")


def test_too_few_drawings(data):
    content = members(EVALUATION)
    content.pop("images_evaluation/Beta/character01/0001_13.png")
    write_zip(data / "images_evaluation.zip", content)
    refused(data, "19 drawings of images_evaluation/Beta/character01")


@pytest.mark.timeout(30)  # a pipe that nobody writes to makes its reader wait for ever
def test_a_pipe_among_the_drawings_is_no_drawing(data, tmp_path):
    for name in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(data / f"{name}.zip") as file:
            file.extractall(tmp_path / "folders")
    drawing = tmp_path / "folders" / "images_evaluation" / "Beta" / "character01" / "0001_13.png"
    drawing.unlink()
    os.mkfifo(drawing)
    refused(tmp_path / "folders", "19 drawings of images_evaluation/Beta/character01")


def as_png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "png")
    return out.getvalue()


def test_eight_bits_of_grey_are_the_same_drawings(data):
    plain = _load(data, FAKE)
    grey = {name: as_png(Image.open(io.BytesIO(d)).convert("L")) for name, d in members(EVALUATION, 1000).items()}
    write_zip(data / "images_evaluation.zip", grey)
    assert _load(data, FAKE).sha256 == plain.sha256


@pytest.mark.parametrize("mode", ["I;16", "P", "LA", "RGB", "RGBA"])
def test_a_drawing_whose_values_would_change_is_refused(data, mode):
    drawing = Image.open(io.BytesIO(png(0))).convert("L")
    if mode == "I;16":
        drawing = Image.fromarray(np.asarray(drawing).astype(np.uint16) * 257)
    content = members(EVALUATION) | {"images_evaluation/Beta/character01/0001_13.png": as_png(drawing.convert(mode))}
    write_zip(data / "images_evaluation.zip", content)
    refused(data, f"0001_13.png of 105×105 pixels in mode {mode} .* 1 or 8 bits of grey")


@pytest.mark.parametrize(
    ("drawing", "match"), [(png(0, side=104), "104×104"), (b"GIF89a", "PNG"), (b"", "PNG"), (png(0)[:90], "PNG")]
)
def test_a_drawing_that_is_none(data, drawing, match):
    write_zip(
        data / "images_evaluation.zip",
        members(EVALUATION) | {"images_evaluation/Beta/character01/0001_13.png": drawing},
    )
    refused(data, f"0001_13.png.*{match}")


def test_what_else_a_zip_may_hold_is_passed_over(data):
    extra = {"__MACOSX/images_background/Alpha/character01/._0001_01.png": b"", "images_background/read.me": b"x"}
    plain = _load(data, FAKE)
    write_zip(data / "images_background.zip", members(BACKGROUND) | extra)
    assert _load(data, FAKE).sha256 == plain.sha256


def test_shrinking_keeps_shape_and_sides():
    drawing = np.zeros((105, 105), np.uint8)
    drawing[:53] = 255  # ink above, paper below
    small = shrink(drawing)
    assert (small[:12] > 245).all()
    assert (small[16:] < 10).all()
    wide = np.full((10, 40), 255, np.uint8)  # a bar is centred on square paper, not stretched
    bar = shrink(wide)
    assert (bar[14, 2:-2] > 245).all()
    assert (bar[:7] < 10).all()
    assert (bar[-7:] < 10).all()


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (7, 50), (300, 200)])
def test_images_of_any_size_and_type(size):
    ink = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    out = to_ink_28(ink, "light")
    assert out.shape == (2, 28, 28)
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1
    if size[0] == size[1]:  # padding is paper: dark on light only turns round where there is none
        np.testing.assert_array_equal(to_ink_28(255 - ink, "dark"), out)
    np.testing.assert_array_equal(to_ink_28(ink.astype(np.float64) / 255, "light"), out)
    np.testing.assert_array_equal(to_ink_28(ink > 99, "light"), to_ink_28(np.where(ink > 99, 1.0, 0.0), "light"))


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (np.full((1, 9, 9), np.nan), "NaN"),
        (np.full((1, 9, 9), np.inf), "NaN or infinite"),
        (np.full((1, 9, 9), 200.0), "divide by 255"),
        (np.full((1, 9, 9), -0.5), r"float values in \[0, 1\]"),
        (np.zeros((1, 9, 9), np.int64), "int64"),
        (np.zeros((9, 9)), r"\[items, height, columns\]"),
        (np.zeros((1, 0, 9)), "no empty image"),
        (np.zeros((1, 1, 100_000)), "1×100000 pixels', wanted at most 10,000 pixels a side; shrink them first"),
        (np.zeros((1, 10_001, 1)), "10001×1 pixels"),
    ],
)
def test_images_that_cannot_be_used(images, match):
    with pytest.raises(UserError, match=match):
        to_ink_28(images)


def test_ink_must_be_dark_or_light():
    with pytest.raises(UserError, match="one of dark, light"):
        to_ink_28(np.zeros((1, 9, 9)), "grey")


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
