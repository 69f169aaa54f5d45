"""The learner of streams: a recurrent network that is shown each label one step late (mann section 2)."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num, PyTree

from .._checks import UserError, bad
from .._typing import Key, Scalar
from ..cells.base import AbstractCell, unroll
from ..cells.reversible import AbstractRewindableCell, unroll_batch
from ..models.heads import AbstractHead
from ..tasks.base import Examples, SequenceEpisode
from .base import AbstractLearner, LearnerState, Metrics
from .instances import named_rightly, of_instance

TRACKED = (1, 2, 5, 10)
"""Instances whose hits are told of every update, for the curves of mann Figure 2."""


class SequenceNetwork(eqx.Module):
    """Attributes: `cell`, on `[x_t; y_{t-1}]`; `head`, from the cell's output to the numbers of a distribution."""

    cell: AbstractCell
    head: AbstractHead


class Streamed(eqx.Module):
    """A network in the middle of a stream. Attributes: `network`; `state`, its cell's; `shown`, the label before."""

    network: SequenceNetwork
    state: PyTree
    shown: Float[Array, " target"]


class SequenceLearner(AbstractLearner[SequenceEpisode]):
    """Trains a network to name what comes, learning from what came: no weight changes within an episode.

    Attributes:
        build: `key → SequenceNetwork`, as configured.
        optimiser: the slow optimiser.
        labels: the target that stands for each class, `[way, target]`; None where targets are real numbers.
        instances: how many instances of a class are scored apart.
        lanes: how many memories outlive their episode, one for each episode of a training batch; they are in `running`.
            0: every episode starts from an empty memory. Controller and last read start anew in any case, and no
            gradient crosses from one episode to the next. An episode that is measured starts from a trained lane, the
            first of a batch from the first, as does a stream (`start`).
    """

    build: Any = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)
    labels: Float[Array, "way target"] | None
    instances: int = eqx.field(static=True, default=10)
    lanes: int = eqx.field(static=True, default=0)

    @property
    def judged_by(self) -> str:
        return "log_likelihood" if self.labels is None else "accuracy"

    def init(self, *, key: Key) -> LearnerState:
        network = self.build(key)
        if self.lanes and not hasattr(network.cell.init_state(), "memory"):
            raise bad("lanes", came=self.lanes, wanted=f"0, as {type(network.cell).__name__} has no memory to keep")
        # where nothing is tracked the axis is one by which repetitions can be counted once stacked
        running = fresh_states(network.cell, self.lanes).memory if self.lanes else jnp.zeros(0)
        return LearnerState(params=network, optimiser=self.optimiser.init(network), running=running)

    def update(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> tuple[LearnerState, Metrics]:
        """One slow step. Beside `loss` and `accuracy`, `hits_k` and `seen_k` tell of k-th instances an episode.

        Raises:
            UserError: another number of episodes than of lanes.
        """
        if self.lanes not in (0, batch := episodes.inputs.shape[0]):
            raise bad("lanes", came=self.lanes, wanted=f"0, or the {batch} episodes of a batch")

        def loss_of(network: SequenceNetwork) -> tuple[Scalar, tuple[Metrics, PyTree]]:
            outputs, states = self._outputs(network, state.running, episodes)
            surprise, hits, counted = _judged(network.head, outputs, episodes)
            # L(θ) = −Σ_t y_t^T log p_t, as a mean over steps                   (mann eq. 25, 26)
            loss = jnp.sum(surprise) / jnp.sum(counted)
            if self.labels is None:
                return loss, ({"loss": loss, "log_likelihood": -loss}, states)
            return loss, ({"loss": loss, **_told(hits, counted, episodes)}, states)

        gradients, (metrics, states) = eqx.filter_grad(loss_of, has_aux=True)(state.params)
        updates, optimiser = self.optimiser.update(cast(Any, gradients), state.optimiser, state.params)
        metrics["gradient_norm"] = optax.tree.norm(gradients)
        params = optax.apply_updates(state.params, updates)
        running = states.memory if self.lanes else state.running
        return LearnerState(params=params, optimiser=optimiser, running=running), metrics

    def start(self, state: LearnerState) -> Streamed:
        """The network before a stream: an empty memory, or the first of those that were kept; no label shown."""
        network = state.params
        shown = jnp.zeros(1 if self.labels is None else self.labels.shape[1])
        first = jax.tree.map(lambda leaf: leaf[0], self._first_states(network, state.running, 1))
        return Streamed(network, first, shown)

    def observe(
        self, streamed: Streamed, inputs: Num[Array, "time ..."], targets: Float[Array, "time target"]
    ) -> Streamed:
        """Goes on through a stream of inputs, each with its target."""
        network = streamed.network
        after, _ = unroll(network.cell, streamed.state, _rows(inputs, targets, streamed.shown))
        return Streamed(network, after, jnp.concatenate([streamed.shown[None], targets])[-1])

    def answer(self, streamed: Streamed, inputs: Num[Array, "query ..."]) -> Float[Array, "query outputs"]:
        """The distribution's numbers for each of some inputs, of which any might come next; none is remembered."""
        flat, network = inputs.reshape(inputs.shape[0], -1), streamed.network
        step = jax.vmap(lambda x: network.cell(streamed.state, jnp.concatenate([x, streamed.shown]))[1])
        return jax.vmap(network.head)(step(flat))

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Streamed:
        """Streams labelled examples.

        Raises:
            UserError: where targets are real numbers.
        """
        return self.observe(self.start(state), support.inputs, self._labels()[support.labels])

    def predict(self, adapted: Streamed, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        surprise = jax.vmap(adapted.network.head.surprise, (None, 0))
        return -jax.vmap(surprise, (0, None))(self.answer(adapted, inputs), self._labels())

    def _labels(self) -> Float[Array, "way target"]:
        if self.labels is None:
            raise UserError("SequenceLearner: real numbers have no classes; use `start`, `observe` and `answer`.")
        return self.labels

    def evaluate(
        self, state: LearnerState, episodes: SequenceEpisode, *, key: Key
    ) -> dict[str, Float[Array, "batch ..."]]:
        """Figures of each episode.

        Returns:
            `loss`, nats a step. Of classes also what `named_rightly` tells. Of real numbers also `log_likelihood`,
            minus the loss, and `surprise`, `[batch, time]`, nats at each step.
        """
        outputs, _ = self._outputs(state.params, state.running, episodes)
        surprise, hits, counted = _judged(state.params.head, outputs, episodes)
        steps = jnp.sum(counted, axis=1)
        loss = jnp.sum(surprise, axis=1) / steps
        if self.labels is None:
            return {"loss": loss, "log_likelihood": -loss, "surprise": surprise}
        return {"loss": loss, **named_rightly(hits, episodes, self.instances)}

    def _outputs(
        self, network: SequenceNetwork, running: PyTree, episodes: SequenceEpisode
    ) -> tuple[Float[Array, "batch time outputs"], PyTree]:
        """The distribution's numbers at each step, and the cell's states after the last."""
        nothing = jnp.zeros_like(episodes.targets[0, 0])
        rows = jax.vmap(_rows, (0, 0, None))(episodes.inputs, episodes.targets, nothing)
        states = self._first_states(network, running, rows.shape[0])
        states, ys = run_batch(network.cell, states, rows)
        return jax.vmap(jax.vmap(network.head))(ys), states

    def _first_states(self, network: SequenceNetwork, running: PyTree, batch: int) -> PyTree:
        """A cell's state before each sequence of a batch: its memory is empty, or one lane after the other."""
        states = fresh_states(network.cell, batch)
        if not self.lanes:
            return states
        lane = jnp.arange(batch) % self.lanes
        return eqx.tree_at(lambda s: s.memory, states, jax.tree.map(lambda leaf: leaf[lane], running))


def fresh_states(cell: AbstractCell, batch: int) -> PyTree:
    """A cell's first state, once for each sequence of a batch."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch, *leaf.shape)), cell.init_state())


def run_batch(
    cell: AbstractCell, states: PyTree, xs: Float[Array, "batch time in"]
) -> tuple[PyTree, Float[Array, "batch time out"]]:
    """Runs a batch of sequences, each from a state of its own; gives the last states and all outputs."""
    if isinstance(cell, AbstractRewindableCell):
        return unroll_batch(cell, states, xs)
    return jax.vmap(lambda state, x: unroll(cell, state, x))(states, xs)


def _told(hits: Array, counted: Array, episodes: SequenceEpisode) -> Metrics:
    """Share of all steps named rightly; and of k-th instances, hits and how many there were in an episode."""
    kth = of_instance(episodes, max(TRACKED), hits.dtype)
    told = {"accuracy": jnp.sum(hits) / jnp.sum(counted)}
    for k in TRACKED:  # apart, since a batch need not hold a k-th instance
        told[f"hits_{k}"] = jnp.mean(jnp.sum(hits * kth[..., k - 1], axis=1))
        told[f"seen_{k}"] = jnp.mean(jnp.sum(kth[..., k - 1], axis=1))
    return told


def _rows(
    inputs: Num[Array, "time ..."], targets: Float[Array, "time target"], shown: Float[Array, " target"]
) -> Float[Array, "time in"]:
    """`[x_t; y_{t-1}]`; before the first target comes what was `shown` last."""
    late = jnp.concatenate([shown[None], targets])[:-1]
    return jnp.concatenate([inputs.reshape(inputs.shape[0], -1), late], axis=1)


def _judged(head: AbstractHead, outputs: Array, episodes: SequenceEpisode) -> tuple[Array, Array, Array]:
    """Surprise and hits of each step, zero at padding, and a one for each step that counts."""
    counted = (episodes.instance > 0).astype(outputs.dtype)
    each = lambda f: jax.vmap(jax.vmap(f))(outputs, episodes.targets) * counted
    return each(head.surprise), each(head.hit), counted


__all__ = ["SequenceLearner", "SequenceNetwork", "Streamed", "fresh_states", "run_batch"]
