"""The order in which data is looked for, downloads, and archives that cannot be trusted."""

import functools
import hashlib
import http.server
import os
import threading
import zipfile
from pathlib import Path

import pooch
import pytest

from fastslow._checks import UserError
from fastslow.datasets.locate import MAX_MEMBER_BYTES, Part, cache_dir, locate, open_archive

PARTS = (Part("first", "https://example.org/first.zip", "0" * 32), Part("second", "https://example.org/second.zip", ""))


def one_sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert ". " not in text
    return text


def fill(folder: Path, names: tuple[str, ...] = ("first.zip", "second.zip")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with zipfile.ZipFile(folder / name, "w") as file:
            file.writestr(f"{Path(name).stem}/a/b/c.png", name)
    return folder


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FASTSLOW_CACHE", str(tmp_path / "home"))
    monkeypatch.delenv("FASTSLOW_DATA", raising=False)

    def no_download(*_, **__):
        raise ConnectionError("no way out")

    monkeypatch.setattr(pooch, "retrieve", no_download)


def test_explicit_path_comes_before_the_variable_and_the_cache(tmp_path, monkeypatch):
    own, named, home = fill(tmp_path / "own"), fill(tmp_path / "named"), fill(tmp_path / "home" / "letters")
    assert locate("letters", PARTS) == home
    monkeypatch.setenv("FASTSLOW_DATA", str(named))
    assert locate("letters", PARTS) == named
    assert locate("letters", PARTS, own) == own


@pytest.mark.parametrize("way", ["path", "variable"])
def test_a_folder_may_hold_the_data_sets_folder(tmp_path, monkeypatch, way):
    inner = fill(tmp_path / "data" / "letters")
    if way == "path":
        assert locate("letters", PARTS, str(tmp_path / "data")) == inner
    else:
        monkeypatch.setenv("FASTSLOW_DATA", str(tmp_path / "data"))
        assert locate("letters", PARTS) == inner


def test_a_zip_and_an_extracted_folder_may_stand_side_by_side(tmp_path):
    folder = fill(tmp_path / "data", ("first.zip",))
    (folder / "second").mkdir()
    assert locate("letters", PARTS, folder) == folder


def test_the_variable_may_name_a_folder_of_other_data_sets(tmp_path, monkeypatch):
    (tmp_path / "data" / "numbers").mkdir(parents=True)
    monkeypatch.setenv("FASTSLOW_DATA", str(tmp_path / "data"))
    home = fill(tmp_path / "home" / "letters")
    assert locate("letters", PARTS) == home


@pytest.mark.parametrize("argument", ["data", "FASTSLOW_DATA"])
def test_a_folder_that_is_not_there(tmp_path, monkeypatch, argument):
    gone = tmp_path / "gone"
    monkeypatch.setenv("FASTSLOW_DATA", str(gone))
    with pytest.raises(UserError, match=f"{argument}: .*a folder that exists") as error:
        locate("letters", PARTS, gone if argument == "data" else None)
    assert str(gone) in one_sentence(error)


def test_a_path_without_the_data_goes_no_further(tmp_path):
    fill(tmp_path / "home" / "letters")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"a folder with first\.zip and second\.zip") as error:
        locate("letters", PARTS, tmp_path / "empty")
    one_sentence(error)


def test_one_part_missing(tmp_path):
    with pytest.raises(UserError, match=r"second\.zip is missing") as error:
        locate("letters", PARTS, fill(tmp_path / "data", ("first.zip",)))
    one_sentence(error)


@pytest.mark.parametrize("failure", [ConnectionError("down"), ValueError("MD5 differs"), PermissionError("locked")])
def test_failed_download_is_one_sentence_that_says_what_to_do(tmp_path, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(UserError) as error:
        locate("letters", PARTS)
    text = one_sentence(error)
    for needed in (PARTS[0].url, PARTS[1].url, str(tmp_path / "home" / "letters"), "FASTSLOW_DATA", "--data"):
        assert needed in text


def test_failed_download_into_a_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FASTSLOW_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="download failed") as error:
        locate("letters", PARTS)
    one_sentence(error)


def test_cache_folder_of_the_platform(monkeypatch):
    monkeypatch.delenv("FASTSLOW_CACHE")
    assert cache_dir() == Path(pooch.os_cache("fastslow"))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Address and folder of a small server on this machine; downloads are real."""
    monkeypatch.undo()
    monkeypatch.setenv("FASTSLOW_CACHE", str(tmp_path / "home"))
    monkeypatch.delenv("FASTSLOW_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    folder = fill(tmp_path / "served")
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def at(address: str, folder: Path, name: str) -> Part:
    md5 = hashlib.md5((folder / f"{name}.zip").read_bytes(), usedforsecurity=False).hexdigest()
    return Part(name, f"{address}/{name}.zip", md5)


def test_download(served):
    address, folder = served
    home = locate("letters", tuple(at(address, folder, name) for name in ("first", "second")))
    assert home == cache_dir() / "letters"
    assert (home / "first.zip").read_bytes() == (folder / "first.zip").read_bytes()
    assert sorted(file.name for file in home.iterdir()) == ["first.zip", "second.zip"]


def test_download_with_another_checksum_is_refused_and_leaves_nothing(served):
    address, folder = served
    wrong = Part("second", f"{address}/second.zip", "0" * 32)
    with pytest.raises(UserError, match="download failed") as error:
        locate("letters", (at(address, folder, "first"), wrong))
    one_sentence(error)
    assert [file.name for file in (cache_dir() / "letters").iterdir()] == ["first.zip"]


@pytest.mark.parametrize(
    "name", ["../outside.png", "/outside.png", "first/../../outside.png", "C:/outside.png", ".", "./."]
)
def test_members_that_point_outside_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "first.zip", "w") as file:
        file.writestr("first/a/b/c.png", "inside")
        file.writestr(name, "outside")
    with (
        open_archive(tmp_path, PARTS[0]) as archive,
        pytest.raises(UserError, match="only members inside") as error,
    ):
        archive.names()
    assert name in one_sentence(error)
    assert [file.name for file in tmp_path.rglob("*.png")] == []


def test_a_member_too_large_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "first.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("first/a/b/c.png", bytes(MAX_MEMBER_BYTES + 1))
    with open_archive(tmp_path, PARTS[0]) as archive, pytest.raises(UserError, match="over 1000000 bytes") as error:
        archive.read("first/a/b/c.png")
    one_sentence(error)


def test_a_file_too_large_is_not_read(tmp_path):
    (tmp_path / "first").mkdir()
    with (tmp_path / "first" / "large.png").open("wb") as file:
        file.truncate(MAX_MEMBER_BYTES + 1)
    with open_archive(tmp_path, PARTS[0]) as archive, pytest.raises(UserError, match="over 1000000 bytes") as error:
        archive.read("first/large.png")
    one_sentence(error)


@pytest.mark.timeout(10)  # a pipe that nobody writes to makes its reader wait for ever
def test_only_files_of_a_folder_are_read(tmp_path):
    folder = tmp_path / "first" / "a"
    folder.mkdir(parents=True)
    (folder / "file.png").write_bytes(b"a drawing")
    (folder / "link.png").symlink_to(folder / "file.png")
    (folder / "dead.png").symlink_to(folder / "gone")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    with open_archive(tmp_path, PARTS[0]) as archive:
        assert archive.names() == ["first/a/file.png", "first/a/link.png"]
        assert [archive.read(name) for name in archive.names()] == [b"a drawing"] * 2
        assert len(archive.fingerprint()) == 64


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_with_flipped_bytes(tmp_path, compression):
    with zipfile.ZipFile(tmp_path / "first.zip", "w", compression) as file:
        file.writestr("first/a/b/c.png", bytes(range(256)) * 8)
    content = bytearray((tmp_path / "first.zip").read_bytes())
    content[60:70] = b"\xff" * 10
    (tmp_path / "first.zip").write_bytes(content)
    with open_archive(tmp_path, PARTS[0]) as archive, pytest.raises(UserError, match="fetch it again") as error:
        archive.read("first/a/b/c.png")
    one_sentence(error)


def test_zip_and_folder_hold_the_same_files(tmp_path):
    fill(tmp_path)
    with open_archive(tmp_path, PARTS[0]) as archive:
        from_zip = {name: archive.read(name) for name in archive.names()}
    with zipfile.ZipFile(tmp_path / "first.zip") as file:
        file.extractall(tmp_path)
    (tmp_path / "first.zip").unlink()
    with open_archive(tmp_path, PARTS[0]) as archive:
        files = [name for name in archive.names() if name.endswith(".png")]
        assert {name: archive.read(name) for name in files} == from_zip


def test_fingerprint_follows_the_source(tmp_path):
    fill(tmp_path)
    (tmp_path / "second").mkdir()
    (tmp_path / "second.zip").unlink()

    def prints():
        with open_archive(tmp_path, PARTS[0]) as first, open_archive(tmp_path, PARTS[1]) as second:
            return first.fingerprint(), second.fingerprint()

    before = prints()
    assert prints() == before
    (tmp_path / "second" / "new.png").write_bytes(b"new")
    with zipfile.ZipFile(tmp_path / "first.zip", "a") as file:
        file.writestr("first/new.png", "new")
    after = prints()
    assert before[0] != after[0]
    assert before[1] != after[1]
