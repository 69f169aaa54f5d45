"""Results as files: one JSON list of rows, written by the code that measured them, checked whenever it is read."""

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from .. import __version__
from .._checks import UserError, bad
from ..training.files import replace_text, writing
from ..training.folder import processor

PROTOCOLS = ("bind", "fine-tune")
REGIMES = ("true", "both", "synthetic", "meta")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One measured figure and all that is needed to measure it again.

    Attributes:
        experiment: name of the experiment, which is the folder's name under `results/`.
        row: the line of the table, such as a model's name.
        metric: what was measured; names that begin with `accuracy` are shares in [0, 1].
        value: the mean over episodes and seeds.
        ci95: lower and upper end of the 95 % interval of the mean, over episodes and seeds.
        chance: what guessing would give, or None where guessing has no meaning.
        episodes: test episodes, all seeds together.
        seeds: one training seed for each repetition.
        protocol: how the model met a new task, `bind` or `fine-tune`; None where it does neither.
        regime: which gradients its controllers learned from; None where it has no controllers.
        transductive: whether statistics of the query set took part in the prediction.
        paper_value: the paper's own figure, in the unit of `value`, or None.
        config: the configuration of the run, as it is stored in the run folder, but for what it was measured with, such
            as another number of classes.
        params_sha256: checksum of the parameters, one for each seed.
        data: `name`, `split` and `sha256` (of the generator, where data are generated) of what it was tested on.
        commit: the commit of the code as the process began, or None outside a checkout and for code with changes.
        versions: versions of the programs that took part.
        hardware: the machine.
        seconds: wall-clock time of the measurement.
    """

    experiment: str
    row: str
    metric: str
    value: float
    ci95: tuple[float, float]
    chance: float | None
    episodes: int
    seeds: tuple[int, ...]
    protocol: str | None
    regime: str | None
    transductive: bool
    paper_value: float | None
    config: Mapping[str, Any]
    params_sha256: tuple[str, ...]
    data: Mapping[str, str | None]
    commit: str | None
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    seconds: float

    def __post_init__(self) -> None:
        _check(vars(self))


def _number(x: object) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _count(x: object) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and x >= 0


def _text(x: object) -> bool:
    return isinstance(x, str) and bool(x.strip())


def _is_data(x: object) -> bool:
    if not isinstance(x, Mapping) or set(x) != {"name", "split", "sha256"}:
        return False
    sha = x["sha256"]
    return _text(x["name"]) and _text(x["split"]) and (sha is None or (_text(sha) and bool(_SHA256.fullmatch(sha))))


def _is_sequence_of(holds: Any, x: object) -> bool:
    return isinstance(x, tuple) and len(x) > 0 and all(holds(item) for item in x)


_RULES: dict[str, tuple[str, Any]] = {
    "experiment": ("a name", _text),
    "row": ("a name", _text),
    "metric": ("a name", _text),
    "value": ("a finite number", _number),
    "ci95": ("two finite numbers, low and high", lambda x: _is_sequence_of(_number, x) and len(x) == 2),
    "chance": ("a finite number or null", lambda x: x is None or _number(x)),
    "episodes": ("a whole number above 0", lambda x: _count(x) and x > 0),
    "seeds": ("a list of different whole numbers", lambda x: _is_sequence_of(_count, x) and len(set(x)) == len(x)),
    "protocol": (f"null or one of {', '.join(PROTOCOLS)}", lambda x: x is None or x in PROTOCOLS),
    "regime": (f"null or one of {', '.join(REGIMES)}", lambda x: x is None or x in REGIMES),
    "transductive": ("true or false", lambda x: isinstance(x, bool)),
    "paper_value": ("a finite number or null", lambda x: x is None or _number(x)),
    "config": ("a mapping", lambda x: isinstance(x, Mapping)),
    "params_sha256": (
        "a list of SHA-256 checksums, 64 hexadecimal digits each",
        lambda x: _is_sequence_of(lambda s: _text(s) and _SHA256.fullmatch(s), x),
    ),
    "data": ("a mapping with name, split and sha256 (64 hexadecimal digits or null)", _is_data),
    "commit": ("40 hexadecimal digits or null", lambda x: x is None or (_text(x) and bool(_COMMIT.fullmatch(x)))),
    "versions": (
        "a mapping from program to version",
        lambda x: isinstance(x, Mapping) and len(x) > 0 and all(_text(v) for v in x.values()),
    ),
    "hardware": ("a mapping that names the machine", lambda x: isinstance(x, Mapping) and len(x) > 0),
    "seconds": ("a number of at least 0", lambda x: _number(x) and x >= 0),
}


def _check(row: Mapping[str, Any]) -> None:
    """Raises `UserError` for a field that is wrong, alone or beside another."""
    for field, (wanted, holds) in _RULES.items():
        if not holds(row[field]):
            raise bad(field, came=row[field], wanted=wanted)
    low, high = row["ci95"]
    if not low <= row["value"] <= high:
        raise bad("ci95", came=[low, high], wanted=f"an interval that holds the value {row['value']}")
    if len(row["params_sha256"]) != len(row["seeds"]):
        raise bad(
            "params_sha256", came=row["params_sha256"], wanted=f"one checksum for each of the seeds {row['seeds']}"
        )
    if row["metric"].startswith("accuracy"):
        for field in ("value", "chance", "paper_value"):
            if row[field] is not None and not 0 <= row[field] <= 1:
                raise bad(field, came=row[field], wanted="a share in [0, 1], as the metric is an accuracy")


def write_rows(path: Path, rows: Iterable[ResultRow]) -> None:
    """Writes a result file in one piece: a reader sees the old file or the new one, never a part.

    Args:
        path: the file; its folder is made when it is missing.
        rows: the rows, in the order in which a table shows them.

    Raises:
        UserError: if the folder cannot be written, or the disk is full; an older file is then untouched.
    """
    text = json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)


def read_rows(path: Path) -> list[ResultRow]:
    """Reads a result file and checks every field of every row.

    Args:
        path: a file written by `write_rows`.

    Raises:
        UserError: naming the file, the row and the field that is missing, unknown or wrong.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise bad("result file", came=str(path), wanted=f"a file that can be read ({error.strerror})") from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise bad("result file", came=str(path), wanted=f"JSON ({error})") from error
    if not isinstance(rows, list):
        raise bad("result file", came=str(path), wanted="a JSON list of rows")
    return [_row(path, number, row) for number, row in enumerate(rows)]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _row(path: Path, number: int, row: object) -> ResultRow:
    where = f"{path}, row {number}"
    names = {field.name for field in fields(ResultRow)}
    came = set(row) if isinstance(row, dict) else set()
    if not isinstance(row, dict) or came != names:
        raise bad(where, came=sorted(names ^ came), wanted="each field of a row once and no other; these differ")
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    try:
        _check(given)  # before the constructor, whose arguments are typed
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    # JSON writers may leave out the point of a whole number
    for name in ("value", "chance", "paper_value", "seconds"):
        given[name] = None if given[name] is None else float(given[name])
    given["ci95"] = tuple(float(end) for end in given["ci95"])
    return ResultRow(**given)
