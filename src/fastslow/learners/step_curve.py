"""What a learner answers without an inner step and after each of several, on what it learned from and on the rest."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from .._typing import Key
from ..metrics import Axis, Figure, Metric
from ..tasks.base import Examples, FewShotEpisode
from ..tasks.paths import Path
from .base import Figures, LearnerState, Trainable

STEPS = "steps"
UNSEEN, LEARNED, BY_GROUP = "{}", "{} of tracks learned from", "{} after all steps"


class StepCurve(Trainable[FewShotEpisode]):
    """A learner of paths, measured after each inner step. What does not adapt step by step is measured once, after 1.

    Attributes:
        learner: what is measured: a `Stepwise`, an `Adaptable`, or a baseline that answers like the former.
        target: what it predicts.
        steps: the last number of steps.
        groups: the axis of the groups of queries; after all steps each is measured by itself.
    """

    learner: Any
    target: Path
    steps: int = eqx.field(static=True)
    groups: Axis = eqx.field(static=True)

    @property
    def monitor(self) -> Metric:
        return self.metrics[0]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(metric for name in (UNSEEN, LEARNED, BY_GROUP) for metric in self._named(name))

    def _named(self, name: str) -> list[Metric]:
        """The target's metrics as they are called here, along their axis."""
        axis = self.groups if name == BY_GROUP else Axis(STEPS, tuple(range(self.steps + 1)))
        return [replace(metric, name=name.format(metric.name), axis=axis) for metric in self.target.metrics]

    def init(self, *, key: Key) -> LearnerState:
        return self.learner.init(key=key)

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        return self.learner.update(state, episodes, key=key)

    def evaluate(self, state: LearnerState | None, episodes: FewShotEpisode, *, key: Key) -> Figures:
        return jax.vmap(lambda episode: self._of_one(state, episode, key))(episodes)

    def answers(
        self, state: LearnerState | None, support: Examples, x: Num[Array, "query ..."], key: Key
    ) -> Float[Array, "steps query answer"]:
        """The answers for some inputs after each number of steps."""
        learner = self.learner
        if not hasattr(learner, "after_each"):
            return learner.predict(learner.adapt(state, support, key=key), x)[None]
        adapted = learner.after_each(state, support, self.steps)
        arrays, rest = eqx.partition(adapted, eqx.is_array)
        each = lambda arrays: learner.predict(eqx.combine(arrays, rest), x)
        return jax.vmap(each, axis_size=self.steps + 1)(arrays)

    def _of_one(self, state: LearnerState | None, episode: FewShotEpisode, key: Key) -> Figures:
        both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), episode.support, episode.query)
        found = self.answers(state, episode.support, both.inputs, key)
        scores = jax.vmap(jax.vmap(self.target.scores), (0, None))(found, both.labels)
        cut, figures = len(episode.support.labels), {}
        values = jnp.asarray(self.groups.values, jnp.int32)
        groups = jnp.zeros(len(episode.query.labels), jnp.int32) if episode.groups is None else episode.groups
        chosen = groups[:, None] == values[None]
        named = zip(self.target.metrics, *map(self._named, (UNSEEN, LEARNED, BY_GROUP)), strict=True)
        for metric, unseen, learned, by_group in named:
            each = scores[metric.name]
            figures[unseen.key], figures[learned.key] = self._by_step(each[:, cut:]), self._by_step(each[:, :cut])
            total = jnp.sum(jnp.where(chosen, each[-1, cut:, None], 0), axis=0)
            figures[by_group.key] = Figure(total, jnp.sum(chosen, axis=0, dtype=each.dtype))
        return figures

    def _by_step(self, scores: Float[Array, "steps items"]) -> Figure:
        """Sums over examples; a learner that is measured once stands at step 1."""
        total, count = jnp.sum(scores, axis=1), jnp.full(scores.shape[0], scores.shape[1], scores.dtype)
        if len(scores) == self.steps + 1:
            return Figure(total, count)
        nothing = jnp.zeros(self.steps + 1, scores.dtype)
        return Figure(nothing.at[1].set(total[0]), nothing.at[1].set(count[0]))


__all__ = ["StepCurve"]
