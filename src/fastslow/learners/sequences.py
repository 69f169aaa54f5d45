"""Figures of sequences: loss and scores of each step, along the labelled axes of the task's metrics, too."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..metrics import LOSS, Figure, label_of, measured
from ..models.head import AbstractHead
from ..tasks.base import SequenceEpisode, TaskSpec
from .base import Figures


def sequence_figures(
    spec: TaskSpec, head: AbstractHead, outputs: Float[Array, "batch time outputs"], episodes: SequenceEpisode
) -> Figures:
    """Loss and scores of each sequence.

    Args:
        spec: the task, whose metrics are taken.
        head: scores the outputs.
        outputs: of the head at each step.
        episodes: the sequences.
    """
    scores = jax.vmap(jax.vmap(head.scores))(outputs, episodes.targets)
    scores["loss"] = jax.vmap(jax.vmap(head.nll))(outputs, episodes.targets)
    expected = {metric.key: metric for metric in (LOSS, spec.monitor, *spec.metrics)}
    return {k: measured(m, scores[m.name], episodes.mask, episodes.axis_index) for k, m in expected.items()}


def summed_figures(spec: TaskSpec, figures: Figures) -> Figures:
    """Sums over the sequences of a batch, each label of an axis by itself."""
    summed = {}
    for metric in (LOSS, spec.monitor, *spec.metrics):
        total, count = (jnp.sum(part, axis=0) for part in (figures[metric.key].total, figures[metric.key].count))
        if metric.axis is None:
            summed[metric.key] = Figure(total, count)
            continue
        for place, label in enumerate(metric.axis.labels):
            summed[label_of(metric.name, metric.at(label))] = Figure(total[place], count[place])
    return summed


__all__ = ["sequence_figures", "summed_figures"]
