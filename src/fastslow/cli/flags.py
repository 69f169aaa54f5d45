"""The flags of `fastslow train`: its own, and every field of a run's configuration with the preset as default."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from .._checks import bad
from ..configs.config import Config
from ..training.config import check_episodes
from .choices import choices_help
from .mistakes import one_sentence
from .naming import naming
from .parsing import parse

_DESCRIPTION = """Trains a preset, measures it on classes it never saw, and draws figures. The last line printed is the
path of the result file. Without a preset it is the main job: a memory network with synthetic gradients on generated
characters, beside its memory alone, its inner steps alone and nearest neighbour on pixels.

Examples:

fastslow train

fastslow train smoke --out /tmp/try

fastslow train omniglot-5way-1shot --data DIR --seeds 3

fastslow train paper-5way-1shot --learner.feedback.regime synthetic --steps 500

fastslow train --task omniglot --model network --model.cell mann --learner in-context

fastslow train --resume --out runs/main-001

Parts are chosen by name, the one in use standing first; each brings its own flags. A run with other parts than its
preset has is called custom:

{choices}

The flags below show the values of the preset and of the parts named; `fastslow list` names all presets."""


@dataclass(frozen=True)
class TrainFlags:
    """What is typed after `fastslow train`."""

    preset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[PRESET]")] = "main"
    """Name of a configuration to start from, typed before any flag."""
    out: Path | None = None
    """Run folder; without it runs/<preset>-NNN or runs/custom-NNN, with the next free number, or the newest one for
    --resume."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Continue the run in the folder, as it was configured; --steps may grow."""
    steps: int | None = None
    """Updates to make; short for --training.steps."""
    seeds: int | None = None
    """Repetitions, trained side by side; short for --training.seeds."""
    data: Path | None = None
    """Folder of the data set; short for --task.data."""
    episodes: int | None = None
    """Test episodes of each seed; without it as many as the preset's results have, or on --resume as before."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the result rows as JSON on standard output, and all else on standard error."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)

    def run_config(self, default: Config) -> Config:
        """The configuration with the short flags in it.

        Args:
            default: what the long flags were shown with.

        Raises:
            UserError: a short flag beside its long form, or data for a task that makes its own.
        """
        training = self.config.training
        for name in ("steps", "seeds"):
            short, long = getattr(self, name), getattr(training, name)
            if short is None:
                continue
            if long not in (short, getattr(default.training, name)):
                raise bad(f"--{name}", got=short, expected=f"--{name} or --training.{name} ({long}), but not both")
            with naming({name: f"--{name}"}):
                training = replace(training, **{name: short})
        there, before = getattr(self.config.task, "data", None), getattr(default.task, "data", None)
        if self.data is not None and there not in (before, str(self.data)):
            raise bad("--data", got=str(self.data), expected=f"--data or --task.data ({there}), but not both")
        return replace(with_data(self.config, self.data), training=training)


def with_data(config: Config, data: Path | None) -> Config:
    """A configuration that takes its data from a folder.

    Raises:
        UserError: the task makes its own data.
    """
    if data is None:
        return config
    if not hasattr(config.task, "data"):
        raise bad(
            "--data",
            got=str(data),
            expected=f"nothing, as task {config.task.kind} makes its own data",
            hint="leave --data out, or train an Omniglot preset",
        )
    return replace(config, task=replace(config.task, data=str(data)))


def check_test_episodes(episodes: int) -> None:
    """Raises `UserError` unless a model can be measured, with an interval, on so many test episodes."""
    if episodes < 2:
        raise bad("--episodes", got=episodes, expected="at least 2, for an interval")
    check_episodes("--episodes", episodes)


@dataclass(frozen=True)
class Place:
    """What must be known before the other flags can be shown with their defaults.

    Attributes:
        preset: the first word, unless it is a flag.
        flags: the other words.
        out: the run folder that was typed.
        resume: whether a run is resumed.
        episodes: the test episodes that were typed.
        asks_for_help: whether to show the help and do nothing.
    """

    preset: str | None
    flags: tuple[str, ...]
    out: Path | None
    resume: bool
    episodes: int | None
    asks_for_help: bool


_HELP = {"-h", "--help"}


@dataclass(frozen=True)
class _PlaceFlags:
    out: Path | None = None
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    episodes: int | None = None


def read_place(argv: Sequence[str]) -> Place:
    """Reads the preset, the folder and whether a run is resumed; what else was typed is passed over."""
    preset = argv[0] if argv and not argv[0].startswith("-") else None
    rest = tuple(argv[preset is not None :])
    with one_sentence("train", rest):
        known, _ = tyro.cli(
            _PlaceFlags,
            args=[word for word in rest if word not in _HELP],
            prog="fastslow train",
            add_help=False,
            return_unknown_args=True,
        )
    return Place(preset, rest, known.out, known.resume, known.episodes, asks_for_help=not _HELP.isdisjoint(rest))


def read_flags(flags: Sequence[str], preset: str, config: Config) -> TrainFlags:
    """Reads all flags.

    Args:
        flags: what was typed after the preset, less the choices of parts.
        preset: the preset's name.
        config: the values of the configuration's flags that are not typed.

    Raises:
        UserError: the preset was typed after a flag, or tyro cannot read what was typed.
        SystemExit: as tyro ends for `--help`.
    """
    description = _DESCRIPTION.format(choices=choices_help(config))
    read = parse(TrainFlags, flags, "train", description, default=TrainFlags(preset=preset, config=config))
    if read.preset != preset:
        expected = "a preset only as the first word after `fastslow train`"
        raise bad("preset", got=read.preset, expected=expected, hint="move it there, or leave it out")
    return read
