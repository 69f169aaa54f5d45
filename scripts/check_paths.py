"""Measures `PathPredictor` with a model of the preset `paths` on road users elsewhere, beside constant velocity.

    python scripts/check_paths.py MODEL [--draws 20] [--data FOLDER] [--out FILE]

In each draw ten paths of a kind are given to `fit`, and up to two hundred others are predicted: without `fit`, after
it, and by the mean velocity of the last ten observed positions. Paths are the first windows of tracks whose first and
last positions lie at least a metre apart. Of SinD, on which the preset `paths` trains, those are taken that were held
out for its tests, and half of them are predicted.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from fastslow._checks import UserError, bad, check_integer
from fastslow.datasets.own_tracks import Columns
from fastslow.datasets.sources import Source, load_tracks
from fastslow.datasets.tracks import Tracks
from fastslow.estimators import PathPredictor
from fastslow.results.measure import episodes_row
from fastslow.results.row import ResultRow, write_rows
from fastslow.results.tables import table
from fastslow.tasks.coordinates import LAST
from fastslow.tasks.tracks import TracksConfig
from fastslow.tasks.windows import moving
from fastslow.zoo.saved import Saved, load

EXPERIMENT = "paths"
FITTED, TESTED = 10, 200
ELSEWHERE: Mapping[str, tuple[Source, str]] = {
    "VRU, pedestrians": ("vru", "pedestrian"),
    "VRU, cyclists": ("vru", "bicycle"),
    "Stanford, pedestrians": ("stanford-drone", "pedestrian"),
    "Stanford, cyclists": ("stanford-drone", "bicycle"),
}
SIND = "SinD, pedestrians"
UNFITTED, AFTER, CONSTANT = "PathPredictor", "PathPredictor, ten paths", "constant velocity"

Windows = Float[np.ndarray, "paths points 2"]


def constant_velocity(observed: Windows, predicted: int) -> Windows:
    """Where the mean velocity of the last observed positions leads."""
    velocity = (observed[:, -1] - observed[:, -1 - LAST]) / LAST
    return observed[:, -1:] + velocity[:, None] * np.arange(1, predicted + 1)[None, :, None]


def errors(found: Windows, truth: Windows) -> dict[str, float]:
    """MSE (of a coordinate), ADE and FDE."""
    away = np.linalg.norm(found - truth, axis=2)
    return {"MSE": float(np.mean((found - truth) ** 2)), "ADE": float(away.mean()), "FDE": float(away[:, -1].mean())}


def measure(model: str, windows: Windows, observed: int, draws: int) -> dict[str, dict[str, list[float]]]:
    """The errors of each way in each draw."""
    found: dict[str, dict[str, list[float]]] = {}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(windows))
        taught, tested = windows[order[:FITTED]], windows[order[FITTED : FITTED + TESTED]]
        past, truth = tested[:, :observed], tested[:, observed:]
        answers = {
            UNFITTED: PathPredictor(model).predict(past),
            AFTER: PathPredictor(model).fit(taught).predict(past),
            CONSTANT: constant_velocity(past, truth.shape[1]),
        }
        for name, answer in answers.items():
            for metric, value in errors(answer, truth).items():
                found.setdefault(name, {}).setdefault(metric, []).append(value)
    return found


def held_out(task: TracksConfig, folder: str | None) -> tuple[Windows, Tracks]:
    """SinD's windows for tests, counted from the middle of those for training, and the data set."""
    test: Any = replace(task, data=folder).build().test
    return np.asarray(test.windows, np.float64), load_tracks("sind", folder, columns=Columns(), unit="m")


def data_sets(task: TracksConfig, folder: str | None) -> dict[str, tuple[Windows, Tracks]]:
    """The windows of each kind of road user, and where they are from."""
    found = {}
    for name, (source, agent) in ELSEWHERE.items():
        tracks = load_tracks(source, folder, columns=Columns(), unit="m")
        kept = moving(tracks.of_agent(agent), task.observed + task.predicted, task.rate, task.least)
        found[name] = (kept.positions, tracks)
    return {**found, SIND: held_out(task, folder)}


def rows(saved: Saved, model: str, draws: int, folder: str | None) -> list[ResultRow]:
    """A result row for each kind of road user, way and error; a draw counts as an episode."""
    task: Any = saved.config.task
    if getattr(task, "source", None) != "sind":  # of another data set it would have seen what it is measured on
        raise bad("model", got=saved.name, expected="a model of paths that was trained on SinD, by the preset paths")
    check_integer("draws", draws, least=2)
    results = []
    for kind, (windows, tracks) in data_sets(task, folder).items():
        start = time.perf_counter()
        found = measure(model, windows, task.observed, draws)
        data = {"name": tracks.name, "split": kind, "digest": tracks.sha256, "scheme": "tracks-sha256"}
        for name, each in found.items():
            for metric in task.target.metrics:
                given = (saved.config, saved.seeds[:1], saved.digests[:1], np.array(each[metric.name]))
                fields = {"experiment": EXPERIMENT, "row": f"{kind}: {name}", "chance": None, "data": data}
                facts = {"model": None if name == CONSTANT else saved.name}
                seconds = time.perf_counter() - start
                results.append(episodes_row(*given, metric, facts=facts, seconds=seconds, **fields))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, default=Path("results") / EXPERIMENT / "released.json")
    given = parser.parse_args()
    try:
        results = rows(load(given.model), given.model, given.draws, given.data)
        write_rows(given.out, results)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(table(results))
    print(given.out)


if __name__ == "__main__":
    main()
