"""Where a data set's files are: explicit path, `FASTSLOW_DATA`, the cache directory, then the official address.

A path or `FASTSLOW_DATA` names the data set's own folder, or a folder that holds one of the data set's name. Downloads
are guarded by a checksum; a user's own copy is checked by its content, by the module that reads it.
"""

import hashlib
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pooch
from filelock import FileLock

from .._checks import Described, UserError, bad

MAX_MEMBER_BYTES = 1_000_000
"""Largest file read from an archive; a drawing has less than a hundredth of it."""


@dataclass(frozen=True)
class Part:
    """One archive of a data set.

    Attributes:
        name: the archive's file name without its ending, and the folder or file it extracts to.
        url: the official address.
        md5: checksum of the official file.
        ending: of the archive's file name.
    """

    name: str
    url: str
    md5: str
    ending: str = ".zip"

    @property
    def file(self) -> str:
        """The archive's file name."""
        return self.name + self.ending


def cache_dir() -> Path:
    """Folder for downloads and prepared arrays: `FASTSLOW_CACHE`, or the platform's cache folder."""
    return Path(os.environ.get("FASTSLOW_CACHE") or pooch.os_cache("fastslow")).expanduser()


def locate(dataset: str, parts: tuple[Part, ...], path: str | Path | None = None) -> Path:
    """Finds the folder that holds every part of a data set, downloading it as the last resort.

    Args:
        dataset: name of the data set, also the name of its folder.
        parts: the archives it consists of; each may be there as a zip or as the folder it extracts to.
        path: folder to look in, and nowhere else.

    Returns:
        The folder with the parts.

    Raises:
        UserError: if `path`, which settings call `data`, or `FASTSLOW_DATA` does not exist, a part is missing, or the
            download fails.
    """
    if path is not None:
        found = _look_in("data", Path(path).expanduser(), dataset, parts)
        if found is None:
            expected = f"a folder with {_listed(parts)}, or with a folder {dataset} that holds them"
            raise bad("data", got=str(path), expected=expected)
        return found
    if named := os.environ.get("FASTSLOW_DATA"):
        # The folder may hold other data sets only: then the search goes on.
        found = _look_in("FASTSLOW_DATA", Path(named).expanduser(), dataset, parts)
        if found is not None:
            return found
    home = cache_dir() / dataset
    if not all(_has(home, part) for part in parts):
        _download(dataset, parts, home)
    return home


def _look_in(argument: str, folder: Path, dataset: str, parts: tuple[Part, ...]) -> Path | None:
    """The folder itself or its subfolder, whichever holds the parts; None where there is none of them."""
    if not folder.is_dir():
        raise bad(argument, got=str(folder), expected="a folder that exists")
    for candidate in (folder, folder / dataset):
        missing = [part.file for part in parts if not _has(candidate, part)]
        if not missing:
            return candidate
        if len(missing) < len(parts):
            raise bad(argument, got=str(folder), expected=f"{_listed(parts)} side by side; {missing[0]} is missing")
    return None


def _has(folder: Path, part: Part) -> bool:
    return (folder / part.file).is_file() or (folder / part.name).exists()


def _listed(parts: tuple[Part, ...]) -> str:
    return " and ".join(part.file for part in parts)


def _download(dataset: str, parts: tuple[Part, ...], home: Path) -> None:
    """Fetches the missing parts; each arrives under its name only when whole and of the right checksum."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home.with_suffix(".lock")):
            for part in parts:
                if not _has(home, part):
                    pooch.retrieve(part.url, known_hash=f"md5:{part.md5}", fname=part.file, path=home)
    except (OSError, ValueError) as error:
        addresses = " and ".join(part.url for part in parts)
        raise UserError(
            f"{dataset} was not found and its download failed ({type(error).__name__}): fetch {addresses} and put "
            f"them into {home}, or name the folder that holds them in FASTSLOW_DATA or by --data."
        ) from error


class Archive:
    """The files of one part, from its zip or its folder, read by name and never extracted."""

    def __init__(self, part: Part, source: Path, handle: zipfile.ZipFile | None):
        self.part = part
        self.source = source
        self._handle = handle

    def names(self) -> list[str]:
        """Names of all files, as paths from the part's own name on, sorted."""
        if self._handle is None:
            return sorted(f"{self.part.name}/{file.relative_to(self.source).as_posix()}" for file, _ in self._files())
        members = [name for name in self._handle.namelist() if not name.endswith("/")]
        for name in members:
            pure = PurePosixPath(name.replace("\\", "/"))
            # a member without a name of its own, such as ".", has no parts
            if not pure.parts or pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
                raise bad("data", got=name, expected=f"only members inside the archive {self.source}")
        return sorted(members)

    def read(self, name: str) -> bytes:
        """Content of one file."""
        try:
            if self._handle is None:
                file = self.source / PurePosixPath(name).relative_to(self.part.name)
                size, read = file.stat().st_size, file.read_bytes
            else:
                size, read = self._handle.getinfo(name).file_size, partial(self._handle.read, name)
            if size <= MAX_MEMBER_BYTES:
                return read()
        except (OSError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise _broken(self.source, name) from error
        got = Described(f"{name} of over {MAX_MEMBER_BYTES} bytes in {self.source}")
        raise bad("data", got=got, expected="drawings alone", hint=f"fetch {self.part.url}")

    def fingerprint(self) -> str:
        """Changes when the source does: hash of the zip's bytes, or of the folder's names, sizes and times."""
        if self._handle is not None:
            with self.source.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for file, status in self._files():
            entry = f"{file.relative_to(self.source).as_posix()} {status.st_size} {status.st_mtime_ns}\n"
            digest.update(entry.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The regular files of a folder, in order; reading a pipe or a device could wait for ever."""
        for file in sorted(self.source.rglob("*")):
            with suppress(OSError):  # a link that leads nowhere
                status = file.stat()
                if stat.S_ISREG(status.st_mode):
                    yield file, status


@contextmanager
def open_archive(folder: Path, part: Part) -> Iterator[Archive]:
    """Opens one part for reading; a zip is preferred to a folder of the same name.

    Raises:
        UserError: if the zip is cut short, is no zip, or cannot be read.
    """
    file = folder / part.file
    if not file.is_file():
        yield Archive(part, folder / part.name, None)
        return
    try:
        handle = zipfile.ZipFile(file)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise _broken(file, "its list of members") from error
    with handle:
        yield Archive(part, file, handle)


def _broken(source: Path, what: str) -> UserError:
    return bad("data", got=str(source), expected=f"a whole copy, but {what} cannot be read", hint="fetch it again")
