"""MetaNet (Munkhdalai and Yu 2017): gradients of a support set become fast weights, mixed for each query.

θ is the base network, Q the network of keys; θ* and Q* are fast weights, which augment their layers.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Num

from .._checks import bad, check_integer, check_size
from .._typing import Key, Scalar
from ..models.augmented import AbstractAugmented, Weights
from ..models.base import AbstractModelConfig
from ..tasks.base import Examples, FewShotEpisode, TaskSpec
from .base import AbstractLearnerConfig, Figures, LearnerState, initial_state
from .coordinatewise import CoordinateLSTM, CoordinateMLP, Rules
from .few_shot import over_batch, query_figures
from .structure import structure
from .task_learner import TaskLearner, backpropagated

EPSILON = 1e-6
"""Added under the root of a cosine."""
MOST_CHUNKS = 1000


class Parameters(eqx.Module):
    """All that the outer loop learns.

    Attributes:
        base: θ; its layers are augmented by what is read for a query.
        key: Q; its layers are augmented by what a support set makes of it.
        base_rules: make θ*_i of the gradient of one item.
        key_rules: make Q* of the gradients of chunks of items.
    """

    base: AbstractAugmented
    key: AbstractAugmented
    base_rules: Rules
    key_rules: Rules


class Memory(eqx.Module):
    """What is kept of a support set.

    Attributes:
        fast_key: Q*.
        keys: k_i, one row an item.
        weights: θ*_i; every tensor has a leading axis of items.
    """

    fast_key: Weights
    keys: Float[Array, "*batch support hidden"]
    weights: Weights


class Adapted(eqx.Module):
    """A learner that has met a support set. Attributes: `params`, as trained; `memory`."""

    params: Parameters
    memory: Memory


class MetaNetLearner(TaskLearner):
    """Fast weights are functions of gradients, coordinate by coordinate; each query reads a mixture of its own.

    The gradients are those of the slow weights' loss, and the outer loop takes them as data. The readout of Q only
    makes gradients, so it stays as it was drawn. The loss is the sum over queries, its mean over the tasks of a batch.

    Differences from the authors' code, which has one task a batch: a support set that does not divide by five is cut
    into five chunks that are as equal as possible, where the code rounds the size of a chunk down and has up to nine; a
    set of fewer than five items, on which the code fails, has a chunk for each item; the coordinate-wise networks start
    smaller (see `coordinatewise`), and their LSTMs are drawn as all LSTMs here.
    """

    config: "MetaNetConfig" = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        key_base, key_key, *keys = jax.random.split(key, 6)
        base, of_keys = (self.model.build(self.spec, key=k) for k in (key_base, key_key))
        mlps = [CoordinateMLP(self.config.hidden, key=k) for k in keys[:2]]
        lstms = [CoordinateLSTM(self.config.hidden, key=k) for k in keys[2:]]
        return initial_state(self.optimizer, Parameters(base, of_keys, Rules(*mlps), Rules(*lstms)), ())

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        def loss_of(params: Parameters) -> tuple[Scalar, tuple[Figures, Any]]:
            figures = self._measured(params, episodes)
            # Σ_q CE, not the mean
            return jnp.mean(figures["loss"].total), (over_batch(figures), ())

        return backpropagated(self.optimizer, state, loss_of)

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> Figures:
        return self._measured(state.params, episodes)

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Adapted:
        """Makes fast weights and keys of a support set."""
        memory = self._memory(state.params, jax.tree.map(lambda leaf: leaf[None], support))
        return Adapted(state.params, jax.tree.map(lambda leaf: leaf[0], memory))

    def predict(self, adapted: Adapted, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        return self.spec.target.answer(answers(adapted.params, adapted.memory, inputs))

    def _measured(self, params: Parameters, episodes: FewShotEpisode) -> Figures:
        memory = self._memory(params, episodes.support)
        found = jax.vmap(partial(answers, params))(memory, episodes.query.inputs)
        return query_figures(self.spec.target, found, self.labels(episodes.query.labels))

    def _memory(self, params: Parameters, support: Examples) -> Memory:
        """What is kept of each support set of a batch; the rules run over all coordinates of all of them at once."""
        x, labels, items = support.inputs, self.labels(support.labels), support.labels.shape[1]
        alone, chunks = chunked(items, items), chunked(items, min(self.config.chunks, items))
        per_chunk = jax.vmap(partial(self._gradients, params.key, chunks), out_axes=1)(x, labels)
        per_item = jax.vmap(partial(self._gradients, params.base, alone))(x, labels)
        # XLA takes minutes to compile the rules as one with the last steps of the gradients
        per_chunk, per_item = jax.lax.optimization_barrier((per_chunk, per_item))
        # Q* = w · LSTM(pre(∇_Q CE)) + b, θ*_i = MLP(pre(∇_θ CE_i)), k_i = Q(x_i) + Q*(x_i)
        fast_key, weights = params.key_rules(per_chunk), params.base_rules(per_item)
        return Memory(fast_key, jax.vmap(params.key.keys)(x, fast_key), weights)

    def _gradients(
        self,
        network: AbstractAugmented,
        chunks: tuple[Int[np.ndarray, "chunks size"], Float[np.ndarray, "chunks size"]],
        x: Float[Array, "support ..."],
        labels: Float[Array, "support size_of_label"],
    ) -> Weights:
        """`∇ CE`, mean over each chunk, of the slow weights; data to the outer loop."""
        constant = jax.lax.stop_gradient(network)

        def of_chunk(members: Int[Array, " size"], shares: Float[Array, " size"]) -> Weights:
            def loss(network: AbstractAugmented) -> Scalar:
                outputs, _ = network.items(x[members], None)
                return shares @ jax.vmap(self.spec.target.nll)(outputs, labels[members])

            return eqx.filter_grad(loss)(constant).slow

        members, shares = chunks
        return jax.vmap(of_chunk)(jnp.asarray(members), jnp.asarray(shares, x.dtype))


def chunked(items: int, chunks: int) -> tuple[Int[np.ndarray, "chunks size"], Float[np.ndarray, "chunks size"]]:
    """Cuts items into chunks that are as equal as possible, in their order.

    Returns:
        The items of each chunk, a shorter one filled up with its last item, and the share of each in its chunk's mean.
    """
    parts = np.array_split(np.arange(items), chunks)
    size = len(parts[0])
    members = [np.pad(part, (0, size - len(part)), mode="edge") for part in parts]
    shares = [(np.arange(size) < len(part)) / len(part) for part in parts]
    return np.stack(members), np.stack(shares)


def answers(params: Parameters, memory: Memory, x: Float[Array, "query ..."]) -> Float[Array, "query outputs"]:
    """The numbers of the distribution for each query, by fast weights of its own."""
    a = jax.nn.softmax(cosines(params.key.keys(x, memory.fast_key), memory.keys), axis=1)  # softmax_i cos(k_q, k_i)
    fast = jax.tree.map(lambda w: jnp.tensordot(a, w, 1), memory.weights)  # θ*_q = Σ_i a_i θ*_i
    return params.base.augmented(x, fast)


def cosines(
    queries: Float[Array, "query hidden"], keys: Float[Array, "support hidden"]
) -> Float[Array, "query support"]:
    """`cos(k_q, k_i) = k_qᵀ k_i / √(‖k_q‖² ‖k_i‖² + 1e-6)`."""
    lengths = jnp.sum(queries**2, axis=1)[:, None] * jnp.sum(keys**2, axis=1)[None]
    return queries @ keys.T / jnp.sqrt(lengths + EPSILON)


@dataclass(frozen=True)
class MetaNetConfig(AbstractLearnerConfig):
    """Gradients of a support set become fast weights, mixed for each query by its similarity to the items."""

    hidden: int = 20
    """Units of the coordinate-wise networks that make fast weights of gradients."""
    chunks: int = 5
    """Parts of the support set whose gradients the network of keys reads one after the other."""
    kind: Literal["metanet"] = "metanet"
    """Fast weights from gradients, mixed for each query."""

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        return {"protocol": self.kind, "transductive": False}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> MetaNetLearner:
        """Builds the learner.

        Raises:
            UserError: a number that is none, a task without support sets, or a model whose layers take no fast weights.
        """
        del batch
        check_size("hidden", self.hidden)
        check_integer("chunks", self.chunks, most=MOST_CHUNKS, reason="the gradients of all of them are kept")
        spec.require("few-shot", self.kind)
        if not hasattr(structure(model, spec), "augmented"):
            raise bad("model", got=model.kind, expected=f"augmented, whose layers take the fast weights of {self.kind}")
        return MetaNetLearner(model, optimizer, self, spec)


__all__ = ["MetaNetConfig", "MetaNetLearner"]
