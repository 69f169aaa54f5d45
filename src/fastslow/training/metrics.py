"""`metrics.jsonl`: one line of JSON a report, on disk as soon as it is known."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._checks import LARGEST_INT, UserError
from .files import parse_json, replace_text, writing

Row = dict[str, Any]


def read_metrics(path: Path) -> list[Row]:
    """Lines of a metrics file; a last line that is damaged is left out, as a process that was killed leaves one.

    A line holds `step`, `seconds` (of training, all starts together), `steps_per_second`, and lists with one value a
    seed (null for one that diverged, or where nothing was counted): each metric of the updates since the last report by
    its key, and each metric in validation by `validation_` and its key, where there was a validation.

    Raises:
        UserError: the file cannot be read, or a line before the last one is no report.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); choose another run folder.") from error
    torn = lines.pop()
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_parse(line))
        except ValueError as error:
            if number == len(lines) and not torn:
                break
            raise UserError(
                f"{path}: line {number} is no report of a training ({error}); put back what it was or delete the line, "
                "then try again."
            ) from error
    return rows


def _parse(line: bytes) -> Row:
    """One line.

    Raises:
        ValueError: it is none; says why in a few words.
    """
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError("it is no JSON object")
    step, seconds = row.get("step"), row.get("seconds")
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= LARGEST_INT:
        raise ValueError("its step is no number of an update")
    if seconds is None or not _is_number(seconds):
        raise ValueError("its seconds are no number")
    for name, value in row.items():
        values = value if isinstance(value, list) else [value]
        if not all(each is None or _is_number(each) for each in values):
            raise ValueError(f"its {name} holds something else than finite numbers")
    return row


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


class MetricsLog:
    """Appends lines to a metrics file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Mapping[str, Any]) -> None:
        """Writes one line and gives it to the operating system."""
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_line(row))

    def cut_back(self, step: int) -> Row | None:
        """Removes what was reported after a step, and a damaged last line; the file is whole at any moment.

        Args:
            step: the update that the run continues from.

        Returns:
            The last line that is left, if any.

        Raises:
            UserError: a line before the last one is no report; the file is left as it is.
        """
        rows = [row for row in read_metrics(self.path) if row["step"] <= step]
        replace_text(self.path, "".join(map(_line, rows)))
        return rows[-1] if rows else None


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
