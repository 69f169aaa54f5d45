"""`fastslow reproduce`: a table or figure of a paper, beside the paper's numbers."""

import contextlib
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .._checks import Described, UserError, bad
from ..papers.base import Budget
from ..papers.catalogue import find_experiment
from ..results.row import write_rows
from ..training.files import writing
from .console import logged, say, show_results
from .folders import claimed, resumable
from .parsing import parse
from .progress import Watcher
from .start import use_all_cores

_DESCRIPTION = """Runs a table or figure and shows it beside the paper's numbers. The last line printed is the path of
the result file.

Examples:

fastslow reproduce fast-slow/main

fastslow reproduce fast-slow/regimes --budget smoke

fastslow reproduce fast-slow/table1 --resume --save"""


@dataclass(frozen=True)
class ReproduceFlags:
    """What is typed after `fastslow reproduce`."""

    experiment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="EXPERIMENT")]
    """Name of the experiment; `fastslow list` names them all, with their times."""
    budget: Budget = "laptop"
    """How much of it. smoke: minutes, to see that it works, never a result; laptop: minutes to hours on two cores;
    paper: the paper's own amount of training, or far more than laptop's where it states none."""
    out: Path | None = None
    """Folder; without it runs/<experiment>-<budget>-NNN, with the next free number, or the newest one for --resume."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Continue what is in the folder; finished rows are not trained again."""
    save: tyro.conf.FlagCreatePairsOff[bool] = False
    """Copy the result file to results/<experiment>/<budget>.json of the repository in the current folder, and the
    pictures beside it."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the result rows as JSON on standard output, and all else on standard error."""


def run(argv: Sequence[str]) -> int:
    """Runs `fastslow reproduce`."""
    use_all_cores()
    flags = parse(ReproduceFlags, argv, "reproduce", _DESCRIPTION)
    experiment = find_experiment(flags.experiment)
    saved = _saved_path(flags) if flags.save else None  # refused before the work, not after it
    with _folder(flags) as out, logged(out):
        try:
            with Watcher() as watcher:
                watcher.note(f"{experiment.name}, {flags.budget}: {experiment.expected[flags.budget]} on two cores.")
                watcher.note(f"The runs lie in {out}.")
                rows = experiment.run(out, flags.budget, resume=flags.resume, watch=watcher)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(_farewell(flags, out)) from stop
        write_rows(out / "result.json", rows)
    pictures = sorted((out / "figures").glob("*.png"))
    if saved is not None:
        _save(out / "result.json", pictures, saved)
        say(f"Saved as {saved}; `fastslow report` renders the tables from it.")
    show_results(rows, out / "result.json", pictures, json=flags.json)
    return 0


def _save(result: Path, pictures: Sequence[Path], saved: Path) -> None:
    with writing(saved):
        saved.parent.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            shutil.copyfile(picture, saved.with_name(f"{saved.stem}-{picture.name}"))
        shutil.copyfile(result, saved)


def _folder(flags: ReproduceFlags) -> AbstractContextManager[Path]:
    if flags.out is not None:
        if not flags.resume and flags.out.is_dir() and any(flags.out.iterdir()):
            raise UserError(
                f"{flags.out}: holds files; add --resume to continue what is there, or choose another --out."
            )
        if flags.resume and not flags.out.is_dir():
            hint = "name another folder, or leave out --resume"
            raise bad("--out", got=str(flags.out), expected="a folder that exists, with --resume", hint=hint)
        return contextlib.nullcontext(flags.out)
    name = f"{flags.experiment.replace('/', '-')}-{flags.budget}"
    if not flags.resume:
        return claimed(name)
    found = resumable(name, f"fastslow reproduce {flags.experiment} --budget {flags.budget}")
    say(f"Resuming {found}.")
    return contextlib.nullcontext(found)


def _saved_path(flags: ReproduceFlags) -> Path:
    """Where --save copies to.

    Raises:
        UserError: for a smoke result, which is none, and outside a checkout.
    """
    if flags.budget == "smoke":
        raise bad("--save", got=Described("a smoke result"), expected="a result", hint="use --budget laptop or paper")
    if not (Path("README.md").is_file() and Path("results").is_dir()):
        raise bad("--save", got=str(Path.cwd()), expected="the repository's folder, which holds README.md and results/")
    return Path("results") / flags.experiment / f"{flags.budget}.json"


def _farewell(flags: ReproduceFlags, out: Path) -> str:
    again = f"fastslow reproduce {flags.experiment} --budget {flags.budget} --resume --out {out}"
    return f"Interrupted; what was trained is saved, so continue with: {again}"
