"""What the command line prints: results on standard output, everything else on standard error."""

import contextlib
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._checks import UserError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..results.row import ResultRow

WIDTH = 120
"""Columns where there is no terminal to ask."""


def say(sentence: str) -> None:
    """Prints a sentence for the user, out of the way of results."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def console(*, stderr: bool = False) -> "Console":
    """A rich console on the standard stream of this moment."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def show(*parts: "RenderableType") -> None:
    """Prints tables and text on standard output."""
    out = console()
    for part in parts:
        out.print(part)


def show_results(rows: Sequence["ResultRow"], path: Path, figures: Sequence[Path] = (), *, json: bool) -> None:
    """Prints results; the last line is the path of their file.

    Args:
        rows: what was measured.
        path: the result file that holds them.
        figures: figures to name.
        json: whether standard output gets the rows as JSON, and nothing else.
    """
    from .tables import results_table

    if json:
        sys.stdout.write(path.read_text(encoding="utf-8"))
        sys.stdout.flush()
        say(str(path))
        return
    show(results_table(rows))
    for figure in figures:
        sys.stdout.write(f"{figure}\n")
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Writes the traceback of an error that nobody foresaw into `error.log` of a folder, and says so with the error."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        with contextlib.suppress(OSError):
            log = folder / "error.log"
            log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            error.fastslow_log = log  # type: ignore[attr-defined]
        raise
