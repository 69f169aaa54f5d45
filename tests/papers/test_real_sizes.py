"""Every training of mann's experiments at the size that its results have, for two updates on two devices and a measure.

What small sizes do not show: devices that wait for each other for ever, and programs that are optimised as users have
them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from fastslow.configs.run import train
from fastslow.papers.mann import figure3, figure4, regression, table1, table2
from fastslow.papers.mann.neighbours import autoencoder_config, neighbour_rows, train_autoencoder
from fastslow.papers.rows import Row
from fastslow.results.measure import measure
from fastslow.results.streams import on_streams
from fastslow.training.config import TrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EPISODES = 50


def planned() -> dict[str, Row]:
    rows = {
        "table1": table1.rows("laptop"),
        "table2": [row for block in table2.blocks("laptop") for row in table2.rows(block)],
        "figure3": figure3.rows("laptop"),
        "figure4": [figure4.row("laptop")],
        "regression": [row for dimensions in (1, 2, 3) for row in regression.rows(dimensions, "laptop")],
    }
    # the twins of fewer updates are of the same size
    return {f"{name}-{row.folder}": row for name, each in rows.items() for row in each if "-6250" not in row.folder}


def short(training: TrainingConfig) -> TrainingConfig:
    return replace(training, steps=2, log_every=1, validate_every=2, validation_episodes=EPISODES, checkpoint_every=2)


@pytest.fixture(autouse=True)
def optimised() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    jax.clear_caches()


@pytest.fixture(autouse=True)
def omniglot(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTSLOW_DATA", str(real_data))


@pytest.mark.parametrize("name", list(planned()))
def test_a_row_trains_and_is_measured(name: str, tmp_path: Path) -> None:
    row = planned()[name]
    config = replace(row.config, training=short(row.config.training))
    seen = []
    trained = train(config, tmp_path / "run", watch=lambda report: seen.append(report.step))
    assert (jax.device_count(), seen[-1]) == (2, 2)
    results = measure(trained, experiment="mann/real-size", row=row.name, episodes=EPISODES)
    if name == "figure4-mann":
        results += measure(on_streams(trained, 100, 1000), experiment="mann/real-size", row="100 classes", episodes=2)
    assert np.isfinite([result.value for result in results]).all()


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_oracle_is_measured(dimensions: int) -> None:
    results = regression.oracle("mann/real-size", regression.process(dimensions, "laptop"), EPISODES)
    assert np.isfinite([result.value for result in results]).all()


@pytest.mark.parametrize("block", table2.blocks("laptop"), ids=lambda block: f"{block.classes}-classes")
def test_neighbours_are_measured(block: table2.Block, tmp_path: Path) -> None:
    config = autoencoder_config(block.streams, short(block.base.training))
    trained = train_autoencoder(tmp_path, config, resume=False, watch=lambda name, report: None)
    for autoencoder in (None, trained):
        paper = block.paper(table2.PIXELS)
        given = {"episodes": EPISODES, "paper": paper, "autoencoder": autoencoder}
        results = neighbour_rows("mann/real-size", "neighbours", block.streams, **given)
        assert results[1].value > results[0].value
