"""What Figures 5 and 6 share: trainings on functions drawn from a Gaussian process, the GP oracle beside them."""

from pathlib import Path

from ...baselines.gp_oracle import GPOracle
from ...configs.json import to_json
from ...configs.presets import sharp
from ...configs.run import Trained
from ...results.measure import measure_baseline
from ...results.row import ResultRow
from ...tasks.gaussian_process import GaussianProcessConfig
from ..base import Budget, Watch
from ..rows import Row, run_row, trained_before
from .settings import AS_MANY, network, test_episodes, without_memory


def process(dimensions: int, budget: Budget) -> GaussianProcessConfig:
    """The process that functions of so many dimensions are drawn from."""
    return GaussianProcessConfig(dimensions=dimensions, length=12 if budget == "smoke" else 100)


def rows(dimensions: int, budget: Budget) -> list[Row]:
    """MANN and LSTM on functions of so many dimensions."""
    base = network(process(dimensions, budget), budget, AS_MANY)
    return [
        Row(f"{dimensions}-D: MANN", f"mann-{dimensions}", sharp(base)),
        Row(f"{dimensions}-D: LSTM", f"lstm-{dimensions}", without_memory(base)),
    ]


def run_regression(
    experiment: str, dimensions: int, out: Path, budget: Budget, *, resume: bool, watch: Watch
) -> tuple[list[ResultRow], dict[str, Trained]]:
    """Trains and measures both networks, and measures the GP oracle on the same streams.

    Returns:
        The results, and the trained networks by the names of their cells.
    """
    results, networks, episodes = [], {}, test_episodes(budget)
    for row in rows(dimensions, budget):
        found, trained = run_row(experiment, row, out, resume=resume, watch=watch, episodes=episodes)
        results += found
        networks[row.config.model.cell.kind] = trained if trained is not None else trained_before(out / row.folder)
    return [*results, *oracle(experiment, process(dimensions, budget), episodes)], networks


def oracle(experiment: str, config: GaussianProcessConfig, episodes: int) -> list[ResultRow]:
    """What the GP oracle makes of the test streams."""
    return measure_baseline(
        GPOracle(config, config.spec.metrics),
        config.build(),
        experiment=experiment,
        row=f"{config.dimensions}-D: GP oracle",
        chance=None,
        config={"task": to_json(config)},
        episodes=episodes,
    )


__all__ = ["oracle", "process", "rows", "run_regression"]
