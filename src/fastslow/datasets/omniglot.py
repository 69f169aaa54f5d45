"""Omniglot: 1,623 hand-drawn characters of 50 alphabets, 20 drawings each (Lake, Salakhutdinov and Tenenbaum 2015).

Classes stand in the data set's order: background alphabets, then evaluation alphabets, alphabets and characters sorted
by name. The drawings are shrunk once, to 28×28 or to a third of their size, and kept as one array file for each form in
the cache directory.
"""

import hashlib
import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from jaxtyping import UInt8
from PIL import Image

from .._checks import Described, Notice, bad
from .images import SIDE, THIRD, shrink, thirds
from .locate import Archive, Part, cache_dir, locate, open_archive

DRAWINGS = 20
RAW_SIDE = 105
CACHE_FORMAT = 2
"""Raised whenever the preparation or its checks change, so that arrays made before are built again."""

_ADDRESS = "https://github.com/brendenlake/omniglot/raw/master/python"


@dataclass(frozen=True)
class Content:
    """What one part must hold, whoever zipped it."""

    part: Part
    alphabets: int
    classes: int


OFFICIAL = (
    Content(
        Part("images_background", f"{_ADDRESS}/images_background.zip", "68d2efa1b9178cc56df9314c21c6e718"),
        alphabets=30,
        classes=964,
    ),
    Content(
        Part("images_evaluation", f"{_ADDRESS}/images_evaluation.zip", "6b91aef0f799c5bb55b94e3f2daec811"),
        alphabets=20,
        classes=659,
    ),
)


@dataclass(frozen=True)
class Form:
    """How drawings are kept. Attributes: `file`, in the cache; `side` of an image; `prepare`, from 105×105 to it."""

    file: str
    side: int
    prepare: Callable[[np.ndarray], np.ndarray]


SMALL = Form("omniglot_28.npz", SIDE, shrink)
"""28×28, as most models see them."""
LARGE = Form("omniglot_35.npz", THIRD, thirds)
"""A third of the original, to be turned, shifted and shrunk in each episode."""


@dataclass(frozen=True, eq=False)
class Omniglot:
    """The whole data set, shrunk.

    Attributes:
        images: ink = 255, paper = 0; drawing `d` of a class is by its `d`-th drawer. Read-only.
        names: of the classes, such as `images_background/Greek/character07`, in the data set's order.
        sha256: of the names and the images.
    """

    images: UInt8[np.ndarray, "classes 20 side side"]
    names: tuple[str, ...]
    sha256: str

    def select(self, names: Iterable[str]) -> UInt8[np.ndarray, "chosen 20 side side"]:
        """Images of the classes named, in the order asked for.

        Raises:
            UserError: for a name that is no class of the data set.
        """
        places = {name: place for place, name in enumerate(self.names)}
        return self.images[[_place(places, name) for name in names]]


def _place(places: dict[str, int], name: str) -> int:
    if name not in places:
        raise bad("names", got=name, expected="a class of Omniglot, such as images_background/Greek/character07")
    return places[name]


def load_omniglot(path: str | Path | None = None, form: Form = SMALL) -> Omniglot:
    """Loads the data set, from the cached array where it is whole and matches its source.

    Args:
        path: folder with the two official zips or the folders they extract to; without it `FASTSLOW_DATA`, the cache
            directory and the official address are tried, in this order.
        form: `SMALL` or `LARGE`.

    Raises:
        UserError: if the data cannot be found or is not the whole of Omniglot.
    """
    return _load(path, OFFICIAL, form)


def load_raw(names: Sequence[str], path: str | Path | None = None) -> UInt8[np.ndarray, "chosen 20 105 105"]:
    """Loads the original drawings of a few classes, with ink = 255 and paper = 0; `path` as in `load_omniglot`.

    Raises:
        UserError: for a name that is no class, or data that cannot be found or read.
    """
    return _load_raw(names, path, OFFICIAL)


def _load_raw(names: Sequence[str], path: str | Path | None, contents: tuple[Content, ...]) -> np.ndarray:
    with ExitStack() as stack:
        archives = _open(stack, path, contents)
        files = [entry for pair in zip(archives, contents, strict=True) for entry in _classes(*pair)]
        places = {_class_of(drawings[0]): place for place, (_, drawings) in enumerate(files)}
        chosen = [files[_place(places, name)] for name in names]
        raw = [[_read_drawing(archive, name) for name in drawings] for archive, drawings in chosen]
        return np.array(raw, np.uint8).reshape(len(names), DRAWINGS, RAW_SIDE, RAW_SIDE)


def _load(path: str | Path | None, contents: tuple[Content, ...], form: Form = SMALL) -> Omniglot:
    with ExitStack() as stack:
        archives = _open(stack, path, contents)
        stamp = json.dumps([CACHE_FORMAT, *(archive.fingerprint() for archive in archives)])
        file = cache_dir() / form.file
        if (cached := _read_cache(file, stamp)) is not None:
            return cached
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(file.with_suffix(".lock")))
        except OSError as error:
            _warn_uncached(file, error)
            return _build(archives, contents, form)
        # Another process may have built it while this one waited for the lock.
        if (cached := _read_cache(file, stamp)) is not None:
            return cached
        omniglot = _build(archives, contents, form)
        try:
            _write_cache(file, stamp, omniglot)
        except OSError as error:
            _warn_uncached(file, error)
        return omniglot


def _open(stack: ExitStack, path: str | Path | None, contents: tuple[Content, ...]) -> list[Archive]:
    folder = locate("omniglot", tuple(content.part for content in contents), path)
    return [stack.enter_context(open_archive(folder, content.part)) for content in contents]


def _build(archives: list[Archive], contents: tuple[Content, ...], form: Form) -> Omniglot:
    """Reads and shrinks every drawing."""
    classes = [entry for pair in zip(archives, contents, strict=True) for entry in _classes(*pair)]
    images = np.empty((len(classes), DRAWINGS, form.side, form.side), np.uint8)
    for place, (archive, drawings) in enumerate(classes):
        for drawer, name in enumerate(drawings):
            images[place, drawer] = form.prepare(_read_drawing(archive, name))
    names = tuple(_class_of(drawings[0]) for _, drawings in classes)
    return _finish(images, names, _digest(images, names))


def _classes(archive: Archive, content: Content) -> list[tuple[Archive, list[str]]]:
    """Drawings of each class of one part, in order, after checking that the part is whole."""
    drawings: dict[str, list[str]] = {}
    for name in archive.names():
        steps = name.split("/")
        if len(steps) == 4 and steps[0] == content.part.name and name.endswith(".png"):
            drawings.setdefault(_class_of(name), []).append(name)
    alphabets = {name.split("/")[1] for name in drawings}
    if (len(alphabets), len(drawings)) != (content.alphabets, content.classes):
        got = Described(f"{len(alphabets)} alphabets and {len(drawings)} characters in {archive.source}")
        expected = f"the {content.alphabets} alphabets and {content.classes} characters of {content.part.name}"
        raise bad("data", got=got, expected=expected, hint=f"fetch {content.part.url}")
    for name, files in drawings.items():
        if (got := _unlike_twenty(files)) is not None:
            got = Described(f"{got} of {name} in {archive.source}")
            expected = f"{DRAWINGS} of each character, by drawers 01 to {DRAWINGS}"
            raise bad("data", got=got, expected=expected, hint=f"fetch {content.part.url}")
    return [(archive, drawings[name]) for name in sorted(drawings, key=lambda name: name.split("/"))]


def _unlike_twenty(files: list[str]) -> str | None:
    """What is wrong with the drawings of one class: the place in the sorted list must tell the drawer."""
    if len(files) != DRAWINGS:
        return f"{len(files)} drawings"
    start = files[0].rpartition("_")[0]
    expected = [f"{start}_{drawer:02}.png" for drawer in range(1, DRAWINGS + 1)]
    wrong = [file for file, name in zip(files, expected, strict=True) if file != name]
    return f"the drawing {wrong[0].rpartition('/')[2]}" if wrong else None


def _class_of(drawing: str) -> str:
    return drawing.rpartition("/")[0]


def _read_drawing(archive: Archive, name: str) -> UInt8[np.ndarray, "105 105"]:
    """One drawing with ink = 255. The file has black ink on white paper."""
    data = archive.read(name)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            size, mode = image.size, image.mode
            # other modes, as of 16 bits or with transparency, lose values on the way to 8 bits
            pixels = np.asarray(image.convert("L")) if size == (RAW_SIDE, RAW_SIDE) and mode in ("1", "L") else None
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise bad("data", got=Described(f"{name} in {archive.source}"), expected="a drawing in PNG format") from error
    if pixels is None:
        got = Described(f"{name} of {size[0]}×{size[1]} pixels in mode {mode} in {archive.source}")
        raise bad("data", got=got, expected=f"drawings of {RAW_SIDE}×{RAW_SIDE} pixels of 1 or 8 bits of grey")
    return 255 - pixels


def _digest(images: np.ndarray, names: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\n".join(names).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def _finish(images: np.ndarray, names: tuple[str, ...], sha256: str) -> Omniglot:
    images.setflags(write=False)
    return Omniglot(images, names, sha256)


def _read_cache(file: Path, stamp: str) -> Omniglot | None:
    """The cached data set; None where there is none, or it is torn, or made from another source."""
    try:
        with file.open("rb") as whole, np.load(whole, allow_pickle=False) as stored:
            if str(stored["stamp"]) != stamp:
                return None
            images, names, sha256 = stored["images"], tuple(stored["names"].tolist()), str(stored["sha256"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return _finish(images, names, sha256) if _digest(images, names) == sha256 else None


def _write_cache(file: Path, stamp: str, omniglot: Omniglot) -> None:
    """Writes beside the target, then renames: a reader sees the old file or the whole new one."""
    beside = file.with_suffix(".part")  # one name will do: the lock is held
    try:
        with beside.open("wb") as out:
            names = np.array(omniglot.names)
            np.savez(out, images=omniglot.images, names=names, sha256=omniglot.sha256, stamp=stamp)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, file)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _warn_uncached(file: Path, error: OSError) -> None:
    reason = error.strerror or type(error).__name__
    warnings.warn(
        f"Omniglot is used without a cache, as {file} cannot be written ({reason}); set FASTSLOW_CACHE to a folder "
        f"with room to have it load faster next time.",
        Notice,
        stacklevel=4,
    )
