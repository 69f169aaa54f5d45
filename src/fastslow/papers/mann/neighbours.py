"""The rows of Table 2 that name each image after its nearest neighbour, by pixels or by an autoencoder's features."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..._typing import Key
from ...baselines.stream_neighbours import StreamNeighbours
from ...configs.streams import StreamConfig
from ...learners.autoencoder import AutoencoderLearner
from ...models.autoencoder import Autoencoder
from ...optim.config import OptimiserConfig, build_optimiser
from ...results.pipeline import by_instance, chance_of, measure_untrained
from ...results.row import ResultRow
from ...tasks.omniglot_stream import OmniglotStreamConfig, omniglot_stream_tasks
from ...training.config import TrainingConfig, to_json
from ...training.folder import RunFolder
from ...training.loop import fit, train
from ...training.report import Report
from ...training.state import best_learner, one_seed
from ..base import Watch

FEATURES = "autoencoder"
CODE = 32
"""Width of the paper's bottleneck."""
OPTIMISER = OptimiserConfig(learning_rate=1e-3)


def train_autoencoder(
    out: Path,
    task: OmniglotStreamConfig,
    training: TrainingConfig,
    *,
    resume: bool,
    watch: Watch,
    features: int = CODE,
) -> tuple[Autoencoder, dict[str, Any], float]:
    """Trains the autoencoder on the images of streams.

    Args:
        out: its run folder.
        task: the streams.
        training: how long; the paper gives it three times the images that the networks have, so with streams of fifteen
            classes it takes three times as many updates.
        resume: whether to go on with what is in `out`.
        watch: called with each report.
        features: width of the bottleneck.

    Returns:
        The network that did best on validation classes, its configuration, and the seconds it took.
    """
    config = autoencoder_config(task, training, features)
    learner = AutoencoderLearner(build=partial(_build, features), optimiser=build_optimiser(OPTIMISER, training.steps))
    tasks, seconds = omniglot_stream_tasks(task), 0.0

    def note(report: Report) -> None:
        nonlocal seconds
        seconds = report.seconds
        watch(FEATURES, report)

    with RunFolder(out, config, resume=resume, grow=False) as folder:
        state = train(fit(learner, tasks.train, training, validation=tasks.validation, folder=folder), note)
    return one_seed(best_learner(state), 0).params, config, seconds


def autoencoder_config(task: OmniglotStreamConfig, training: TrainingConfig, features: int = CODE) -> dict[str, Any]:
    """What results say of the autoencoder."""
    width = {} if features == CODE else {"features": features}
    return {
        "kind": FEATURES,
        **width,
        "task": to_json(task),
        "training": to_json(training),
        "optimiser": to_json(OPTIMISER),
    }


def _build(features: int, key: Key) -> Autoencoder:
    return Autoencoder(features=features, key=key)


def neighbour_rows(
    experiment: str,
    row: str,
    task: OmniglotStreamConfig,
    *,
    episodes: int,
    paper: Mapping[str, float],
    autoencoder: tuple[Autoencoder, dict[str, Any], float] | None = None,
) -> list[ResultRow]:
    """Measures nearest neighbours on the episodes that the networks are measured on.

    Args:
        experiment: name of the experiment.
        row: name of the row.
        task: the streams.
        episodes: how many.
        paper: the paper's figures by metric.
        autoencoder: what `train_autoencoder` gave; None to compare pixels.
    """
    network, trained, seconds = autoencoder if autoencoder is not None else (None, {}, 0.0)
    return measure_untrained(
        StreamNeighbours(None if network is None else network.encode, task.classes),
        omniglot_stream_tasks(task),
        by_instance,
        episodes=episodes,
        params=() if network is None else network,
        seconds=seconds,
        paper=paper,
        experiment=experiment,
        row=row,
        chance=chance_of(StreamConfig(task)),
        config={"task": to_json(task), **({FEATURES: trained} if trained else {})},
    )


__all__ = ["FEATURES", "autoencoder_config", "neighbour_rows", "train_autoencoder"]
