"""Compiling is most of the time that these tests take: it is done once for equal programs."""

from collections.abc import Iterator

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture(scope="package", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    kept = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
    }
    before = {name: jax.config.values[name] for name in kept}
    for settings in (kept, before):
        compilation_cache.reset_cache()
        for name, value in settings.items():
            jax.config.update(name, value)
        if settings is kept:
            yield
