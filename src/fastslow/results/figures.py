"""The figures of a finished run, from its metrics file and one episode of its test classes."""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree
from matplotlib.figure import Figure

from ..configs.run import Trained
from ..learners.base import LearnerState
from ..learners.inspect import Inspectable, Inspection
from ..metrics import Metric, label_of
from ..plotting import streams as stream_plots
from ..plotting.confusion import confusion
from ..plotting.curve import Curve
from ..plotting.gradients import gradients
from ..plotting.learning_curve import learning_curve
from ..plotting.memory import memory
from ..plotting.style import save
from ..tasks.base import AbstractTask, FewShotEpisode
from ..tasks.digest import QUICK
from ..training.evaluate import EVALUATION_SEED
from ..training.fingerprint import is_data
from ..training.metrics import read_metrics
from ..training.state import draw, one_seed
from .tables import ordinal

MOST_QUERIES, MOST_STEPS, MOST_MOMENTS = 40, 40, 6
"""As many as can still be told apart in one figure."""
DRAWN = (1, 2, 5, 10)
"""Instances whose curves are drawn."""


def draw_figures(trained: Trained, folder: Path, references: Mapping[str, float]) -> list[Path]:
    """Draws all figures of a run; the first seed's network is the one that is looked into.

    A network on streams of classes has a learning curve, and the curves of first, second, fifth and tenth instances.

    Args:
        trained: the run.
        folder: `figures/` of its run folder, which holds `metrics.jsonl`.
        references: accuracies to draw as lines beside the learning curve, by name, in [0, 1].

    Returns:
        The files.

    Raises:
        UserError: where one cannot be written.
    """
    config, metrics = trained.config, folder.parent / "metrics.jsonl"
    monitor = trained.learner.monitor
    figures = {"learning_curve.png": curve_figure(metrics, config.task.spec.chance, references, monitor)}
    if curves := instance_curves(metrics):
        figures["instances.png"] = stream_plots.over_training({config.describe(): curves}, columns=1)
    figures |= _inner_figures(trained)
    for name, figure in figures.items():
        save(figure, folder / name)
    return [folder / name for name in figures]


def _inner_figures(trained: Trained) -> dict[str, Figure]:
    """What happens inside a network in one test episode, where its learner can be looked into."""
    learner = trained.learner
    if not isinstance(learner, Inspectable):
        return {}
    inside, episode = _first_episode(learner, one_seed(trained.states, 0), trained.tasks.test)
    if inside is None:
        return {}
    inside, episode = jax.device_get((inside, episode))
    if trained.config.task.spec.chance is None:
        return {"gradients.png": gradients_figure(inside)}
    return {
        "confusion.png": confusion_figure(inside, episode),
        "memory.png": memory_figure(inside, episode),
        "gradients.png": gradients_figure(inside),
    }


def _first_episode(
    learner: Inspectable, state: LearnerState, test: AbstractTask
) -> tuple[Inspection | None, FewShotEpisode]:
    """The first of the episodes that results are measured on, from inside."""
    arrays, rest = eqx.partition((learner, state, test), is_data)

    @partial(jax.jit, compiler_options=QUICK)
    def inspected(arrays: PyTree) -> tuple[Inspection | None, FewShotEpisode]:
        learner, state, test = eqx.combine(arrays, rest)
        key, _ = jax.random.split(jax.random.key(EVALUATION_SEED))
        batch = draw(test, key, jnp.zeros((), jnp.int32), jnp.arange(1))
        episode = jax.tree.map(lambda x: x[0], batch)
        return learner.inspect(state, episode), episode

    return inspected(arrays)


def read_curve(metrics: Path, name: str) -> Curve:
    """One figure of a metrics file over the updates, from the lines that hold it."""
    rows = [row for row in read_metrics(metrics) if name in row]
    values = [[np.nan if value is None else value for value in row[name]] for row in rows]
    return Curve(
        steps=np.array([row["step"] for row in rows], dtype=np.int64),
        values=np.array(values, dtype=np.float64) if rows else np.zeros((0, 1)),
    )


def instance_curves(metrics: Path) -> dict[str, Curve]:
    """Accuracy of k-th instances over the updates, from a metrics file; empty where it has none."""
    names = {f"{ordinal(k)} instance": label_of("accuracy", {"instance": k}) for k in DRAWN}
    curves = {title: read_curve(metrics, name) for title, name in names.items()}
    return {title: curve for title, curve in curves.items() if len(curve.steps)}


def curve_figure(metrics: Path, chance: float | None, references: Mapping[str, float], monitor: Metric) -> Figure:
    """The learning curve of a metrics file."""
    return learning_curve(
        monitor=monitor,
        training=read_curve(metrics, monitor.key),
        validation=read_curve(metrics, f"validation_{monitor.key}"),
        loss=read_curve(metrics, "loss"),
        chance=chance,
        references=references,
    )


def confusion_figure(inside: Inspection, episode: FewShotEpisode) -> Figure:
    """What the queries of an episode were taken for."""
    logits, labels = np.asarray(inside.outputs), np.asarray(episode.query.labels)
    shown = _evenly(len(labels), MOST_QUERIES)
    given = np.asarray(episode.support.labels)
    first = [int(np.flatnonzero(given == c)[0]) for c in range(logits.shape[1])]
    return confusion(
        _softmax(logits[shown]),
        labels[shown],
        np.asarray(episode.query.inputs)[shown],
        np.asarray(episode.support.inputs)[first],
    )


def memory_figure(inside: Inspection, episode: FewShotEpisode) -> Figure:
    """Memory contents and slot scores over an episode."""
    support, scores = inside.support, np.asarray(inside.scores)
    steps = np.concatenate(
        [_evenly(support, MOST_STEPS // 2), support + _evenly(len(scores) - support, MOST_STEPS // 2)]
    )
    images = np.concatenate([episode.support.inputs, episode.query.inputs])
    moments = _evenly(support, MOST_MOMENTS - 1)
    contents = np.concatenate([np.asarray(inside.initial)[None], np.asarray(inside.memory)[moments]])
    written = "after step {}" if inside.streamed else "$M_0$ + item {}"
    note = (
        "The support set is streamed into the memory; queries are read from what it left"
        if inside.streamed
        else "Every item and query starts from the initial memory; what it writes is not kept"
    )
    return memory(
        contents,
        ["$M_0$", *(written.format(moment + 1) for moment in moments)],
        scores[steps],
        images[steps],
        int(np.sum(steps < support)),
        note,
    )


def gradients_figure(inside: Inspection) -> Figure:
    """Norms of true and synthetic gradients at each controller."""
    met = inside.gradients
    true, synthetic, agreement = (_by_place(part) for part in (met.true, met.synthetic, met.agreement))
    one_walk = next(iter(true.values())).shape[1] > inside.support  # support set and queries in one walk: in context
    return gradients(true, synthetic, agreement, inside.support if one_walk else None)


def _by_place(part: Any) -> dict[str, np.ndarray]:
    """Arrays by where they were met; none where there is nothing."""
    if part is None:
        return {}
    if isinstance(part, Mapping):
        return {place: np.asarray(norms) for place, norms in part.items()}
    return {f"{field.name} controller": np.asarray(getattr(part, field.name)) for field in fields(part)}


def _evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, spread evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _softmax(logits: Float[np.ndarray, "query way"]) -> Float[np.ndarray, "query way"]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
