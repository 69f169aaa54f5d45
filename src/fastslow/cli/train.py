"""`fastslow train`: one configuration, from the first update to its figures."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from .._checks import UserError, bad
from ..configs.config import Config, read_config
from ..configs.presets import PRESETS, find_preset
from ..configs.run import train
from ..papers.fast_slow.main import PARTS, PIXELS, pixel_rows, run_main
from ..papers.rows import is_result_of
from ..results.figures import draw_figures
from ..results.measure import measure
from ..results.row import ResultRow, read_rows, write_rows
from ..training.checkpoint import Checkpoints
from ..training.folder import read_json
from ..training.report import Report
from .choices import check_left, choices, choose, fitting
from .console import logged, say, show_results
from .flags import Place, check_test_episodes, read_flags, read_place
from .folders import Notes, claimed, read_notes, resumable, write_notes
from .naming import flags_by_name, naming
from .progress import Watcher
from .start import use_all_cores

MAIN, CUSTOM = "main", "custom"
"""What is trained where nothing is typed, and the name of a run with other parts than its preset has."""
EPISODES = {MAIN: 600, "smoke": 20}
OTHERS = 1000
"""Test episodes of a run whose name is not among `EPISODES`."""

Watch = Callable[[str, Report], object]


def run(argv: Sequence[str]) -> int:
    """Runs `fastslow train`."""
    use_all_cores()
    place = read_place(argv)
    name, config = _named(place)
    folder = None if place.asks_for_help else _folder(place, name)
    stored = _stored(folder) if place.resume and folder else None
    notes = _notes(folder, stored, place, name) if folder and stored else None
    config, left = choose(stored or config, place.flags)
    if stored is not None and folder is not None:
        _check_same(stored, config, folder)
    check_left(config, left)
    with naming(flags_by_name(config) | {"data": "--data"}):
        flags = read_flags(left, place.preset or MAIN, config)
        config = flags.run_config(config)
        notes = notes or Notes(name, EPISODES.get(name, OTHERS))
        notes = notes if flags.episodes is None else replace(notes, episodes=flags.episodes)
        check_test_episodes(notes.episodes)
        with contextlib.nullcontext(folder) if folder else claimed(name) as out, logged(out), fitting(config):
            try:
                with Watcher() as watcher:
                    rows = _train(notes, config, out, flags.resume, _noting(watcher, out, notes, config))
            except KeyboardInterrupt as stop:
                raise KeyboardInterrupt(_farewell(out)) from stop
    show_results(rows, out / "result.json", sorted((out / "figures").glob("*.png")), json=flags.json)
    return 0


def _named(place: Place) -> tuple[str, Config]:
    """The name of the run that was typed, and the configuration that its flags change."""
    preset = MAIN if place.preset is None else place.preset
    config = find_preset(MAIN if preset == CUSTOM else preset).config
    return (preset if choose(config, place.flags)[0] == config else CUSTOM), config


def _folder(place: Place, name: str) -> Path | None:
    """The folder that was typed, or the newest one to resume; None for a new one."""
    if place.out is not None or not place.resume:
        return place.out
    found = resumable(name, f"fastslow train {name}")
    say(f"Resuming {found}.")
    return found


def _stored(folder: Path) -> Config:
    """The configuration of a run that is resumed, so that no flag need be typed twice.

    Raises:
        UserError: the folder holds no run.
    """
    path = folder / "config.json"
    if not path.is_file():
        expected, hint = "the folder of a run, which holds config.json", "name another folder, or leave out --resume"
        raise bad("--out", got=str(folder), expected=expected, hint=hint)
    return read_config(read_json(path))


def _notes(folder: Path, stored: Config, place: Place, name: str) -> Notes | None:
    """What was noted of a run; None where that was typed again.

    Raises:
        UserError: another preset was typed, or nothing is noted and not all of it was typed.
    """
    notes = read_notes(folder, stored)
    if notes is None and (place.preset is None or place.episodes is None):
        raise UserError(
            f"{folder}: does not say which preset it is a run of, and how many test episodes it is measured on; type "
            "both: fastslow train PRESET --resume --out FOLDER --episodes N."
        )
    if notes is not None and place.preset is not None and name != notes.preset:
        expected = f"{notes.preset}, which {folder} is a run of"
        raise bad("preset", got=name, expected=expected, hint="leave it out")
    return notes


def _check_same(stored: Config, config: Config, folder: Path) -> None:
    """Refuses other parts than a run has."""
    for before, now in zip(choices(stored), choices(config), strict=False):
        if (before.path, before.chosen) != (now.path, now.chosen):
            expected = f"{before.chosen}, as in {folder / 'config.json'}"
            raise bad(
                f"--{before.path}", got=now.chosen, expected=expected, hint="leave it out, or choose another --out"
            )


def _noting(watcher: Watcher, out: Path, notes: Notes, config: Config) -> Watch:
    """A watch that says where the run lies, and notes the preset and the test episodes once it has its folder."""
    expected = [p.expected for name, p in PRESETS.items() if (name, p.config) == (notes.preset, config)]
    time = f" and takes about {expected[0]} on two cores" if expected else ""
    first = True

    def watch(name: str, report: Report) -> None:
        nonlocal first
        write_notes(out, notes, config)
        if first:
            watcher.note(f"The run lies in {out}{time if report.step == 0 else ''}.")
        first = False
        watcher(name, report)

    return watch


def _train(notes: Notes, config: Config, out: Path, resume: bool, watch: Watch) -> list[ResultRow]:
    name, episodes = notes.preset, notes.episodes
    if name == MAIN:
        return run_main(out, config, resume=resume, watch=watch, episodes=episodes, grow=True)
    result = out / "result.json"
    finished = read_rows(result) if resume and result.is_file() else []
    if finished and is_result_of(finished[0], config, episodes):
        return finished
    trained = train(config, out, resume=resume, watch=lambda report: watch(name, report))
    say(f"Measuring on {episodes} test episodes.")
    rows = measure(trained, experiment=name, row=config.describe(), episodes=episodes)
    rows += pixel_rows(config, trained.tasks, experiment=name, episodes=episodes)
    draw_figures(trained, out / "figures", {row.row: row.value for row in rows if row.row == PIXELS})
    write_rows(result, rows)  # last: a run that has it lacks nothing
    return rows


def _farewell(out: Path) -> str:
    """What is said after Ctrl-C."""
    folders = out, *(out / name for name in PARTS)
    if not any(Checkpoints(folder / "checkpoints").steps() for folder in folders):
        return "Interrupted before anything was saved."
    return f"Interrupted; all is saved, so continue with: fastslow train --resume --out {out}"
