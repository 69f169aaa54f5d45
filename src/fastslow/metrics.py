"""What is measured: a metric, the axis along which it is broken down, and the sums that its value is made of.

A learner gives a `Figure` (a sum of scores, and how many there were) for each `Metric.key`. A value is always
Σ total / Σ count, so that sums over devices, batches and updates stay exact where episodes count unequally.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ._checks import UserError, bad

Label = int | str
"""One position of an axis, such as instance 2."""
LEAST = 0.5
"""An optional label is reported from this many counts on, as a share of the counts of the axis's first label."""


@dataclass(frozen=True)
class Axis:
    """A labelled axis of a metric, such as the instances of a class.

    Attributes:
        name: such as `instance`.
        labels: all whole numbers or all names, each once.
        optional: labels that are reported only where they are common: counted at least `LEAST` times as often as the
            first label. The others are reported wherever they are counted at all.
    """

    name: str
    labels: tuple[Label, ...]
    optional: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        numbers = all(isinstance(label, int) and not isinstance(label, bool) for label in self.labels)
        names = all(isinstance(label, str) for label in self.labels)
        if not self.labels or len(set(self.labels)) < len(self.labels) or not (numbers or names):
            raise bad("labels", got=self.labels, expected="whole numbers or names, each once")
        if not set(self.optional) <= set(self.labels):
            raise bad("optional", got=self.optional, expected=f"some of the labels {self.labels}")

    @property
    def values(self) -> tuple[int, ...]:
        """The number of each label in an array: the label itself, or the position of a name."""
        return tuple(label if isinstance(label, int) else place for place, label in enumerate(self.labels))


def label_of(name: str, axis: Mapping[str, Label]) -> str:
    """What is measured, in words: a metric's name and where it stands on its axis, as in `accuracy, instance 2`."""
    return ", ".join([name, *(f"{axis_name} {label}" for axis_name, label in axis.items())])


class Figure(eqx.Module):
    """A sum of scores and how many scores it holds, on the device or on the host; its value is total / count.

    Attributes:
        total: sum of the scores.
        count: number of scores, as floats of the same type; scores may be weighted, then the sum of their weights.
    """

    total: Float[Array | np.ndarray, "*axes"]
    count: Float[Array | np.ndarray, "*axes"]

    @property
    def value(self) -> Float[Array, "*axes"]:
        """The quotient, NaN where nothing is counted."""
        total, count = jnp.asarray(self.total), jnp.asarray(self.count)
        return jnp.where(count > 0, total / jnp.where(count > 0, count, jnp.ones_like(count)), jnp.nan)


@dataclass(frozen=True)
class Metric:
    """What is measured.

    Attributes:
        name: as results state it, such as `log likelihood`.
        unit: `share` (a number in [0, 1], shown in percent), `nats`, `1` for a plain number, or any other unit.
        bounds: range that the metric cannot leave; None where it has none.
        larger_is_better: whether the best of several is the largest.
        axis: along which the metric is broken down; None for one number.
    """

    name: str
    unit: str
    bounds: tuple[float, float] | None
    larger_is_better: bool
    axis: Axis | None = None

    def __post_init__(self) -> None:
        if self.unit == "share" and self.bounds != (0.0, 1.0):
            raise bad("bounds", got=self.bounds, expected="(0, 1), as the unit is a share")

    @property
    def key(self) -> str:
        """Key of its figure, such as `log_likelihood` or `accuracy/instance`."""
        name = self.name.replace(" ", "_")
        return name if self.axis is None else f"{name}/{self.axis.name}"

    def along(self, axis: Axis) -> "Metric":
        """The same metric, broken down along an axis."""
        return replace(self, axis=axis)

    def at(self, label: Label | None) -> dict[str, Label]:
        """The `axis` of a result row: `{"instance": 2}`, or nothing for a metric without an axis."""
        return {} if self.axis is None or label is None else {self.axis.name: label}

    def reduce(self, figure: Figure) -> Mapping[Label | None, Float[np.ndarray, "seeds episodes"]]:
        """One number for each seed and episode whose mean is Σ total / Σ count.

        The value is a ratio of two means, and an episode's count may differ from the next one's. With r the ratio and
        c̄ the mean count, an episode gets

            r + (total − r · count) / c̄

        These numbers have the mean r, and to first order the spread of the ratio (the delta method). Where all counts
        are equal they are total / count.

        Args:
            figure: `[seeds, episodes]`, or `[seeds, episodes, labels]` where the metric has an axis.

        Returns:
            By label the numbers, or by None where there is no axis. Labels that are never counted are left out, and
            optional ones that are rare.

        Raises:
            UserError: where nothing is counted, or the figure has other axes than the metric.
        """
        total, count = (np.asarray(part, dtype=np.float64) for part in (figure.total, figure.count))
        labels = (None,) if self.axis is None else self.axis.labels
        expected = total.shape[:2] if self.axis is None else (*total.shape[:2], len(labels))
        if total.ndim < 2 or total.shape != expected:
            raise bad(self.key, got=total.shape, expected="a figure of seeds, episodes and the labels of its axis")
        total, count = (part.reshape(*part.shape[:2], len(labels)) for part in (total, count))
        reduced = {
            label: _ratio(total[..., place], count[..., place])
            for place, label in enumerate(labels)
            if self._reported(label, count, place)
        }
        if not reduced:
            raise UserError(f"{self.key}: no episode counts towards it, so it has no value.")
        return reduced

    def _reported(self, label: Label | None, count: Float[np.ndarray, "seeds episodes labels"], place: int) -> bool:
        counted = count[..., place].sum()
        if self.axis is not None and label in self.axis.optional:
            return bool(counted > 0 and counted >= LEAST * count[..., 0].sum())
        return bool(counted > 0)


def _ratio(
    total: Float[np.ndarray, "seeds episodes"], count: Float[np.ndarray, "seeds episodes"]
) -> Float[np.ndarray, "seeds episodes"]:
    ratio = total.mean() / count.mean()
    return ratio + (total - ratio * count) / count.mean()


def over_steps(scores: Float[Array, "batch time"], mask: Bool[Array, "batch time"]) -> Figure:
    """Sums the scores of each sequence over its steps.

    Args:
        scores: one a step; those outside of the mask may be anything, NaN included.
        mask: steps that count.

    Returns:
        A figure `[batch]`.
    """
    kept = jnp.where(mask, scores, jnp.zeros_like(scores))
    return Figure(jnp.sum(kept, axis=1), jnp.sum(mask, axis=1, dtype=scores.dtype))


def by_label(
    scores: Float[Array, "batch time"], mask: Bool[Array, "batch time"], labels: Int[Array, "batch time"], axis: Axis
) -> Figure:
    """Sums the scores of each sequence, separately for each label of an axis.

    Args:
        scores: one a step; those outside of the mask may be anything, NaN included.
        mask: steps that count.
        labels: the label of each step, by `axis.values`: a whole number that is a label, or the position of a name.
            Steps with any other number count nowhere.
        axis: its labels.

    Returns:
        A figure `[batch, labels]`.
    """
    values = jnp.asarray(axis.values, labels.dtype)
    chosen = mask[..., None] & (labels[..., None] == values[None, None])
    kept = jnp.where(chosen, scores[..., None], jnp.zeros((), scores.dtype))
    return Figure(jnp.sum(kept, axis=1), jnp.sum(chosen, axis=1, dtype=scores.dtype))


def measured(
    metric: Metric,
    scores: Float[Array, "batch time"],
    mask: Bool[Array, "batch time"],
    labels: Int[Array, "batch time"],
) -> Figure:
    """The figure of a metric for each sequence: along its axis, if it has one, and over all steps otherwise."""
    return over_steps(scores, mask) if metric.axis is None else by_label(scores, mask, labels, metric.axis)


ACCURACY = Metric("accuracy", "share", (0.0, 1.0), larger_is_better=True)
LOG_LIKELIHOOD = Metric("log likelihood", "nats", None, larger_is_better=True)
LOSS = Metric("loss", "nats", None, larger_is_better=False)
