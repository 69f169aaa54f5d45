"""Tables and figures of the documents, rendered from the result files.

A document marks a table's place with two comments, `table:NAME` before it and `end:NAME` after it; NAME is a folder
under `results/`. `table:NAME; METRIC, METRIC` shows these metrics alone. `file:NAME` marks the place of a file of the
repository, shown as code. What lies between the comments belongs to this module, and so does a number in a sentence
that has a comment right behind it, `value:FILE; ROW; METRIC`. FILE lies under `results/`, and is named without its
`.json`; METRIC is a metric's name, and where it stands on an axis also that, as in `accuracy, instance 2`.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .._checks import Described, UserError, bad
from ..metrics import label_of
from ..training.files import replace_text
from .row import ResultRow, read_rows
from .tables import digits, table

_MARKER = re.compile(r"^<!-- (table|file|end):([A-Za-z0-9_./-]+)(?:; ([^;\n]+))? -->[ \t]*$", re.MULTILINE)
_NAMED = "<!-- value:"
_VALUE = re.compile(r"(?<![-\d.])(-?\d+(?:\.\d+)?)<!-- value:([^;\n]+); ([^;\n]+); ([^;\n]+) -->")


def render(root: Path) -> list[Path]:
    """Renders every table and every figure in a sentence.

    Args:
        root: the repository's folder, with `README.md`, `docs/` and `results/`.

    Returns:
        The documents that changed.

    Raises:
        UserError: if a marker has no partner, a figure no result, a result file is not valid, or a document cannot be
            read or written; no document is then changed, unless the disk is full.
    """
    results = Results(root / "results")
    new = {path: (text, _rendered(results, path, text)) for path, text in _documents(root).items()}
    changed = {path: after for path, (before, after) in new.items() if after != before}
    for path in changed:
        if not (os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK)):
            raise bad(str(path), got=Described("a document that is read-only"), expected="one that can be written")
    for path, text in changed.items():
        replace_text(path.resolve(), text)  # where it is a link, the link stays
    return list(changed)


def check(root: Path) -> list[str]:
    """Names what is out of date, as `docs/mann.md: table:NAME` or `value:FILE; ROW; METRIC`; an empty list is good.

    Raises:
        UserError: as `render` does.
    """
    results, stale = Results(root / "results"), []
    for path, text in _documents(root).items():
        regions = _regions(path, text)
        found = [region.title for region in regions if text[region.start : region.end] != _body(results, region)]
        found += [
            f"value:{'; '.join(m.groups()[1:])}" for m in _VALUE.finditer(text) if m[1] != _value(results, path, m)
        ]
        stale += [f"{path.relative_to(root).as_posix()}: {what}" for what in found]
    return stale


@dataclass(frozen=True)
class Results:
    """The result files of a repository. Attributes: `folder`, `results/`; `read`, the files that were read so far."""

    folder: Path
    read: dict[Path, list[ResultRow]] = field(default_factory=dict)

    def file(self, path: Path) -> list[ResultRow]:
        """The rows of a file.

        Raises:
            UserError: the file is not valid.
        """
        if path not in self.read:
            self.read[path] = read_rows(path)
        return self.read[path]

    def experiment(self, name: str) -> list[ResultRow]:
        """The rows of all files of one experiment: files by name, rows as they stand in their file.

        Raises:
            UserError: a file is not valid, or belongs to another experiment than its folder says.
        """
        rows = []
        for path in sorted(_json_files(self.folder / name)):
            for row in self.file(path):
                if row.experiment != name:
                    raise UserError(
                        f"{path}: row {row.row!r} belongs to experiment {row.experiment!r}, but lies in {name!r}."
                    )
                rows.append(row)
        return rows


def _json_files(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:  # nothing is measured yet
        return
    except OSError as error:
        raise bad(
            str(folder), got=Described("a folder of results"), expected=f"a readable one ({error.strerror})"
        ) from error


def _documents(root: Path) -> dict[Path, str]:
    readme = root / "README.md"
    if not readme.exists():
        raise bad("root", got=str(root), expected="the repository's folder, which holds README.md")
    documents = {path: _text(path) for path in [readme, *sorted((root / "docs").rglob("*.md"))]}
    for path, text in documents.items():
        found = {match.start(2) for match in _VALUE.finditer(text)}
        for place in re.finditer(_NAMED, text):
            if place.end() not in found:
                got = text[max(0, place.start() - 10) : place.end() + 30]
                raise bad(path.name, got=got, expected="'NUMBER<!-- value:FILE; ROW; METRIC -->' on one line")
    return documents


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:  # a folder, a dead link, no permission
        raise bad(str(path), got=Described(error.strerror), expected="a document that can be read") from error
    except UnicodeDecodeError as error:
        raise bad(
            str(path), got=Described(f"byte {error.start} that is not UTF-8"), expected="a document in UTF-8"
        ) from error


@dataclass(frozen=True)
class Region:
    """What lies between two markers.

    Attributes:
        kind: table or file.
        name: of the experiment, or of the file.
        metrics: those that a table shows; empty for all.
        start, end: in the text.
    """

    kind: str
    name: str
    metrics: tuple[str, ...]
    start: int
    end: int

    @property
    def title(self) -> str:
        """As the first marker has it."""
        return "; ".join([f"{self.kind}:{self.name}", *([", ".join(self.metrics)] if self.metrics else [])])


def _regions(document: Path, text: str) -> list[Region]:
    """The places between pairs of markers."""
    markers = list(_MARKER.finditer(text))
    regions = []
    for opening, closing in zip(markers[::2], [*markers[1::2], None], strict=False):
        pair = [f"{marker[1]}:{marker[2]}" for marker in (opening, closing) if marker]
        named = pair == [f"{opening[1]}:{opening[2]}", f"end:{opening[2]}"] and opening[1] != "end"
        if closing is None or not named or closing[3] or (opening[3] and opening[1] != "table"):
            expected = "table:NAME, table:NAME; METRIC or file:NAME, followed by end:NAME with the same name"
            raise bad(document.name, got=" ".join(pair), expected=expected)
        metrics = tuple(opening[3].split(", ")) if opening[3] else ()
        regions.append(Region(opening[1], opening[2], metrics, opening.end(), closing.start()))
    return regions


def _rendered(results: Results, document: Path, text: str) -> str:
    for region in reversed(_regions(document, text)):
        text = text[: region.start] + _body(results, region) + text[region.end :]
    return _VALUE.sub(lambda match: _value(results, document, match) + match[0][len(match[1]) :], text)


def _value(results: Results, document: Path, match: re.Match[str]) -> str:
    """The figure that a comment names."""
    _, name, row, metric = match.groups()
    rows = results.file(results.folder / f"{name}.json")
    found = [result for result in rows if (result.row, label_of(result.metric, result.axis)) == (row, metric)]
    if len(found) != 1:
        expected = f"one result of that row and metric in results/{name}.json, where there are {len(found)}"
        raise bad(document.name, got=f"{name}; {row}; {metric}", expected=expected)
    return digits(found[0], found[0].value)


def _body(results: Results, region: Region) -> str:
    name = region.name
    if region.kind == "file":
        return f"\n```python no-run\n{_text(results.folder.parent / name)}```\n"
    rows = results.experiment(name)
    measured = list(dict.fromkeys(row.metric for row in rows))
    if unknown := [metric for metric in region.metrics if rows and metric not in measured]:
        raise bad(region.title, got=unknown[0], expected=f"metrics that are measured: {', '.join(measured)}")
    rows = [row for row in rows if not region.metrics or row.metric in region.metrics]
    return f"\n{table(rows) if rows else f'No results yet: `fastslow reproduce {name}` measures them.'}\n"


__all__ = ["Results", "check", "render"]
