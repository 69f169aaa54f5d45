"""`fastslow list`: what there is to run, and how long it takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from .console import show
from .outline import Entry, experiments, presets, releases
from .parsing import parse


@dataclass(frozen=True)
class ListFlags:
    """No flags."""


def run(argv: Sequence[str]) -> int:
    """Runs `fastslow list`."""
    parse(ListFlags, argv, "list", "Presets, experiments and released models, by name.")
    show(_table("Presets: fastslow train PRESET", "two cores", presets()))
    show(_table("Experiments: fastslow reproduce EXPERIMENT --budget BUDGET", "two cores, by budget", experiments()))
    found = releases()
    if found:
        show(_table("Released models: fastslow evaluate RELEASE", "made for", found))
    else:
        show("No released model ships with this version.")
    return 0


def _table(title: str, last: str, entries: Sequence[Entry]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what")
    table.add_column(last)
    for entry in entries:
        table.add_row(entry.name, entry.summary, entry.expected)
    return table
