"""Digests of generated data, which are the same on every machine."""

import hashlib
from collections.abc import Iterable


def digest_of_draws(draws: Iterable[float]) -> str:
    """SHA-256 of numbers rounded to two decimals."""
    return hashlib.sha256(" ".join(f"{draw:.2f}" for draw in draws).encode()).hexdigest()
