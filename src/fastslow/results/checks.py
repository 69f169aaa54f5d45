"""What the fields of a result row may hold: small predicates over values that may come from any JSON file."""

import math
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-sha256")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LARGEST = 2**63
"""Seeds are 64-bit; no count is larger."""
_DEEPEST = 32
"""Levels of a configuration; Python's own limit is near a thousand."""

Holds = Callable[[Any], bool]


def is_number(x: object) -> bool:
    """Whether it is a finite number, no boolean."""
    try:
        return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
    except OverflowError:  # a whole number beyond all floats
        return False


def is_count(x: object) -> bool:
    """Whether it is a whole number from 0 to 2⁶³ − 1."""
    return isinstance(x, int) and not isinstance(x, bool) and 0 <= x < _LARGEST


def is_name(x: object) -> bool:
    """Whether it is text on one line, not empty."""
    return isinstance(x, str) and bool(x.strip()) and x.isprintable()


def is_label(x: object) -> bool:
    """Whether it can stand on an axis: a whole number or a name."""
    return is_name(x) or is_count(x)


def is_fact(x: object) -> bool:
    """Whether it is text, a number, a boolean or null."""
    return x is None or isinstance(x, bool) or is_name(x) or is_number(x)


def is_sha256(x: object) -> bool:
    """Whether it is a SHA-256 checksum."""
    return isinstance(x, str) and bool(_SHA256.fullmatch(x))


def is_commit(x: object) -> bool:
    """Whether it names a commit in full."""
    return isinstance(x, str) and bool(_COMMIT.fullmatch(x))


def is_list(holds: Holds, x: object) -> bool:
    """Whether it is a list with at least one item, and each holds."""
    return isinstance(x, list | tuple) and len(x) > 0 and all(map(holds, x))


def is_mapping(holds: Holds, x: object) -> bool:
    """Whether it is a mapping, perhaps an empty one, from names to what holds."""
    return isinstance(x, Mapping) and all(map(is_name, x)) and all(map(holds, x.values()))


def is_json(x: object, depth: int = _DEEPEST) -> bool:
    """Whether a JSON file can hold it, no deeper than 32 levels."""
    if isinstance(x, str):
        return _encodes(x)
    if isinstance(x, Mapping):
        return depth > 0 and all(isinstance(k, str) and _encodes(k) and is_json(v, depth - 1) for k, v in x.items())
    if isinstance(x, list | tuple):
        return depth > 0 and all(is_json(item, depth - 1) for item in x)
    return x is None or isinstance(x, bool) or is_number(x)


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def is_digests(x: object) -> bool:
    """Whether it is a scheme with one SHA-256 checksum for each seed."""
    if not isinstance(x, Mapping) or set(x) != {"scheme", "values"}:
        return False
    return _is_scheme(x["scheme"]) and is_list(is_sha256, x["values"])


def is_data(x: object) -> bool:
    """Whether it names data, their split, and how they were digested, or null twice."""
    if not isinstance(x, Mapping) or set(x) != {"name", "split", "digest", "scheme"}:
        return False
    digested = is_sha256(x["digest"]) and _is_scheme(x["scheme"])
    return is_name(x["name"]) and is_name(x["split"]) and (digested or x["digest"] is x["scheme"] is None)


def _is_scheme(x: object) -> bool:
    return isinstance(x, str) and bool(_SCHEME.fullmatch(x))


def is_one_series(x: object) -> bool:
    """Whether it has rising steps, and for each seed as many numbers, null where a seed has none."""
    if not isinstance(x, Mapping) or set(x) != {"steps", "values"} or not is_list(is_count, x["steps"]):
        return False
    steps = x["steps"]
    if any(later <= step for step, later in pairwise(steps)):
        return False
    as_long = lambda seed: is_list(lambda n: n is None or is_number(n), seed) and len(seed) == len(steps)
    return is_list(as_long, x["values"])
