"""Supervised learning of sequences: a network answers at each step, and what it is shown beside helps it to learn.

Where it is shown each target one step late, it learns the task of a sequence from the sequence itself (mann section 2).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num, PyTree

from .._checks import bad
from .._typing import Key, Scalar
from ..cells.unroll import unroll
from ..metrics import Metric
from ..models.base import AbstractModelConfig
from ..models.network import Network, initial_states
from ..tasks.base import Examples, Inputs, SequenceEpisode, TaskSpec
from .base import (
    AbstractLearnerConfig,
    Adaptable,
    Figures,
    LearnerState,
    Trainable,
    initial_state,
    norm,
    outer_step,
    value,
)
from .few_shot import track
from .sequences import sequence_figures, summed_figures
from .structure import kind_of, require


class Streamed(eqx.Module):
    """A network in the middle of a sequence.

    Attributes:
        network: as it was trained.
        state: of its cell.
        label: shown beside the next input.
        statistics: what its embedding normalises with.
    """

    network: Network
    state: PyTree
    label: Float[Array, " label"]
    statistics: Any


class SupervisedLearner(Trainable[SequenceEpisode], Adaptable):
    """Trains a network on whole sequences, its loss the mean over the steps of the loss mask.

    Attributes:
        build: `key → Network`, as configured.
        optimizer: of the outer loop.
        spec: the task.
        slots: batch slots whose memory persists from one episode to the next, one for each episode of a training batch;
            the memories are in `model_state`. 0: every episode starts from the initial memory. Controllers and the last
            read start fresh in any case, and no gradient crosses from one episode to the next. An episode that is
            measured starts from a trained slot's memory, the first of a batch from the first, as does `start`.
    """

    build: Any = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)
    spec: TaskSpec = eqx.field(static=True)
    slots: int = eqx.field(static=True, default=0)

    @property
    def monitor(self) -> Metric:
        return self.spec.monitor

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.spec.metrics

    def init(self, *, key: Key) -> LearnerState:
        network = self.build(key)
        memories = initial_states(network.cell, self.slots).memory if self.slots else None
        return initial_state(self.optimizer, network, (network.embed.neutral(), memories))

    def update(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        """One outer step.

        Raises:
            UserError: another number of episodes than of persistent memories.
        """
        if self.slots not in (0, batch := episodes.mask.shape[0]):
            raise bad("slots", got=self.slots, expected=f"0, or the {batch} episodes of a batch")

        def loss_of(network: Network) -> tuple[Scalar, tuple[Figures, Any, PyTree]]:
            outputs, used, states = self._outputs(network, state.model_state, episodes, training=True)
            figures = sequence_figures(self.spec, network.head, outputs, episodes)
            figures = summed_figures(self.spec, figures)
            # L(θ) = −Σ_t y_t^T log p_t, as a mean over steps                   (mann eq. 25, 26)
            task_loss = value(figures["loss"])
            own_loss = jnp.mean(jax.vmap(network.cell.own_loss, axis_size=batch)(states))
            return task_loss + own_loss, (figures, used, states)

        gradients, (figures, used, states) = eqx.filter_grad(loss_of, has_aux=True)(state.params)
        memories = states.memory if self.slots else None
        after = outer_step(self.optimizer, state, gradients, (track(state.model_state[0], used), memories))
        return after, {**figures, "gradient_norm": norm(gradients)}

    def evaluate(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> Figures:
        outputs, _, _ = self._outputs(state.params, state.model_state, episodes, training=False)
        return sequence_figures(self.spec, state.params.head, outputs, episodes)

    def start(self, state: LearnerState) -> Streamed:
        """The network before a sequence: its initial memory, or the first that persisted; no label shown yet."""
        statistics, memories = state.model_state
        states = self._first_states(state.params, memories, 1)
        first = jax.tree.map(lambda leaf: leaf[0], states)
        return Streamed(state.params, first, jnp.zeros(self.spec.label), statistics)

    def observe(self, streamed: Streamed, x: Num[Array, "time ..."], targets: Float[Array, "time label"]) -> Streamed:
        """Continues a sequence with inputs and their targets, each target shown with the next input."""
        network = streamed.network
        labels = jnp.concatenate([streamed.label[None], targets])
        rows = network.rows(network.embed(x, streamed.statistics)[0], labels[:-1])
        state = unroll(network.cell, streamed.state, rows)[0]
        return Streamed(network, state, labels[-1], streamed.statistics)

    def answer(self, streamed: Streamed, x: Num[Array, "query ..."]) -> Float[Array, "query outputs"]:
        """The head's outputs for some inputs, of which any might come next; none is remembered."""
        network = streamed.network
        features, _ = network.embed(x, streamed.statistics)
        labels = jnp.broadcast_to(streamed.label, (features.shape[0], streamed.label.shape[0]))
        return jax.vmap(lambda row: network.head(network.cell(streamed.state, row)[1]))(network.rows(features, labels))

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Streamed:
        """Streams labelled examples.

        Raises:
            UserError: targets are real numbers.
        """
        labels = self.spec.target.shown(support.labels)
        return self.observe(self.start(state), support.inputs, labels)

    def predict(self, adapted: Streamed, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        """Log-probability of each class."""
        nll = jax.vmap(adapted.network.head.nll, (None, 0))
        return -jax.vmap(nll, (0, None))(self.answer(adapted, inputs), self.spec.target.labels())

    def _outputs(
        self, network: Network, model_state: tuple[Any, PyTree], episodes: SequenceEpisode, *, training: bool
    ) -> tuple[Float[Array, "batch time outputs"], Any, PyTree]:
        """The head's outputs at each step, what the embedding normalised with, and the cell's states at the end."""
        inputs: Inputs = episodes.inputs
        batch, time = episodes.mask.shape
        flat = inputs.x.reshape(batch * time, *inputs.x.shape[2:])
        features, used = network.embed(flat, None if training else model_state[0])
        rows = jnp.concatenate([features.reshape(batch, time, -1), inputs.label], axis=2)
        states = self._first_states(network, model_state[1], batch)
        # what comes after the last step that is measured is padding
        alive = jnp.flip(jax.lax.cummax(jnp.flip(episodes.mask, 1).astype(jnp.int32), axis=1), 1) > 0
        run = lambda state, rows, alive: unroll(network.cell, state, rows, mask=alive if self.spec.padded else None)
        states, ys = jax.vmap(run)(states, rows, alive)
        return jax.vmap(jax.vmap(network.head))(ys), used, states

    def _first_states(self, network: Network, memories: PyTree, batch: int) -> PyTree:
        """A cell's state before each sequence of a batch: its memory is the initial one, or that of a batch slot."""
        states = initial_states(network.cell, batch)
        if not self.slots:
            return states
        slot = jnp.arange(batch) % self.slots
        return eqx.tree_at(lambda s: s.memory, states, jax.tree.map(lambda leaf: leaf[slot], memories))


def _build(model: AbstractModelConfig, spec: TaskSpec, key: Key) -> Network:
    return model.build(spec, key=key)


@dataclass(frozen=True)
class SupervisedConfig(AbstractLearnerConfig):
    """Whole sequences, a loss at the steps of the loss mask."""

    persistent: bool = False
    """Whether the memory outlives an episode in training; each episode of a batch has a memory of its own."""
    kind: Literal["supervised"] = "supervised"
    """Whole sequences; no weight changes within one."""

    @property
    def facts(self) -> dict[str, str | int | bool]:
        """What result rows state of the learner."""
        return {"protocol": "in-context", "transductive": False}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> SupervisedLearner:
        """Builds the learner.

        Raises:
            UserError: a task of other episodes, or a memory that is to persist where there is none.
        """
        spec.require("sequence", self.kind)
        built = require(model, spec, f"learner {self.kind}", "embed", "cell", "head")
        if spec.padded and jax.tree.leaves(eqx.filter_eval_shape(built.embed.neutral)):
            expected = "one without batch normalisation, such as flatten, where episodes are padded"
            raise bad("embed", got=kind_of(model, "embed"), expected=expected)
        if self.persistent and not hasattr(eqx.filter_eval_shape(built.cell.init_state), "memory"):
            expected = f"False, as cell {kind_of(model, 'cell')} has no memory to keep"
            raise bad("persistent", got=True, expected=expected)
        if self.persistent and spec.padded:
            raise bad("persistent", got=True, expected="False where episodes are padded, as padding would be kept")
        return SupervisedLearner(partial(_build, model, spec), optimizer, spec, batch if self.persistent else 0)


__all__ = ["Streamed", "SupervisedConfig", "SupervisedLearner"]
