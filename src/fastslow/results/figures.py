"""The figures of a finished run, from its metrics file and one episode of its test classes."""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..configs.config import RunConfig, describe
from ..learners.inspect import Inspection, inspect_episode
from ..learners.supervised import TRACKED
from ..plotting import figures as plots
from ..plotting import streams as stream_plots
from ..tasks.base import FewShotEpisode
from ..training.evaluate import EVALUATION_SEED
from ..training.metrics import read_metrics
from ..training.state import draw, one_seed
from .pipeline import Trained, chance_of

CONTROLLERS = ("input", "output", "write")
MOST_QUERIES, MOST_STEPS, MOST_MOMENTS = 40, 40, 6
"""As many as can still be told apart in one figure."""


def draw_figures(trained: Trained, folder: Path, references: Mapping[str, float]) -> list[Path]:
    """Draws all figures of a run; the first seed's network is the one that is looked into.

    A network on streams has a learning curve, and the curves of first, second, fifth and tenth instances.

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
    judged_by = trained.learner.judged_by
    figures = {"learning_curve.png": curve_figure(metrics, chance_of(config), references, judged_by)}
    if curves := instance_curves(metrics):
        figures["instances.png"] = stream_plots.over_training({describe(config): curves}, columns=1)
    if isinstance(config, RunConfig):
        figures |= _inner_figures(trained)
    for name, figure in figures.items():
        plots.save(figure, folder / name)
    return [folder / name for name in figures]


def _inner_figures(trained: Trained) -> dict[str, plots.Figure]:
    """What happens inside a network in one test episode."""
    key, _ = jax.random.split(jax.random.key(EVALUATION_SEED))
    # the first of the episodes that results are measured on
    batch = draw(trained.tasks.test, key, jnp.zeros((), jnp.int32), jnp.arange(1))
    episode = jax.tree.map(lambda x: x[0], batch)
    inside = inspect_episode(trained.learner, one_seed(trained.states, 0), episode)
    inside, episode = jax.device_get((inside, episode))
    return {
        "confusion.png": confusion_figure(inside, episode),
        "memory.png": memory_figure(inside, episode),
        "gradients.png": gradients_figure(inside),
    }


def read_curve(metrics: Path, name: str) -> plots.Curve:
    """One figure of a metrics file over the updates, from the lines that hold it."""
    rows = [row for row in read_metrics(metrics) if name in row]
    values = [[np.nan if value is None else value for value in row[name]] for row in rows]
    return plots.Curve(
        steps=np.array([row["step"] for row in rows], dtype=np.int64),
        values=np.array(values, dtype=np.float64) if rows else np.zeros((0, 1)),
    )


def instance_curves(metrics: Path) -> dict[str, plots.Curve]:
    """Share of k-th instances named rightly over the updates, from a metrics file; empty where it tells of none."""
    curves = {}
    for k in TRACKED:
        hits, seen = read_curve(metrics, f"hits_{k}"), read_curve(metrics, f"seen_{k}")
        if len(seen.steps):
            some = np.where(seen.values > 0, seen.values, np.nan)
            curves[ORDINALS[k]] = plots.Curve(seen.steps, hits.values / some)
    return curves


ORDINALS = {1: "1st instance", 2: "2nd", 5: "5th", 10: "10th"}


def curve_figure(
    metrics: Path, chance: float | None, references: Mapping[str, float], judged_by: str = "accuracy"
) -> plots.Figure:
    """The learning curve of a metrics file."""
    return plots.learning_curve(
        judged_by=judged_by,
        accuracy=read_curve(metrics, judged_by),
        validation=read_curve(metrics, f"validation_{judged_by}"),
        loss=read_curve(metrics, "loss"),
        chance=chance,
        references=references,
    )


def confusion_figure(inside: Inspection, episode: FewShotEpisode) -> plots.Figure:
    """What the queries of an episode were taken for."""
    logits, labels = np.asarray(inside.logits), np.asarray(episode.query.labels)
    shown = _evenly(len(labels), MOST_QUERIES)
    given = np.asarray(episode.support.labels)
    first = [int(np.flatnonzero(given == c)[0]) for c in range(logits.shape[1])]
    return plots.confusion(
        _softmax(logits[shown]),
        labels[shown],
        np.asarray(episode.query.inputs)[shown],
        np.asarray(episode.support.inputs)[first],
    )


def memory_figure(inside: Inspection, episode: FewShotEpisode) -> plots.Figure:
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
    return plots.memory(
        contents,
        ["$M_0$", *(written.format(moment + 1) for moment in moments)],
        scores[steps],
        images[steps],
        int(np.sum(steps < support)),
        note,
    )


def gradients_figure(inside: Inspection) -> plots.Figure:
    """Norms of true and synthetic gradients at each controller."""
    one_walk = inside.true.input.shape[1] > inside.support  # support set and queries in one walk: bind
    parts = (inside.true, inside.synthetic, inside.agreement)
    named = [{} if part is None else {name: np.asarray(getattr(part, name)) for name in CONTROLLERS} for part in parts]
    return plots.gradients(named[0], named[1], named[2], inside.support if one_walk else None)


def _evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, spread evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _softmax(logits: Float[np.ndarray, "query way"]) -> Float[np.ndarray, "query way"]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
