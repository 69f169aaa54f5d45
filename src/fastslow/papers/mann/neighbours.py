"""The rows of Table 2 that name each image after its nearest neighbour, by pixels or by an autoencoder's features."""

from collections.abc import Mapping
from pathlib import Path

from ...baselines.stream_neighbours import StreamNeighbours
from ...configs.config import Config
from ...configs.json import to_json
from ...configs.run import Trained, train
from ...learners.autoencoder import ReconstructionConfig
from ...models.autoencoder import AutoencoderConfig
from ...optim.config import AdamConfig
from ...results.measure import measure_baseline
from ...results.row import ResultRow
from ...tasks.omniglot_stream import OmniglotStreamConfig
from ...training.config import TrainingConfig
from ...training.state import one_seed
from ..base import Watch

FEATURES = "autoencoder"


def autoencoder_config(
    task: OmniglotStreamConfig, training: TrainingConfig, model: AutoencoderConfig | None = None
) -> Config:
    """The training of an autoencoder on the images of streams.

    Args:
        task: the streams.
        training: how long; the paper gives it three times the images that the networks have, so with streams of fifteen
            classes it takes three times as many updates.
        model: the paper's unless another is given.
    """
    return Config(task, model or AutoencoderConfig(), ReconstructionConfig(), AdamConfig(), training)


def train_autoencoder(out: Path, config: Config, *, resume: bool, watch: Watch) -> Trained:
    """Trains an autoencoder in a run folder; the parameters that did best on validation classes are taken."""
    return train(config, out, resume=resume, grow=False, watch=lambda report: watch(FEATURES, report))


def neighbour_rows(
    experiment: str,
    row: str,
    task: OmniglotStreamConfig,
    *,
    episodes: int,
    paper: Mapping[str, float],
    autoencoder: Trained | None = None,
) -> list[ResultRow]:
    """Measures nearest neighbours on the episodes that the networks are measured on.

    Args:
        experiment: name of the experiment.
        row: name of the row.
        task: the streams.
        episodes: how many.
        paper: the paper's figures by what is measured.
        autoencoder: what `train_autoencoder` gave; None to compare pixels.
    """
    spec, config = task.spec, {"task": to_json(task)}
    network, seconds = None, 0.0
    if autoencoder is not None:
        network, seconds = one_seed(autoencoder.states.params, 0), autoencoder.seconds
        config[FEATURES] = to_json(autoencoder.config)
    return measure_baseline(
        StreamNeighbours(spec.metrics, None if network is None else network.encode),
        task.build(),
        experiment=experiment,
        row=row,
        chance=spec.chance,
        config=config,
        episodes=episodes,
        paper=paper,
        params=() if network is None else network,
        seconds=seconds,
    )


__all__ = ["FEATURES", "autoencoder_config", "neighbour_rows", "train_autoencoder"]
