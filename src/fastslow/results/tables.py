"""Tables and figures of the documents, rendered from the result files.

A document marks a table's place with two comments, `table:NAME` before it and `end:NAME` after it; NAME is a folder
under `results/`. What lies between them belongs to this module, and so does a number in a sentence that has a comment
right behind it, `value:FILE; ROW; METRIC`; FILE lies under `results/`, and is named without its `.json`.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

from .._checks import UserError, bad
from .row import ResultRow, read_rows

_MARKER = re.compile(r"^<!-- (table|end):([A-Za-z0-9_./-]+) -->[ \t]*$", re.MULTILINE)
_NAMED = "<!-- value:"
_VALUE = re.compile(r"(?<![-\d.])(-?\d+(?:\.\d+)?)<!-- value:([^;\n]+); ([^;\n]+); ([^;\n]+) -->")
_NONE = "–"


def render(root: Path) -> list[Path]:
    """Renders every table and every figure anew.

    Args:
        root: the repository's folder, with `README.md`, `docs/` and `results/`.

    Returns:
        The documents that changed.

    Raises:
        UserError: if a marker has no partner, a figure no result, or a result file is not valid.
    """
    changed = []
    for document, text in _documents(root).items():
        new = _rendered(root, document, text)
        if new != text:
            document.write_text(new, encoding="utf-8")
            changed.append(document)
    return changed


def check(root: Path) -> list[str]:
    """Names what is out of date, as `docs/reproduce.md: table:NAME` or `value:FILE; ROW; METRIC`; none is good news.

    Raises:
        UserError: as `render` does.
    """
    stale = []
    for document, text in _documents(root).items():
        regions = _regions(document, text)
        found = [f"table:{name}" for name, start, end in regions if text[start:end] != _body(root, name)]
        found += [
            f"value:{'; '.join(m.groups()[1:])}" for m in _VALUE.finditer(text) if m[1] != _value(root, document, m)
        ]
        stale += [f"{document.relative_to(root).as_posix()}: {what}" for what in found]
    return stale


def _documents(root: Path) -> dict[Path, str]:
    readme = root / "README.md"
    if not readme.is_file():
        raise bad("root", came=str(root), wanted="the repository's folder, which holds README.md")
    paths = [readme, *sorted((root / "docs").rglob("*.md"))]
    documents = {path: path.read_text(encoding="utf-8") for path in paths}
    for path, text in documents.items():
        found = {match.start(2) for match in _VALUE.finditer(text)}
        for place in re.finditer(_NAMED, text):
            if place.end() not in found:
                came = text[max(0, place.start() - 10) : place.end() + 30]
                raise bad(path.name, came=came, wanted="'NUMBER<!-- value:FILE; ROW; METRIC -->' on one line")
    return documents


def _regions(document: Path, text: str) -> list[tuple[str, int, int]]:
    """Name, start and end of what lies between each pair of markers."""
    markers = list(_MARKER.finditer(text))
    regions = []
    for opening, closing in zip(markers[::2], [*markers[1::2], None], strict=False):
        pair = [f"{marker[1]}:{marker[2]}" for marker in (opening, closing) if marker]
        if closing is None or pair != [f"table:{opening[2]}", f"end:{opening[2]}"]:
            raise bad(document.name, came=" ".join(pair), wanted="table:NAME followed by end:NAME with the same name")
        regions.append((opening[2], opening.end(), closing.start()))
    return regions


def _rendered(root: Path, document: Path, text: str) -> str:
    for name, start, end in reversed(_regions(document, text)):
        text = text[:start] + _body(root, name) + text[end:]
    return _VALUE.sub(lambda match: _value(root, document, match) + match[0][len(match[1]) :], text)


def _value(root: Path, document: Path, match: re.Match[str]) -> str:
    """The figure that a comment names."""
    _, name, row, metric = match.groups()
    path = root / "results" / f"{name}.json"
    found = [result for result in read_rows(path) if (result.row, result.metric) == (row, metric)]
    if len(found) != 1:
        wanted = f"one result of that row and metric in results/{name}.json, where there are {len(found)}"
        raise bad(document.name, came=f"{name}; {row}; {metric}", wanted=wanted)
    return _digits(found[0], found[0].value)


def _body(root: Path, name: str) -> str:
    rows = _rows(root / "results" / name, name)
    return f"\n{table(rows) if rows else f'No results yet: `fastslow reproduce {name}` measures them.'}\n"


def _rows(folder: Path, name: str) -> list[ResultRow]:
    """The rows of all files of one experiment: files by name, rows as they stand in their file."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        for row in read_rows(path):
            if row.experiment != name:
                raise UserError(f"{path}: row {row.row!r} is of experiment {row.experiment!r}, but lies in {name!r}.")
            rows.append(row)
    return rows


def table(rows: list[ResultRow]) -> str:
    """A Markdown table, and below it what all of its rows share.

    Args:
        rows: at least one row, in the order to be shown. Accuracies are shown in percent. Rows of one name that differ
            in their metric share a line, with a column for each metric.
    """
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines_of: dict[str, dict[str, ResultRow]] = {}
    for row in rows:
        # one line for a name, and another where the same was measured again (in another file)
        again = sum(row.metric in line for line in lines_of.values() if next(iter(line.values())).row == row.row)
        lines_of.setdefault(f"{row.row} {again}", {})[row.metric] = row
    first = [next(iter(line.values())) for line in lines_of.values()]
    columns: list[tuple[str, list[str]]] = [("", [row.row for row in first])]
    shared = []
    for title, cell in _SETTINGS[len(metrics) > 1 :]:  # the metric, where it is one for all, is said below
        cells = [cell(row) for row in first]
        if len(set(cells)) > 1:
            columns.append((title, cells))
        elif cells[0] != _NONE:
            shared.append(f"{title}: {cells[0]}")
    if len(metrics) > 1:
        for metric in metrics:
            title = metric + (", %" if metric.startswith("accuracy") else "")
            columns.append((title, [_beside_paper(line.get(metric)) for line in lines_of.values()]))
    else:
        columns.append(("measured, 95 % interval", [_measured(row) for row in rows]))
        if any(row.paper_value is not None for row in rows):
            columns.append(("paper", [_paper(row) for row in rows]))
            columns.append(("difference", [_difference(row) for row in rows]))
    lines = [f"| {' | '.join(line)} |" for line in zip(*([title, *cells] for title, cells in columns), strict=True)]
    lines.insert(1, "|" + " --- |" * len(columns))
    note = f"\n\n{'; '.join(shared)}." if shared else ""
    return "\n".join(lines) + note


def _digits(row: ResultRow, value: float) -> str:
    """An accuracy in percent with one decimal; all else with as many as give the row's value three digits."""
    if row.metric.startswith("accuracy"):
        return f"{100 * value:.1f}"
    magnitude = math.floor(math.log10(abs(row.value))) if row.value else 0
    return f"{value:.{max(0, 2 - magnitude)}f}"


def _measured(row: ResultRow) -> str:
    low, high = row.ci95
    return f"{_digits(row, row.value)} ± {_digits(row, max(row.value - low, high - row.value))}"


def _paper(row: ResultRow) -> str:
    return _NONE if row.paper_value is None else _digits(row, row.paper_value)


def _difference(row: ResultRow) -> str:
    if row.paper_value is None:
        return _NONE
    text = _digits(row, row.value - row.paper_value)
    return f"+{text}" if not text.startswith("-") else f"−{text[1:]}"


def _beside_paper(row: ResultRow | None) -> str:
    """A figure of a table with several metrics, with the paper's and the difference in brackets."""
    if row is None:
        return _NONE
    paper = f" (paper {_paper(row)}, {_difference(row)})" if row.paper_value is not None else ""
    return _measured(row) + paper


def _chance(row: ResultRow) -> str:
    return _NONE if row.chance is None else _digits(row, row.chance)


def _updates(row: ResultRow) -> str:
    """How long it was trained; what was not trained has none."""
    training = row.config.get("training")
    return f"{training['steps']:,}" if isinstance(training, dict) and "steps" in training else _NONE


_SETTINGS: list[tuple[str, Callable[[ResultRow], str]]] = [
    ("metric", lambda row: row.metric + (", %" if row.metric.startswith("accuracy") else "")),
    ("protocol", lambda row: row.protocol or _NONE),
    ("regime", lambda row: row.regime or _NONE),
    ("transductive", lambda row: "yes" if row.transductive else "no"),
    ("chance", _chance),
    ("episodes", lambda row: f"{row.episodes:,}"),
    ("seeds", lambda row: str(len(row.seeds))),
    ("updates", _updates),
    ("data", lambda row: f"{row.data['name']}, {row.data['split']}"),
]
