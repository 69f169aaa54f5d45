"""`fastslow train`: one preset, from the first update to its figures."""

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from .._checks import UserError, bad
from ..configs.config import Config, read_config
from ..configs.presets import find_preset
from ..configs.run import train
from ..papers.fast_slow.main import PIXELS, pixel_row, run_main
from ..papers.rows import is_result_of
from ..results.figures import draw_figures
from ..results.measure import measure
from ..results.row import ResultRow, read_rows, write_rows
from ..training.checkpoint import Checkpoints
from ..training.folder import read_json
from ..training.report import Report
from .choices import choose
from .console import logged, say, show_results
from .flags import Place, read_flags, read_place
from .folders import claimed, remember_preset, remembered_episodes, remembered_preset, resumable
from .progress import Watcher
from .start import use_all_cores

MAIN = "main"
EPISODES = {MAIN: 600, "smoke": 20}
MOST_EPISODES = 1000
"""Test episodes of a preset that is not named above."""

Watch = Callable[[str, Report], object]


def run(words: Sequence[str]) -> int:
    """Runs `fastslow train`."""
    use_all_cores()
    place = read_place(words)
    folder = None if place.asks_for_help else _folder(place)
    preset = _preset(place, folder)
    default = _stored(folder) if place.resume and folder else None
    default = find_preset(preset).config if default is None else default
    default, words_left = choose(default, place.flags)
    flags = read_flags(words_left, preset, default)
    config = flags.run_config(default)
    before = remembered_episodes(folder) if place.resume and folder else None
    episodes = flags.episodes if flags.episodes is not None else before or EPISODES.get(preset, MOST_EPISODES)
    if episodes < 2:
        raise bad("--episodes", came=episodes, wanted="at least 2, for an interval")
    with _use(folder, preset) as out, logged(out):
        try:
            with Watcher() as watcher:
                rows = _train(preset, config, out, flags.resume, episodes, _remembering(watcher, out, preset, episodes))
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(_farewell(out)) from stop
    show_results(rows, out / "result.json", sorted((out / "figures").glob("*.png")), json=flags.json)
    return 0


def _folder(place: Place) -> Path | None:
    """The folder that was named, or the newest one to go on with; None for a new one."""
    if place.out is not None or not place.resume:
        return place.out
    name = place.preset or MAIN
    found = resumable(name, f"fastslow train {name}")
    say(f"Going on with {found}.")
    return found


def _preset(place: Place, folder: Path | None) -> str:
    """The preset that was typed; on --resume, that of the folder."""
    found = remembered_preset(folder) if place.resume and folder else None
    if place.preset is not None and found is not None and place.preset != found:
        raise bad("preset", came=place.preset, wanted=f"{found}, which {folder} is a run of", remedy="leave it out")
    if place.preset is None and found is None and place.resume and place.out and (place.out / "config.json").is_file():
        raise UserError(
            f"{place.out}: does not say which preset it is a run of; type it: fastslow train PRESET --resume."
        )
    return place.preset or found or MAIN


def _stored(folder: Path) -> Config | None:
    """The configuration of a run that is gone on with, so that no flag need be typed twice."""
    path = folder / "config.json"
    return read_config(read_json(path)) if path.is_file() else None


def _use(folder: Path | None, preset: str) -> AbstractContextManager[Path]:
    return claimed(preset) if folder is None else contextlib.nullcontext(folder)


def _remembering(watcher: Watcher, out: Path, preset: str, episodes: int) -> Watch:
    """A watch that notes the preset and the test episodes once the run has its folder."""

    def watch(name: str, report: Report) -> None:
        remember_preset(out, preset, episodes)
        watcher(name, report)

    return watch


def _train(preset: str, config: Config, out: Path, resume: bool, episodes: int, watch: Watch) -> list[ResultRow]:
    if preset == MAIN and "regime" in config.learner.facts:
        return run_main(out, config, resume=resume, watch=watch, episodes=episodes, grow=True)
    result = out / "result.json"
    finished = read_rows(result) if resume and result.is_file() else []
    if finished and is_result_of(finished[0], config, episodes):
        return finished
    trained = train(config, out, resume=resume, watch=lambda report: watch(preset, report))
    say(f"Measuring on {episodes} test episodes.")
    rows = measure(trained, experiment=preset, row=config.describe(), episodes=episodes)
    if config.task.spec.episode == "few-shot":
        rows.append(pixel_row(config, trained.tasks, experiment=preset, episodes=episodes))
    draw_figures(trained, out / "figures", {row.row: row.value for row in rows if row.row == PIXELS})
    write_rows(result, rows)  # last: a run that has it lacks nothing
    return rows


def _farewell(out: Path) -> str:
    """What is said after Ctrl-C."""
    steps = [step for part in (out, out / "baseline") for step in Checkpoints(part / "checkpoints").steps()]
    if not steps:
        return "Interrupted before anything was saved."
    return f"Interrupted; all is saved, so go on with: fastslow train --resume --out {out}"
