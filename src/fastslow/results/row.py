"""Results as files: one JSON list of rows, written by the code that measured them, checked whenever it is read."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from .._checks import UserError, bad
from ..training.files import replace_text, writing
from . import checks
from .checks import Holds


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One measured figure and all that is needed to measure it again.

    Attributes:
        experiment: name of the experiment, which is the folder's name under `results/`.
        row: the line of the table, such as a model's name.
        metric: what was measured, such as `accuracy`.
        unit: of `value`, `chance` and `paper_value`. A `share` is a number in [0, 1], shown in percent; `1` is a plain
            number.
        axis: where on the metric's axis it was measured, such as `{"instance": 2}`; empty where it has none.
        value: the mean over episodes and seeds.
        ci95: lower and upper end of the 95 % interval of the mean, over episodes and seeds.
        chance: what guessing gives, or None where guessing has no meaning.
        episodes: test episodes, all seeds together.
        seeds: one training seed for each repetition.
        paper_value: the paper's own figure, or None.
        facts: what the configuration's members state about how it was measured, such as the protocol: by name a text, a
            number, a boolean or None.
        config: the configuration of the run, as it is stored in the run folder, except for what it was measured with,
            such as another number of classes.
        params_digest: `scheme` by which the parameters were digested, and `values`, one checksum for each seed.
        data: `name`, `split`, `digest` and `scheme` of the data it was tested on; the last two may be None.
        commit: the commit of the code as the process began, or None outside a checkout and for code with changes.
        versions: versions of the programs that took part.
        hardware: the machine.
        seconds: wall-clock time of the measurement.
        series: where the training itself is the experiment: by name, `steps` and `values`, one list for each seed.
    """

    experiment: str
    row: str
    metric: str
    unit: str
    axis: Mapping[str, int | str]
    value: float
    ci95: tuple[float, float]
    chance: float | None
    episodes: int
    seeds: tuple[int, ...]
    paper_value: float | None
    facts: Mapping[str, str | int | float | bool | None]
    config: Mapping[str, Any]
    params_digest: Mapping[str, Any]
    data: Mapping[str, str | None]
    commit: str | None
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    seconds: float
    series: Mapping[str, Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        _check(vars(self))


_NAME: tuple[str, Holds] = ("a name on one line", checks.is_name)
_NUMBER_OR_NONE: tuple[str, Holds] = ("a finite number or null", lambda x: x is None or checks.is_number(x))
_RULES: dict[str, tuple[str, Holds]] = {
    "experiment": _NAME,
    "row": _NAME,
    "metric": _NAME,
    "unit": _NAME,
    "axis": ("a mapping from names to whole numbers or names", partial(checks.is_mapping, checks.is_label)),
    "value": ("a finite number", checks.is_number),
    "ci95": ("two finite numbers, low and high", lambda x: _is_tuple(checks.is_number, x) and len(x) == 2),
    "chance": _NUMBER_OR_NONE,
    "episodes": ("a whole number above 0", lambda x: checks.is_count(x) and x != 0),
    "seeds": (
        "a list of different whole numbers",
        lambda x: _is_tuple(checks.is_count, x) and len(set(x)) == len(x),
    ),
    "paper_value": _NUMBER_OR_NONE,
    "facts": ("a mapping from names to text, numbers, booleans or null", partial(checks.is_mapping, checks.is_fact)),
    "config": ("a mapping of plain JSON values", lambda x: isinstance(x, Mapping) and checks.is_json(x)),
    "params_digest": (
        "a mapping with scheme (such as names-sha256) and values, SHA-256 checksums of 64 hexadecimal digits each",
        checks.is_digests,
    ),
    "data": (
        "a mapping with name, split, digest (64 hexadecimal digits) and scheme (such as arrays-sha256), or two nulls",
        checks.is_data,
    ),
    "commit": ("40 hexadecimal digits or null", lambda x: x is None or checks.is_commit(x)),
    "versions": ("a mapping from program to version", lambda x: bool(x) and checks.is_mapping(checks.is_name, x)),
    "hardware": (
        "a mapping that names the machine",
        lambda x: isinstance(x, Mapping) and len(x) > 0 and checks.is_json(x),
    ),
    "seconds": ("a number of at least 0", lambda x: checks.is_number(x) and x >= 0),
    "series": (
        "null, or a mapping from names to steps, rising, and values, for each seed as many numbers or null",
        lambda x: x is None or (checks.is_mapping(checks.is_one_series, x) and bool(x)),
    ),
}


def _is_tuple(holds: Holds, x: Any) -> bool:
    return isinstance(x, tuple) and checks.is_list(holds, x)


def _check(row: Mapping[str, Any]) -> None:
    """Raises `UserError` for a field that is wrong, alone or beside another."""
    for field, (expected, holds) in _RULES.items():
        if not holds(row[field]):
            raise bad(field, got=row[field], expected=expected)
    low, high = row["ci95"]
    if not low <= row["value"] <= high:
        raise bad("ci95", got=[low, high], expected=f"an interval that holds the value {row['value']}")
    for field, lists in {
        "params_digest": [row["params_digest"]["values"]],
        "series": [each["values"] for each in (row["series"] or {}).values()],
    }.items():
        if any(len(values) != len(row["seeds"]) for values in lists):
            raise bad(field, got=row[field], expected=f"one value for each of the seeds {row['seeds']}")
    if row["unit"] == "share":
        for field in ("value", "chance", "paper_value"):
            if row[field] is not None and not 0 <= row[field] <= 1:
                raise bad(field, got=row[field], expected="a share in [0, 1], as the unit is a share")


def write_rows(path: Path, rows: Iterable[ResultRow]) -> None:
    """Writes a result file in one piece: a reader sees the old file or the new one, never a part.

    Args:
        path: the file; its folder is made when it is missing.
        rows: the rows, in the order in which a table shows them.

    Raises:
        UserError: if the folder cannot be written, or the disk is full; an older file is then untouched.
    """
    text = to_text(rows)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)


def to_text(rows: Iterable[ResultRow]) -> str:
    """Rows as the text of a result file."""
    plain = [{name: value for name, value in asdict(row).items() if not _left_out(name, value)} for row in rows]
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _left_out(name: str, value: object) -> bool:
    return name in _OPTIONAL and value is None


_OPTIONAL = {field.name for field in fields(ResultRow) if field.default is not MISSING}


def read_rows(path: Path) -> list[ResultRow]:
    """Reads a result file and checks every field of every row.

    Args:
        path: a file written by `write_rows`.

    Raises:
        UserError: naming the file, the row and the field that is missing, unknown or wrong.
    """
    try:
        rows = json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_refused_number,
            parse_float=_finite,
            object_pairs_hook=_each_once,
        )
    except OSError as error:
        raise bad("result file", got=str(path), expected=f"a file that can be read ({error.strerror})") from error
    except RecursionError as error:
        raise bad("result file", got=str(path), expected="JSON that is not nested as deeply") from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise bad("result file", got=str(path), expected=f"JSON ({error})") from error
    if not isinstance(rows, list):
        raise bad("result file", got=str(path), expected="a JSON list of rows")
    return [_row(path, number, row) for number, row in enumerate(rows)]


def _refused_number(text: str) -> float:
    raise ValueError(f"{text} is no finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refused_number(text)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _row(path: Path, number: int, row: object) -> ResultRow:
    where = f"{path}, row {number}"
    names = {field.name for field in fields(ResultRow)}
    got = set(row) | _OPTIONAL if isinstance(row, dict) else set()
    if not isinstance(row, dict) or got != names:
        raise bad(where, got=sorted(names ^ got), expected="each field of a row once and no other; these differ")
    given: dict[str, Any] = dict.fromkeys(_OPTIONAL) | row
    given |= {name: tuple(given[name]) for name in ("ci95", "seeds") if isinstance(given[name], list)}
    try:
        _check(given)  # before the constructor, whose arguments are typed
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    # JSON writers may leave out the point of a whole number
    for name in ("value", "chance", "paper_value", "seconds"):
        given[name] = None if given[name] is None else float(given[name])
    given["ci95"] = tuple(float(end) for end in given["ci95"])
    return ResultRow(**given)


__all__ = ["ResultRow", "read_rows", "to_text", "write_rows"]
