"""Learning from streams, a batch an update: weights and memory are carried on, and rare classes are to stay known."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num

from .._checks import bad, check_choice, check_integer, check_real
from .._typing import Key, Scalar
from ..memory.labelled import KEEP, Keep
from ..memory.stored import no_examples, store
from ..metrics import Metric
from ..models.base import AbstractModelConfig
from ..models.network import initial_states
from ..synthetic.regimes import FeedbackConfig
from ..tasks.base import Examples, Inputs, SequenceEpisode, TaskSpec
from ..tasks.targets import Categorical
from .base import (
    AbstractLearnerConfig,
    Figures,
    LearnerState,
    Stepwise,
    Trainable,
    initial_state,
    norm,
    one,
    outer_step,
    value,
)
from .few_shot import track
from .inner_loop import each_step
from .parameters import fresh_parameters
from .readout import READOUTS, Readout, fresh_confidence, noted, read_out
from .sequences import sequence_figures, summed_figures
from .stream import Carried, embedded, features_of, learned_inputs, segment_of, state_for_tests
from .structure import kind_of, require, require_controllers
from .taught import Taught, gradient_figures, stepped, surprise_of, taught

MOST_STEPS, MOST_SLOTS, MOST_WARP = 1000, 4096, 10
USUAL = 100
"""Updates over which surprise is averaged; before there were as many, none is surprising."""


class OnlineLearner(Trainable[SequenceEpisode], Stepwise):
    """Trains a network on streams, every example once; the episodes of a batch continue a stream each.

    Without held examples a batch passes through the cell, one example after the other, and the memory that it leaves
    is carried on. With them the memory is written from the held examples before a batch is read, so that what it holds
    is never older than the weights. In a replay they are also learned again together with the batch; these copies are
    changed a little, because the memory holds the unchanged ones.

    Normalisation takes the statistics of what is learned from, padding included; a task should fill it with examples.

    A batch is surprising where the gradient at the controllers' outputs is several times as large as usual: the
    synthetic gradient, or the true one without predictors. It is learned from again, in several steps, each example
    changed a little; normalisation then uses the running statistics.

    Attributes:
        model: builds the network.
        optimizer: of the steps.
        config: the learner's settings.
        spec: the task.
        streams: side by side. An episode that is measured reads the memory of a stream, the first that of the first.
    """

    model: AbstractModelConfig = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)
    config: "OnlineConfig" = eqx.field(static=True)
    spec: TaskSpec = eqx.field(static=True)
    streams: int = eqx.field(static=True)

    @property
    def monitor(self) -> Metric:
        return self.spec.monitor

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.spec.metrics

    def init(self, *, key: Key) -> LearnerState:
        params = fresh_parameters(self.model, self.spec, self.config.feedback, key=key)
        network, classes, zero = params.network, self.spec.target.size, jnp.zeros(())
        memory = held = confidence = None
        if self.config.slots:
            empty = no_examples(self.config.slots, self.spec.shape, classes)
            held = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.streams, *leaf.shape)), empty)
            confidence = fresh_confidence(classes)
        else:
            memory = getattr(initial_states(network.cell, self.streams), "memory", None)
        carried = Carried(network.embed.neutral(), memory, held, confidence, zero, zero)
        return initial_state(self.optimizer, params, carried)

    def update(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        """One step on a batch, or several.

        Raises:
            UserError: another number of episodes than of streams.
        """
        if self.streams != (batch := episodes.mask.shape[0]):
            raise bad("streams", got=self.streams, expected=f"the {batch} episodes of a batch")
        key_first, key_more = jax.random.split(key)
        before: Carried = state.model_state
        after, found, outputs = self._step(state, episodes, key_first, again=False)
        surprise = value(found["surprise"])
        surprising = (before.updates >= USUAL) & (surprise > self.config.surprise * before.usual)
        if self.config.steps > 1:
            more = partial(self._more, episodes, key_more)
            after = jax.lax.cond(surprising, more, lambda s: s, after)
        again = jnp.where(surprising, self.config.steps - 1, 0).astype(surprise.dtype)
        carried = self._carried(after.model_state, episodes, outputs, surprise)
        return LearnerState(after.params, after.opt_state, carried), {**found, "further_steps": one(again)}

    def evaluate(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> Figures:
        """All examples of an episode are read from the same memory, and change nothing."""
        stream = jnp.arange(episodes.mask.shape[0]) % self.streams
        outputs = self._answers(state, stream, episodes.inputs.x)
        return sequence_figures(self.spec, state.params.network.head, outputs, episodes)

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> LearnerState:
        """Learns from further examples as from a batch of the stream, which all streams meet.

        The optimizer starts from its first state, with the rate of the first update.
        """
        return self._further(self._restarted(state), support, key)

    def after_each(self, state: LearnerState, support: Examples, steps: int) -> LearnerState:
        """The state without a step and after each of several updates on the same examples."""
        step = lambda state, key: self._further(state, support, key)
        return each_step(step, self._restarted(state), jax.random.split(jax.random.key(0), steps))

    def _restarted(self, state: LearnerState) -> LearnerState:
        return initial_state(self.optimizer, state.params, state.model_state)

    def _further(self, state: LearnerState, support: Examples, key: Key) -> LearnerState:
        labels = self.spec.target.shown(support.labels)
        there = jnp.ones(labels.shape[0], bool)
        one = SequenceEpisode(Inputs(support.inputs, labels[:, :0]), labels, there, there.astype(jnp.int32))
        batch = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.streams, *leaf.shape)), one)
        return self.update(state, batch, key=key)[0]

    def predict(self, adapted: LearnerState, inputs: Num[Array, "query ..."]) -> Float[Array, "query answer"]:
        return self.spec.target.answer(self._answers(adapted, jnp.zeros(1, int), inputs[None])[0])

    def _answers(self, state: LearnerState, stream: Array, x: Num[Array, "batch time ..."]) -> Array:
        """The head's outputs for inputs that read the memories of some streams."""
        network, carried = state.params.network, state.model_state
        features, _ = embedded(network.embed, x, carried.statistics)
        held = None if carried.held is None else embedded(network.embed, carried.held.inputs, carried.statistics)[0]
        memories = jax.vmap(partial(state_for_tests, network), axis_size=self.streams)(
            carried.memory, carried.held, held
        )

        def answers(stream: Array, features: Array) -> Array:
            memory, kept, seen = jax.tree.map(lambda leaf: leaf[stream], (memories, carried.held, held))
            outputs = jax.vmap(lambda row: network.head(network.cell(memory, row)[1]))(network.rows(features))
            if kept is None or carried.confidence is None:
                return outputs
            return read_out(self.config.answer, outputs, features, seen, kept, carried.confidence)

        return jax.vmap(answers)(stream, features)

    def _more(self, episodes: SequenceEpisode, key: Key, state: LearnerState) -> LearnerState:
        """The further steps on a surprising batch."""

        def step(index: Array, state: LearnerState) -> LearnerState:
            return self._step(state, episodes, jax.random.fold_in(key, index), again=True)[0]

        return jax.lax.fori_loop(1, self.config.steps, step, state)

    def _step(
        self, state: LearnerState, episodes: SequenceEpisode, key: Key, *, again: bool
    ) -> tuple[LearnerState, Figures, Array]:
        """One step on a batch and the held examples: the state, figures, and the outputs for the batch."""
        params, carried = state.params, state.model_state
        network, (batch, time) = params.network, episodes.mask.shape
        config, held = self.config, carried.held
        new = learned_inputs(episodes.inputs.x, held, key, config.warp, again=again, replay=config.replay)
        weights, rest = eqx.partition(network.embed, eqx.is_inexact_array)
        given = carried.statistics if again else None
        both, pull, used = jax.vjp(lambda w: features_of(eqx.combine(w, rest), new, held, given), weights, has_aux=True)

        def of_one(both: Any, memory: Any, held: Any, targets: Array, mask: Array) -> Taught:
            seen, features = both
            segment = segment_of(network, memory, held, seen, features, targets, mask)
            return taught(params, segment, config.feedback)

        found = jax.vmap(of_one)(both, carried.memory, held, episodes.targets, episodes.mask)
        rows = found.rows[..., : network.embed.out_size] / batch
        seen = None if held is None else rows[:, : config.slots]
        gradients, local = jax.tree.map(lambda g: jnp.mean(g, 0), (found.gradients, found.local))
        (to_embed,) = pull((seen, rows[:, 0 if held is None else config.slots :]))
        gradients = eqx.tree_at(lambda p: p.network.embed, gradients, to_embed)
        statistics = carried.statistics if again else track(carried.statistics, used)
        memory = None if carried.memory is None else found.memory
        carried = replace(carried, statistics=statistics, memory=memory)
        after = stepped(outer_step(self.optimizer, state, gradients, carried), local)
        outputs = found.outputs[:, -time:]
        figures = summed_figures(self.spec, sequence_figures(self.spec, network.head, outputs, episodes))
        met = jax.tree.map(lambda norms: norms[:, -time:], found.met)
        figures |= {"gradient_norm": norm(gradients), "surprise": surprise_of(met, episodes.mask)}
        return after, {**figures, **gradient_figures(met, episodes.mask)}, outputs

    def _carried(self, after: Carried, episodes: SequenceEpisode, outputs: Array, surprise: Scalar) -> Carried:
        """With one batch more."""
        decay = jnp.minimum(after.updates / (after.updates + 1), 1 - 1 / USUAL)
        after = replace(after, usual=decay * after.usual + (1 - decay) * surprise, updates=after.updates + 1)
        if after.held is None or after.confidence is None:
            return after
        write = partial(store, keep=self.config.keep)
        held = jax.vmap(write)(after.held, episodes.inputs.x, episodes.targets, episodes.mask)
        return replace(after, held=held, confidence=noted(after.confidence, outputs, episodes.targets, episodes.mask))


@dataclass(frozen=True)
class OnlineConfig(AbstractLearnerConfig):
    """A stream, every batch once; weights and memory are carried on."""

    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    """Which gradients the controllers follow."""
    slots: int = 0
    """Examples that are held, read as the memory's content and learned again with each batch. 0: none, and what the
    cell's memory holds is carried on."""
    keep: Keep = "class-balanced"
    """What is evicted where no slot is left. least-used: the oldest example; class-balanced: the oldest of the class
    that holds most slots."""
    replay: bool = True
    """Whether held examples are learned again with each batch."""
    steps: int = 1
    """Steps on a surprising batch; 1: as on any other."""
    surprise: float = 4.0
    """How many times their usual size the gradients at the controllers' outputs have in a surprising batch, synthetic
    ones where there are predictors."""
    warp: float = 0.0
    """Strength of random affine changes of held examples, and of a surprising batch in its further steps."""
    answer: Readout = "network"
    """Who answers in a test. network: the head; slots: the nearest held example; gated: the head where it is as
    confident as on 99 of 100 examples of the stream, else the nearest held example of a class that rarely came."""
    kind: Literal["online"] = "online"
    """A stream, every batch once; weights and memory are carried on."""

    @property
    def facts(self) -> dict[str, str | int | bool]:
        return {"protocol": self.kind, "regime": self.feedback.regime, "transductive": False}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> OnlineLearner:
        """Builds the learner.

        Raises:
            UserError: choices that do not go together, or a task that does not fit them.
        """
        self._check()
        spec.require("sequence", self.kind)
        if self.slots and not isinstance(spec.target, Categorical):
            raise bad("slots", got=self.slots, expected=f"0, as task {spec.kind} has no classes to keep examples of")
        if self.warp and len(spec.shape) != 2:
            raise bad("warp", got=self.warp, expected=f"0, as task {spec.kind} has no images")
        cell = require(model, spec, f"learner {self.kind}", "embed", "cell", "head").cell
        label_input = getattr(cell, "label_input", "none")
        if label_input == "input":
            raise bad("label_input", got=label_input, expected="none or write, so that no answer sees its own label")
        if self.slots and hasattr(eqx.filter_eval_shape(cell.init_state), "memory") and label_input != "write":
            expected = "a cell that takes labels at its write controller, where examples are held"
            raise bad("cell", got=kind_of(model, "cell"), expected=expected, hint="use nmn with label_input write")
        if self.feedback.predicts:
            require_controllers(model, spec, f"regime {self.feedback.regime}")
        return OnlineLearner(model, optimizer, self, spec, batch)

    def _check(self) -> None:
        self.feedback.check()
        check_integer("slots", self.slots, least=0, most=MOST_SLOTS, reason="all are learned again with each batch")
        check_choice("keep", self.keep, KEEP)
        check_integer("steps", self.steps, most=MOST_STEPS, reason="they follow each other in one update")
        check_real("surprise", self.surprise)
        if not 0 <= self.warp <= MOST_WARP:
            raise bad("warp", got=self.warp, expected=f"a number from 0 to {MOST_WARP}")
        check_choice("answer", self.answer, READOUTS)
        if self.answer != "network" and not self.slots:
            raise bad("answer", got=self.answer, expected="network, where no examples are held", hint="use slots 10")
        if self.feedback.regime == "meta":
            expected = "true, both or synthetic, as no inner steps on weights are taken here"
            raise bad("regime", got="meta", expected=expected)


__all__ = ["OnlineConfig", "OnlineLearner"]
