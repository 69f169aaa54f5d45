"""The checksum of a generator: of numbers that it draws, never of its source text.

A generator has no files to hash. What it makes of fixed keys and settings, its reference draws, tells which generator
it is; the settings that it is used with tell the rest. Reference draws are rounded to two decimals, so that the last
bits, in which processors differ, leave the checksum alone. That is so because no reference draw is within 1e-4 of a
place where rounding changes, `(k + 1/2) / 100`, and rounding errors are far smaller; the tests of this file prove both.
Settings enter as they are written, since draws with arbitrary settings could lie anywhere.
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float

SCHEME: Literal["draws-sha256"] = "draws-sha256"
"""Name of this kind of checksum in a result file."""
DECIMALS = 2
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Options of the compiler for programs that run once, such as reference draws."""

Draws = Float[np.ndarray, " draws"]


def reference(draw: Callable[[], Float[np.ndarray, "..."]]) -> Callable[[], Draws]:
    """Makes a function that draws numbers the same wherever it is called, and has it draw them once a process.

    Single precision, JAX's usual generator and exact matrix products are used, whatever the user has set.
    """
    drawn: list[Draws] = []

    @wraps(draw)
    def once() -> Draws:
        if not drawn:
            with jax.enable_x64(False), jax.default_prng_impl("threefry2x32"), jax.default_matmul_precision("highest"):
                drawn.append(np.asarray(draw(), np.float64).reshape(-1))
        return drawn[0]

    return once


def draws_digest(draws: Draws, settings: tuple[object, ...]) -> str:
    """The checksum of a generator.

    Args:
        draws: its reference draws.
        settings: numbers and texts that change what it draws.

    Returns:
        64 hexadecimal digits.
    """
    # adding zero makes 0.0 of -0.0
    numbers = " ".join(f"{number:.{DECIMALS}f}" for number in np.round(draws, DECIMALS) + 0.0)
    return hashlib.sha256(f"{numbers}\n{settings!r}".encode()).hexdigest()


__all__ = ["DECIMALS", "QUICK", "SCHEME", "draws_digest", "reference"]
