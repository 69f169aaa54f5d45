"""What Figures 5 and 6 share: trainings on functions drawn from a Gaussian process, the true process beside them."""

from dataclasses import replace
from pathlib import Path

from ...baselines.gp_oracle import TrueProcess
from ...configs.streams import StreamConfig
from ...results.pipeline import Trained, by_seen, measure_untrained
from ...results.row import ResultRow
from ...tasks.gaussian_process import GaussianProcessConfig, gaussian_process_tasks
from ...training.config import to_json
from ..base import Budget, Watch
from ..rows import Row, run_row, trained_before
from .settings import AS_MANY, network, sharp, test_episodes


def process(dimensions: int, budget: Budget) -> GaussianProcessConfig:
    """The process that functions of so many dimensions are drawn from."""
    return GaussianProcessConfig(dimensions=dimensions, length=12 if budget == "smoke" else 100)


def rows(dimensions: int, budget: Budget) -> list[Row[StreamConfig]]:
    """MANN and LSTM on functions of so many dimensions."""
    base = network(process(dimensions, budget), budget, AS_MANY)
    lstm = replace(base, model=replace(base.model, cell="lstm"))
    return [
        Row(f"{dimensions}-D: MANN", f"mann-{dimensions}", sharp(base)),
        Row(f"{dimensions}-D: LSTM", f"lstm-{dimensions}", lstm),
    ]


def run_regression(
    experiment: str, dimensions: int, out: Path, budget: Budget, *, resume: bool, watch: Watch
) -> tuple[list[ResultRow], dict[str, Trained[StreamConfig]]]:
    """Trains and measures both networks, and measures the true process on the same streams.

    Returns:
        The results, and the trained networks by the names of their cells.
    """
    results, networks, episodes = [], {}, test_episodes(budget)
    for row in rows(dimensions, budget):
        found, trained = run_row(experiment, row, out, resume=resume, watch=watch, episodes=episodes)
        results += found
        networks[row.config.model.cell] = trained if trained is not None else trained_before(out / row.folder)
    return [*results, *truth(experiment, process(dimensions, budget), episodes)], networks


def truth(experiment: str, config: GaussianProcessConfig, episodes: int) -> list[ResultRow]:
    """What the true process makes of the test streams."""
    return measure_untrained(
        TrueProcess(config),
        gaussian_process_tasks(config),
        by_seen,
        episodes=episodes,
        experiment=experiment,
        row=f"{config.dimensions}-D: true process",
        chance=None,
        config={"task": to_json(config)},
    )


__all__ = ["process", "rows", "run_regression", "truth"]
