"""JAX at its strictest, before anything imports it: what passes here leans on no silent conversion."""

import os
import tempfile
from pathlib import Path

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
# Children of a test (the command line) inherit these; the rest is set for this process alone.
os.environ["FASTSLOW_CACHE"] = tempfile.mkdtemp(prefix="fastslow-cache-")
if not IS_WORKER:  # equal programs are compiled once in a run of the tests, by whichever of its processes is first
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="fastslow-compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Programs here run a few times only: compiling is most of the time that tests take, and is done with little effort.
QUICK = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 --xla_cpu_opt_preset=fast_compile"
if not IS_WORKER:
    os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_disable_most_optimizations", True)

from jaxtyping import install_import_hook

# From here on each call into the package is checked against its annotations, shapes included.
install_import_hook("fastslow", "beartype.beartype")

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_sessionfinish() -> None:
    """Removes this process's cache folder, and at the end of all the compiled programs."""
    import shutil

    shutil.rmtree(os.environ["FASTSLOW_CACHE"], ignore_errors=True)
    if not IS_WORKER:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


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
