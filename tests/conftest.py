"""JAX at its strictest, before anything imports it: what passes here leans on no silent conversion."""

import os
import tempfile
from pathlib import Path

# Children of a test (the command line) inherit these two; the rest is set for this process alone.
os.environ["FASTSLOW_CACHE"] = tempfile.mkdtemp(prefix="fastslow-cache-")
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
# Programs here run a few times only: compiling is most of the time that tests take, and is done with little effort.
jax.config.update("jax_disable_most_optimizations", True)

from jaxtyping import install_import_hook

# From here on each call into the package is checked against its annotations, shapes included.
install_import_hook("fastslow", "beartype.beartype")

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_sessionfinish() -> None:
    """Removes this process's cache folder."""
    import shutil

    shutil.rmtree(os.environ["FASTSLOW_CACHE"], ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Compiled programs of a finished file are let go: those of all files together fill gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture
def double():
    """Double precision, for what is compared with a twin in NumPy."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder; a test that uses it cannot be `smoke`."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets; skips the test where there is none."""
    named = os.environ.get("FASTSLOW_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder (set FASTSLOW_DATA to the one that holds omniglot/)")
    return folder
