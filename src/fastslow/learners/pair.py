"""Two networks, one for each kind of a stream's batches, with one set of predictors or two (fast-slow Figures 8, 9)."""

from dataclasses import dataclass, field
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from .._checks import bad, check_choice
from .._typing import Key
from ..metrics import Figure, Metric
from ..models.base import AbstractModelConfig
from ..synthetic.regimes import FeedbackConfig
from ..tasks.base import SequenceEpisode, TaskSpec
from .base import AbstractLearnerConfig, Figures, LearnerState, Trainable
from .online import OnlineConfig, OnlineLearner

Predictors = Literal["shared", "separate"]
PREDICTORS: tuple[Predictors, ...] = ("shared", "separate")


class PairLearner(Trainable[SequenceEpisode]):
    """Each network has its own embedding, memory, controllers and head, and learns from batches of its kind alone.

    Shared predictors are trained by both networks' true gradients; the optimizer's moments of them are shared, too.
    Every array of the state has a leading axis of two networks.

    Attributes:
        one: the learner of one network.
        predictors: whether there is one set of predictors.
    """

    one: OnlineLearner
    predictors: Predictors = eqx.field(static=True)

    @property
    def monitor(self) -> Metric:
        return self.one.monitor

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.one.metrics

    def init(self, *, key: Key) -> LearnerState:
        each = [self.one.init(key=k) for k in jax.random.split(key)]
        both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
        return self._shared(both, each[0])

    def update(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        """One step of the network whose batch this is; the other one stays as it is. A batch is all of one kind."""
        which = episodes.axis_index.reshape(-1)[0]
        before = jax.tree.map(lambda leaf: leaf[which], state)
        after, figures = self.one.update(before, episodes, key=key)
        both = jax.tree.map(lambda leaf, new: leaf.at[which].set(new), state, after)
        return self._shared(both, after), figures

    def evaluate(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> Figures:
        """Each example is answered by the network of its kind."""
        found: list[Figures] = []
        for network in range(2):
            own = eqx.tree_at(lambda e: e.mask, episodes, episodes.mask & (episodes.axis_index == network))
            found.append(self.one.evaluate(jax.tree.map(lambda leaf, n=network: leaf[n], state), own, key=key))
        add = lambda a, b: Figure(a.total + b.total, a.count + b.count)
        return {name: add(found[0][name], found[1][name]) for name in found[0]}

    def _shared(self, both: LearnerState, one: LearnerState) -> LearnerState:
        """Both states, with the predictors of one of them where they are shared."""
        if self.predictors == "separate":
            return both

        def chosen(path: tuple, leaf: Array, new: Array) -> Array:
            of_predictors = any(getattr(part, "name", None) == "predictors" for part in path)
            return jnp.broadcast_to(new, leaf.shape) if of_predictors else leaf

        return jax.tree_util.tree_map_with_path(chosen, both, one)


@dataclass(frozen=True)
class PairConfig(AbstractLearnerConfig):
    """Two networks on a stream of two kinds, with predictors that are shared or separate."""

    feedback: FeedbackConfig = field(default_factory=lambda: FeedbackConfig("both", regression=1.0))
    """Which gradients the controllers follow."""
    predictors: Predictors = "shared"
    """shared: one set for both networks, trained by both; separate: one set each."""
    kind: Literal["pair"] = "pair"
    """Two networks on a stream of two kinds of batches."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        facts = OnlineConfig(self.feedback).facts
        return {**facts, **({"predictors": self.predictors} if self.feedback.predicts else {})}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> PairLearner:
        """Builds the learner.

        Raises:
            UserError: a choice that does not exist, or a task whose batches are not of two kinds.
        """
        self.feedback.check()
        check_choice("predictors", self.predictors, PREDICTORS)
        if self.predictors == "shared" and not self.feedback.predicts:
            raise bad("predictors", got="shared", expected=f"separate, as regime {self.feedback.regime} has none")
        spec.require("sequence", self.kind)
        kinds = next((metric.axis for metric in spec.metrics if metric.axis is not None), None)
        if kinds is None or len(kinds.labels) != 2:
            expected = "another one, as it needs a task whose batches are of two kinds, such as tracks-in-turn"
            raise bad("learner", got=self.kind, expected=expected)
        one = OnlineConfig(self.feedback).build(model, spec, optimizer, batch=batch)
        return PairLearner(one, self.predictors)


__all__ = ["PairConfig", "PairLearner"]
