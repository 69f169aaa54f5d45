"""The rows of Table 2 that name each image after its nearest neighbour, by pixels or by an autoencoder's features."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ..._typing import Key
from ...learners.autoencoder import AutoencoderLearner
from ...learners.optimiser import OptimiserConfig, build_optimiser
from ...learners.stream_neighbours import StreamNeighbours
from ...models.autoencoder import Autoencoder
from ...tasks.omniglot_stream import OmniglotStreamConfig, omniglot_stream_tasks
from ...tasks.splits import TaskSplits
from ...training.config import TrainingConfig, to_json
from ...training.evaluate import evaluate_all
from ...training.fingerprint import params_sha256
from ...training.folder import RunFolder
from ...training.loop import fit, train
from ...training.report import Report
from ...training.state import best_learner, one_seed
from ..base import Watch
from ..pipeline import by_instance, chance_of, result_rows
from ..results import ResultRow
from ..streams import StreamConfig

FEATURES = "autoencoder"


def train_autoencoder(
    out: Path, task: OmniglotStreamConfig, training: TrainingConfig, *, resume: bool, watch: Watch
) -> tuple[Autoencoder, dict[str, Any], float]:
    """Trains the autoencoder on the images of streams.

    Args:
        out: its run folder.
        task: the streams.
        training: how long; the paper gives it three times the images that the networks have.
        resume: whether to go on with what is in `out`.
        watch: called with each report.

    Returns:
        The network that did best on validation classes, its configuration, and the seconds it took.
    """
    optimiser = OptimiserConfig(learning_rate=1e-3)
    config = {"kind": FEATURES, **{name: to_json(part) for name, part in _parts(task, training, optimiser).items()}}
    learner = AutoencoderLearner(build=_build, optimiser=build_optimiser(optimiser, training.steps))
    tasks, seconds = omniglot_stream_tasks(task), 0.0

    def note(report: Report) -> None:
        nonlocal seconds
        seconds = report.seconds
        watch(FEATURES, report)

    with RunFolder(out, config, resume=resume) as folder:
        state = train(fit(learner, tasks.train, training, validation=tasks.validation, folder=folder), note)
    return one_seed(best_learner(state), 0).params, config, seconds


def _parts(task: OmniglotStreamConfig, training: TrainingConfig, optimiser: OptimiserConfig) -> dict[str, Any]:
    return {"task": task, "training": training, "optimiser": optimiser}


def _build(key: Key) -> Autoencoder:
    return Autoencoder(key=key)


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
    start = time.perf_counter()
    tasks: TaskSplits = omniglot_stream_tasks(task)
    features = None if autoencoder is None else autoencoder[0].encode
    learner = StreamNeighbours(features, task.classes)
    state = learner.init(key=jax.random.key(0))
    stacked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state)
    found = evaluate_all(learner, stacked, tasks.test, episodes=episodes, batch=20)
    params = () if autoencoder is None else autoencoder[0]
    before = 0.0 if autoencoder is None else autoencoder[2]
    return result_rows(
        by_instance(found),
        paper,
        experiment=experiment,
        row=row,
        chance=chance_of(StreamConfig(task)),
        episodes=episodes,
        seeds=(0,),
        protocol=None,
        regime=None,
        transductive=False,
        config={"task": to_json(task)} if autoencoder is None else {"task": to_json(task), FEATURES: autoencoder[1]},
        params_sha256=(params_sha256(params),),
        data=tasks.data,
        seconds=before + time.perf_counter() - start,
    )


__all__ = ["FEATURES", "neighbour_rows", "train_autoencoder"]
