"""MNIST: 70,000 handwritten digits of 28×28 grey pixels (LeCun, Cortes and Burges 1998), in their original order."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from .._checks import Described, bad
from .locate import Part, locate

SIDE = 28
_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist"


@dataclass(frozen=True)
class Content:
    """What one file must hold, whoever compressed it. Attributes: `part`; `shape`; `sha256` of the file's content."""

    part: Part
    shape: tuple[int, ...]
    sha256: str


def _content(name: str, md5: str, shape: tuple[int, ...], sha256: str) -> Content:
    return Content(Part(name, f"{_ADDRESS}/{name}.gz", md5, ".gz"), shape, sha256)


OFFICIAL = (
    _content(
        "train-images-idx3-ubyte",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        (60_000, SIDE, SIDE),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _content(
        "train-labels-idx1-ubyte",
        "d53e105ee54ea40749a09fcbcd1e9432",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _content(
        "t10k-images-idx3-ubyte",
        "9fb629c4189551a2d022fa330f9573f3",
        (10_000, SIDE, SIDE),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _content(
        "t10k-labels-idx1-ubyte",
        "ec29112dd5afa0611ce80d1b7f02629c",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


@dataclass(frozen=True, eq=False)
class Digits:
    """One part of MNIST, read-only. Attributes: `images`, ink = 255 and paper = 0; `labels`, 0 to 9."""

    images: UInt8[np.ndarray, "digits 28 28"]
    labels: UInt8[np.ndarray, " digits"]


@dataclass(frozen=True, eq=False)
class MNIST:
    """The whole data set. Attributes: `train`, 60,000 digits; `test`, 10,000; `sha256`, of all files' content."""

    train: Digits
    test: Digits
    sha256: str


def load_mnist(path: str | Path | None = None) -> MNIST:
    """Loads the data set.

    Args:
        path: folder with the four official files, compressed or not; without it `FASTSLOW_DATA`, the cache directory
            and the official address are tried, in this order.

    Raises:
        UserError: if the data cannot be found or is not the whole of MNIST.
    """
    return _load(path, OFFICIAL)


def _load(path: str | Path | None, contents: tuple[Content, ...]) -> MNIST:
    folder = locate("mnist", tuple(content.part for content in contents), path)
    arrays = [_read(folder, content) for content in contents]
    digest = hashlib.sha256("".join(content.sha256 for content in contents).encode()).hexdigest()
    return MNIST(Digits(*arrays[:2]), Digits(*arrays[2:]), digest)


def _read(folder: Path, content: Content) -> UInt8[np.ndarray, "..."]:
    """One file in IDX format: a header of 4 bytes for the type and for each axis, then bytes."""
    packed = folder / content.part.file
    file = packed if packed.is_file() else folder / content.part.name
    header, most = 4 + 4 * len(content.shape), int(np.prod(content.shape))
    try:
        with gzip.open(file) if file is packed else file.open("rb") as stream:
            data = stream.read(header + most + 1)  # never more than the whole file has
    except (OSError, EOFError, zlib.error) as error:
        expected = "a whole copy, but it cannot be read"
        raise bad("data", got=str(file), expected=expected, hint="fetch it again") from error
    if hashlib.sha256(data).hexdigest() != content.sha256:
        got = Described(f"another content of {file}")
        raise bad("data", got=got, expected="MNIST's own", hint=f"fetch {content.part.url}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(content.shape)


__all__ = ["MNIST", "Digits", "load_mnist"]
