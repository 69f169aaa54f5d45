"""`fastslow results`: every recorded result row of a checkout."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .._checks import bad
from ..results.row import ResultRow, read_rows, to_text
from .console import show
from .parsing import parse
from .tables import results_table

_DESCRIPTION = """Prints every result row recorded under results/ of a checkout, a table for each file: what was
measured, its 95 % interval, chance, test episodes, seeds, the paper's value, and the facts of how it was measured.

Examples:

fastslow results

fastslow results mann/table1

fastslow results mann --json"""


@dataclass(frozen=True)
class ResultsFlags:
    """What is typed after `fastslow results`."""

    experiment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[EXPERIMENT]")] = ""
    """Name of an experiment, or of a paper for all of its experiments; without it all."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the rows as JSON, in the form of a result file."""
    root: Path = Path()
    """The repository's folder, which holds results/."""


def run(argv: Sequence[str]) -> int:
    """Runs `fastslow results`."""
    flags = parse(ResultsFlags, argv, "results", _DESCRIPTION)
    chosen = recorded(flags.root, flags.experiment)
    if flags.json:
        sys.stdout.write(to_text(row for rows in chosen.values() for row in rows))
        return 0
    for path, rows in chosen.items():
        show(results_table(rows, title=f"{rows[0].experiment}, from {path}"))
    return 0


def recorded(root: Path, experiment: str = "") -> dict[Path, list[ResultRow]]:
    """The rows of each result file under `results/`.

    Args:
        root: the repository's folder.
        experiment: name of an experiment, or of a paper; empty for all.

    Raises:
        UserError: outside a checkout, for an experiment without results, and for a file that is not valid.
    """
    folder = root / "results"
    if not folder.is_dir():
        hint = "results are part of the repository, not of the installed package; type --root FOLDER"
        raise bad("--root", got=str(root), expected="the repository's folder, which holds results/", hint=hint)
    files = {path: read_rows(path) for path in sorted(folder.rglob("*.json"))}
    expected = experiment.strip("/")
    chosen = {
        path: [row for row in rows if not expected or f"{row.experiment}/".startswith(f"{expected}/")]
        for path, rows in files.items()
    }
    chosen = {path: rows for path, rows in chosen.items() if rows}
    if not chosen:
        names = dict.fromkeys(row.experiment for rows in files.values() for row in rows)
        known = f"one of {', '.join(names)}" if names else f"a folder {folder} that holds results"
        raise bad("EXPERIMENT" if names else "--root", got=experiment or str(root), expected=known)
    return chosen
