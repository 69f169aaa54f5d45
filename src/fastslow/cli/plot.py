"""`fastslow plot`: the figures of a run, drawn again."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..results.figures import draw_figures
from ..results.row import read_rows
from ..zoo.saved import load_run
from .models import with_data_of
from .naming import naming
from .parsing import parse
from .start import use_all_cores

_DESCRIPTION = """Draws the figures of a run: its learning curve; on streams of characters also the accuracy of each
instance; on few-shot episodes, for one test episode, the confusion of its queries, the memory with its slot scores, and
the gradients at the controllers. Prints their paths.

Example:

fastslow plot runs/main-001"""


@dataclass(frozen=True)
class PlotFlags:
    """What is typed after `fastslow plot`."""

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of a run, finished or not."""
    data: Path | None = None
    """Folder of the data set; without it where the run was trained from."""


def run(argv: Sequence[str]) -> int:
    """Runs `fastslow plot`."""
    use_all_cores()
    flags = parse(PlotFlags, argv, "plot", _DESCRIPTION)
    with naming({"data": "--data"}):
        trained = with_data_of(load_run(flags.folder), flags.data)
    result = flags.folder / "result.json"
    others = read_rows(result)[1:] if result.is_file() else []
    references = {row.row: row.value for row in others if row.metric == "accuracy"}
    for path in draw_figures(trained, flags.folder / "figures", references):
        sys.stdout.write(f"{path}\n")
    return 0
