"""Compiling with little care, for programs that run a few times only."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """Leaves most of the compiler's optimisations out."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
