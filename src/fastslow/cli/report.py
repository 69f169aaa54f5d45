"""`fastslow report`: the documents' tables, from the result files."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from ..results.documents import check, render
from .naming import naming
from .parsing import parse

_DESCRIPTION = """Renders the tables of README.md and docs/, and the figures in their sentences, from the files under
results/, and names the documents that changed.

Examples:

fastslow report

fastslow report --check"""


@dataclass(frozen=True)
class ReportFlags:
    """What is typed after `fastslow report`."""

    root: Path = Path()
    """The repository's folder, with README.md, docs/ and results/."""
    check: tyro.conf.FlagCreatePairsOff[bool] = False
    """Change nothing; name the tables that are out of date, and exit with 1 where there are any."""


def run(argv: Sequence[str]) -> int:
    """Runs `fastslow report`."""
    flags = parse(ReportFlags, argv, "report", _DESCRIPTION)
    with naming({"root": "--root"}):
        found = check(flags.root) if flags.check else render(flags.root)
    if flags.check:
        sys.stdout.write("".join(f"out of date: {name}\n" for name in found) or "All tables are up to date.\n")
        return 1 if found else 0
    sys.stdout.write("".join(f"changed: {path}\n" for path in found) or "All tables were up to date.\n")
    return 0
