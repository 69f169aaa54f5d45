"""MNIST's files: compressed or not, whole, and nothing else."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastslow._checks import UserError
from fastslow.datasets import mnist as module
from fastslow.datasets.mnist import OFFICIAL, load_mnist

SIZES = {"train": 6, "t10k": 3}


def idx(array: np.ndarray) -> bytes:
    axes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + axes + array.tobytes()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Four small files in place of the official ones, in `tmp_path/mnist`."""
    rng, arrays, contents = np.random.default_rng(0), {}, []
    (tmp_path / "mnist").mkdir()
    for content in OFFICIAL:
        name = content.part.name
        shape = (SIZES[name.partition("-")[0]], *content.shape[1:])
        arrays[name] = rng.integers(0, 10, shape, dtype=np.uint8)
        data = idx(arrays[name])
        contents.append(replace(content, shape=shape, sha256=hashlib.sha256(data).hexdigest()))
        with gzip.open(tmp_path / "mnist" / f"{name}.gz", "wb") as file:
            file.write(data)
    monkeypatch.setattr(module, "OFFICIAL", tuple(contents))
    return arrays


def check(found: module.MNIST, arrays: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(found.train.images, arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(found.train.labels, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(found.test.images, arrays["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(found.test.labels, arrays["t10k-labels-idx1-ubyte"])
    assert len(found.sha256) == 64
    assert not found.test.images.flags.writeable


def test_compressed_files_and_plain_ones_are_read(small, tmp_path: Path) -> None:
    check(load_mnist(tmp_path), small)
    for file in list((tmp_path / "mnist").glob("*.gz"))[:2]:
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    check(load_mnist(tmp_path / "mnist"), small)


@pytest.mark.parametrize("damage", ["cut", "another", "longer", "no gzip"])
def test_damaged_files_are_refused(small, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    labels = small["t10k-labels-idx1-ubyte"]
    data = {
        "cut": file.read_bytes()[:-9],
        "another": gzip.compress(idx(labels + 1)),
        "longer": gzip.compress(idx(labels) + b"more"),
        "no gzip": b"no archive",
    }[damage]
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"data: got .*t10k-labels-idx1-ubyte.gz.*; fetch"):
        load_mnist(tmp_path)


def test_a_missing_file_is_named(small, tmp_path: Path) -> None:
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz is missing"):
        load_mnist(tmp_path)


def test_the_real_data(real_data: Path) -> None:
    if not (real_data / "mnist").is_dir():
        pytest.skip(f"{real_data} has no mnist/")
    found = load_mnist(real_data)
    assert (found.train.images.shape, found.test.images.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert np.bincount(found.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
