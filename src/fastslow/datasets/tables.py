"""Tables of text: the columns that are asked for, as arrays, or one sentence that says what is wrong."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._checks import Described, bad

Table = dict[str, np.ndarray]
"""Columns by name: numbers, or text."""


def read_text(file: Path, hint: str = "") -> str:
    """A file's text, without the mark that some programs write before it.

    Raises:
        UserError: it cannot be read; with `hint`, what to do.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise bad("data", got=str(file), expected="a text file that can be read", hint=hint) from error


def read_table(text: str, source: str, *, numbers: Sequence[str], texts: Sequence[str] = ()) -> Table:
    """Reads comma-separated columns under a line of names.

    Args:
        text: the whole file.
        source: its name, for messages.
        numbers: columns of finite numbers.
        texts: columns of text.

    Raises:
        UserError: a column that is missing, a line that is too short, or a number that is none or not finite.
    """
    # numbered before empty lines are left out
    rows = [(number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), start=1) if row]
    names = [name.strip() for name in rows[0][1]] if rows else []
    for column in (*numbers, *texts):
        if column not in names:
            raise bad("data", got=Described(f"{source} without a column {column!r}"), expected=_listed(numbers, texts))
    places = {column: names.index(column) for column in (*numbers, *texts)}
    body = rows[1:]
    last = max(places.values())
    for number, row in body:
        if len(row) <= last:
            got = Described(f"line {number} of {source} with {len(row)} columns")
            raise bad("data", got=got, expected=f"at least {last + 1}")
    table = {column: np.array([row[places[column]].strip() for _, row in body]) for column in texts}
    return table | {
        column: _numbers([(number, row[places[column]]) for number, row in body], column, source) for column in numbers
    }


def _numbers(cells: list[tuple[int, str]], column: str, source: str) -> np.ndarray:
    values = np.empty(len(cells))
    for place, (number, cell) in enumerate(cells):
        try:
            values[place] = float(cell)
        except ValueError:
            values[place] = np.nan
        if not np.isfinite(values[place]):
            got = Described(f"{cell!r} in column {column!r}, line {number} of {source}")
            raise bad("data", got=got, expected="a finite number")
    return values


def _listed(numbers: Sequence[str], texts: Sequence[str]) -> str:
    return f"columns {', '.join((*texts, *numbers))}"


__all__ = ["Table", "read_table", "read_text"]
