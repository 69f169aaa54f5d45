"""The command `fastslow`: finds the verb, and turns every way to end into an exit code and one sentence."""

import contextlib
import errno
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import __version__
from .._checks import Notice, UserError, bad, shown
from .console import say

DONE, FAILED, USER, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; anything that is not named here; a mistake the user can correct; interrupted, with all saved."""


@dataclass(frozen=True)
class Verb:
    """A word after `fastslow`. Attributes: `module`, which has `run(argv) -> int`; `summary`, for the help."""

    module: str
    summary: str


BAD_PATHS = {
    getattr(errno, name)
    for name in ("EACCES", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENOENT", "ENOTDIR", "EPERM", "EROFS")
}
"""Errors of the file system that another path corrects."""
VERBS = {
    "train": Verb("train", "train a preset, measure it on classes it never saw; alone: the main job"),
    "evaluate": Verb("evaluate", "measure a run or a released model on test episodes"),
    "reproduce": Verb("reproduce", "run a table or figure of a paper, and show it beside the paper's numbers"),
    "results": Verb("results", "print every recorded result, with its interval, chance and the paper's value"),
    "report": Verb("report", "render the documents' tables from the result files"),
    "list": Verb("listing", "name the presets, experiments and released models, and how long each takes"),
    "plot": Verb("plot", "draw the figures of a run again"),
}

EXAMPLES = """examples:
  fastslow train                                     the main job, within two minutes on two cores
  fastslow train omniglot-5way-1shot --data DIR      Omniglot, from the folder with its two zips
  fastslow train --resume                            continue the newest run of the main job
  fastslow evaluate runs/main-001 --episodes 2000    measure it again, on more episodes
  fastslow reproduce fast-slow/regimes --budget smoke
  fastslow VERB --help                               all that VERB understands
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: what was typed after `fastslow`; None for that of this process.

    Returns:
        The exit code.
    """
    try:
        with _notices_said():
            return _dispatch(_readable(list(sys.argv[1:] if argv is None else argv)))
    except SystemExit as end:  # tyro has printed its help; rich ends with 1 at a closed pipe
        return DONE if not end.code else FAILED if end.code == 1 else USER
    except UserError as error:
        say(f"fastslow: {error}")
        return USER
    except KeyboardInterrupt as stop:
        say(f"{stop}" or "Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 — the last resort: one sentence instead of a traceback
        return _failed(error)


@contextlib.contextmanager
def _notices_said() -> Iterator[None]:
    """Prints a notice of the library as one sentence, without the place in the source that a warning has."""
    with warnings.catch_warnings():
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, Notice):
                say(f"{message}")
            else:
                before(message, category, *place, **more)

        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return DONE
    if argv[0] in ("-V", "--version"):
        sys.stdout.write(f"fastslow {__version__}\n")
        return DONE
    if argv[0] not in VERBS:
        raise bad("verb", got=argv[0], expected=f"one of {', '.join(VERBS)}", hint="see `fastslow --help`")
    # one verb at a time is imported: what only prints must not wait for JAX
    module = importlib.import_module(f".{VERBS[argv[0]].module}", __package__)
    return module.run(argv[1:])


def _readable(argv: list[str]) -> list[str]:
    """What was typed, refused where it can be no name of a file, or could not be written into one."""
    for word in argv:
        if "\0" in word or (not word.isascii() and word.encode(errors="replace").decode() != word):
            raise bad("command line", got=word, expected="text in UTF-8 without the character NUL")
    return argv


def overview() -> str:
    """The text of `fastslow --help`."""
    verbs = "\n".join(f"  {name:<10} {verb.summary}" for name, verb in VERBS.items())
    return (
        "usage: fastslow VERB …\n\n"
        "Neural memory networks that learn slowly by gradient and fast from a few examples.\n\n"
        f"verbs:\n{verbs}\n\n{EXAMPLES}\noptions:\n  -h, --help\n  -V, --version\n\n"
        "exit codes: 0 done, 2 a mistake of yours that one sentence names, 130 interrupted and saved, 1 anything else\n"
    )


def _failed(error: Exception) -> int:
    """One sentence for an error that nobody foresaw, and where to read more."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"{error.filename}: " if error.filename else ""
        advice = "free some space and try again, with --resume where a run was interrupted"
        say(f"fastslow: {where}the disk is full; {advice}.")
        return USER
    if isinstance(error, OSError) and error.errno in BAD_PATHS and error.filename:
        say(f"fastslow: {shown(str(error.filename))}: cannot be used ({error.strerror}); choose another path.")
        return USER
    if os.environ.get("FASTSLOW_TRACEBACK") == "1":
        traceback.print_exception(error)
        return FAILED
    log = getattr(error, "fastslow_log", None)
    more = f"the traceback is in {log}" if log else "set FASTSLOW_TRACEBACK=1 to see where"
    first = f"{error}".strip().splitlines()
    say(f"fastslow: {type(error).__name__}: {first[0].removesuffix('.') if first else 'no message'}; {more}.")
    return FAILED
