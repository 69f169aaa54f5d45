"""`fastslow evaluate`: a trained model on test episodes, once more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from .._checks import UserError, bad
from ..configs.config import Config
from ..configs.run import Trained
from ..learners.few_shot import Statistics
from ..papers.fast_slow.main import pixel_rows
from ..results.checks import is_name
from ..results.measure import measure
from ..results.row import ResultRow, read_rows, write_rows
from ..results.settings import in_setting, placed, setting_of
from ..results.streams import on_streams
from ..tasks.omniglot_stream import PER_CLASS
from ..training.files import check_writable
from ..zoo.saved import load
from .console import say, show_results
from .flags import check_test_episodes
from .models import with_data_of
from .naming import naming
from .parsing import parse
from .start import use_all_cores

_DESCRIPTION = """Measures a run or a released model on test episodes, and where they are few-shot episodes, nearest
neighbour on pixels, too. Episodes follow from a stored seed: the first of them are the same for every model. The last
line printed is the path of the result file.

Examples:

fastslow evaluate runs/main-001 --episodes 2000

fastslow evaluate characters --data DIR

fastslow evaluate characters --statistics episode

fastslow evaluate characters --way 5 20 --shot 1 5

fastslow evaluate omniglot-stream --classes 5 15 30

fastslow evaluate omniglot-stream --classes 5 --examples 600"""


@dataclass(frozen=True)
class EvaluateFlags:
    """What is typed after `fastslow evaluate`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN|RELEASE")]
    """Folder of a run, or name of a released model (`fastslow list` names them)."""
    episodes: int = 1000
    """Test episodes of each seed."""
    statistics: Statistics | None = None
    """What batch normalisation uses: averages tracked in training, those of the support set, or those of support set
    and queries together, which is transductive; without it as the model was configured."""
    way: tuple[int, ...] = ()
    """Numbers of classes in a few-shot episode, for a learner that serves any; without it as many as in its task."""
    shot: tuple[int, ...] = ()
    """Numbers of examples of each class in a few-shot episode; without it as many as in its task."""
    classes: tuple[int, ...] = ()
    """Numbers of classes in a stream, for a network on streams whose labels are strings; without it as many as it was
    trained on."""
    examples: int | None = None
    """Examples in a stream, each of a class drawn at random; without it ten of each of `--classes` in random order, or
    streams as the network was trained on."""
    data: Path | None = None
    """Folder of the data set; without it where the model was trained from, or as for training."""
    split: Literal["test", "validation"] = "test"
    """Classes that are reported, or classes that settings are chosen by."""
    experiment: str = "evaluation"
    """Name of the experiment that the rows belong to, which is their folder under results/."""
    row: str | None = None
    """Name of the model's row; without it the model's name and regime."""
    out: Path | None = None
    """Result file; one that is there is replaced. Without it evaluation.json in the run folder, beside its result.json,
    or ./<release>-result.json, with the next free number where there is one."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the result rows as JSON on standard output, and all else on standard error."""


def run(argv: Sequence[str]) -> int:
    """Runs `fastslow evaluate`."""
    use_all_cores()
    flags = parse(EvaluateFlags, argv, "evaluate", _DESCRIPTION)
    check_test_episodes(flags.episodes)
    for name, text in (("experiment", flags.experiment), ("row", flags.row)):
        if text is not None and not is_name(text):
            raise bad(f"--{name}", got=text, expected="a name on one line of printable characters")
    saved = load(flags.model)

    with naming({"data": "--data"}):
        trained = with_data_of(saved, flags.data, lambda config: with_statistics(config, flags.statistics))
    planned = tasks_of(flags, flags.row or f"{flags.model}, {trained.config.describe()}", trained)
    if flags.split == "validation":
        planned = [replace(one, trained=on_validation(one.trained)) for one in planned]
    out = flags.out or default_out(flags.model)
    check_replaceable(out)
    say(f"Measuring on {flags.episodes} {flags.split} episodes.")
    rows = [row for one in planned for row in measured(one, flags)]
    write_rows(out, rows)
    show_results(rows, out, json=flags.json)
    return 0


@dataclass(frozen=True)
class Planned:
    """What is measured. Attributes: `row`, its name; `trained`; `setting`, its place on that axis, where it has one."""

    row: str
    trained: Trained
    setting: str | None = None


def tasks_of(flags: EvaluateFlags, name: str, trained: Trained) -> list[Planned]:
    """The model on each of the tasks asked for; on its own, where none is.

    Raises:
        UserError: it cannot be measured on one of them.
    """
    if flags.way or flags.shot:
        with naming({"way": "--way", "shot": "--shot"}):
            each = [in_setting(trained, way, shot) for way in flags.way or (None,) for shot in flags.shot or (None,)]
        return [Planned(name, one, setting_of(one.config.task)) for one in each]
    if flags.classes or flags.examples is not None:
        with naming({"classes": "--classes", "examples": "--examples"}):
            each = [on_streams(trained, classes, flags.examples) for classes in flags.classes or (None,)]
        return [Planned(f"{name}, {_streams(one.config.task)}", one) for one in each]
    return [Planned(name, trained)]


def measured(one: Planned, flags: EvaluateFlags) -> list[ResultRow]:
    """The model's rows, and where episodes are few-shot, that of nearest neighbour on pixels."""
    config, given = one.trained.config, {"experiment": flags.experiment, "episodes": flags.episodes}
    rows = measure(one.trained, row=one.row, **given)
    rows += pixel_rows(config, one.trained.tasks, **given)
    return rows if one.setting is None else placed(rows, one.setting)


def check_replaceable(out: Path) -> None:
    """Says which results a new result file takes the place of.

    Raises:
        UserError: the path cannot be written, or holds something else than results.
    """
    check_writable(out)
    if not out.exists():
        return
    try:
        earlier = read_rows(out)
    except UserError as error:
        expected, hint = "a new file, or a result file to replace", "choose another name"
        raise bad("--out", got=str(out), expected=expected, hint=hint) from error
    say(f"{out} holds {len(earlier)} rows of earlier results, which the new ones replace.")


def with_statistics(config: Config, statistics: Statistics | None) -> Config:
    """A configuration with other statistics of batch normalisation.

    Raises:
        UserError: the learner has no such choice.
    """
    if statistics is None:
        return config
    if not hasattr(config.learner, "statistics"):
        expected = f"nothing, as learner {config.learner.kind} has no such choice"
        raise bad("--statistics", got=statistics, expected=expected)
    return replace(config, learner=replace(config.learner, statistics=statistics))


def on_validation(trained: Trained) -> Trained:
    """The same model, to be measured on validation classes; its rows say so."""
    tasks = trained.tasks
    return replace(trained, tasks=replace(tasks, test=tasks.validation, split=f"{tasks.split}, validation classes"))


def _streams(task: Any) -> str:
    how_many = f"{PER_CLASS} examples of each" if task.balanced else f"{task.length} examples"
    return f"{task.classes} classes, {how_many}"


def default_out(model: str) -> Path:
    """Where rows go if nobody says: what a run's training measured, and what was measured of a release, stay."""
    folder = Path(model)
    if (folder / "checkpoints").is_dir():
        return folder / "evaluation.json"
    names = (f"{folder.name}-result{number}.json" for number in chain([""], (f"-{n}" for n in count(2))))
    return next(path for path in map(Path, names) if not path.exists())
