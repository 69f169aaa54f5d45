"""A tiny data set on disk."""

from pathlib import Path

import pytest
from tests.datasets.fake import write_fake


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny data set in zips, and a cache folder of the test's own."""
    monkeypatch.setenv("FASTSLOW_CACHE", str(tmp_path / "cache"))
    return write_fake(tmp_path / "data")
