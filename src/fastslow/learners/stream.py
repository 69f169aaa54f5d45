"""What a stream carries from update to update, and what one update embeds and learns from."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from .._typing import Key, Scalar
from ..cells.context import ContextAndQueries, joined, only_context
from ..cells.controlled import AbstractControlledCell
from ..memory.stored import StoredExamples
from ..models.embedding import AbstractEmbedding
from ..models.network import Network
from ..synthetic.perturbations import traced_walk
from ..synthetic.segment import Segment
from ..tasks.base import SequenceEpisode
from ..tasks.warp import warp
from .readout import Confidence
from .taught import state_after


class Carried(eqx.Module):
    """What an update hands to the next one, beside weights.

    Attributes:
        statistics: of the embedding's normalisation.
        memory: the cell's after the last batch, for each stream; `None` where it is written from held examples, or
            there is none.
        held: the examples of each stream that are held; `None` for none.
        confidence: what the network's confidence usually is; `None` where no examples are held.
        usual: running mean of surprise.
        updates: until now.
    """

    statistics: Any
    memory: Any
    held: StoredExamples | None
    confidence: Confidence | None
    usual: Scalar
    updates: Scalar


def learned_inputs(
    x: Num[Array, "streams time ..."],
    held: StoredExamples | None,
    key: Key,
    strength: float,
    *,
    again: bool,
    replay: bool,
) -> Num[Array, "streams items ..."]:
    """What a step learns from in each stream: in a replay the held examples, a little changed, and then the batch.

    Args:
        x: the batch of each stream.
        held: the held examples of each stream; `None` for none.
        key: randomness.
        strength: of the changes; 0 for none.
        again: whether it is a further step, in which the batch is changed, too.
        replay: whether held examples are learned again.
    """
    key_held, key_batch = jax.random.split(key)

    def changed(images: Array, key: Key) -> Array:
        return warp(images.reshape(-1, *images.shape[2:]), key, strength).reshape(images.shape) if strength else images

    if again:
        x = changed(x, key_batch)
    if held is None or not replay:
        return x
    return jnp.concatenate([changed(held.inputs.astype(x.dtype), key_held), x], axis=1)


def embedded(
    embed: AbstractEmbedding, x: Num[Array, "streams items ..."], given: Any | None
) -> tuple[Float[Array, "streams items features"], Any]:
    """Features of the items of all streams, and the statistics that they were normalised with."""
    features, used = embed(x.reshape(-1, *x.shape[2:]), given)
    return features.reshape(*x.shape[:2], -1), used


def features_of(
    embed: AbstractEmbedding, new: Num[Array, "streams items ..."], held: StoredExamples | None, given: Any | None
) -> tuple[tuple[Any, Float[Array, "streams items features"]], Any]:
    """Features of the held examples, `None` for none, and of what is learned from, by the latter's statistics.

    Args:
        embed: the embedding.
        new: what is learned from.
        held: the held examples.
        given: statistics to normalise with; `None` takes those of what is learned from.
    """
    features, used = embedded(embed, new, given)
    seen = None if held is None else embedded(embed, held.inputs.astype(new.dtype), used)[0]
    return (seen, features), used


def segment_of(
    network: Network,
    memory: Any,
    held: StoredExamples | None,
    seen: Float[Array, "slots features"] | None,
    features: Float[Array, "items features"],
    targets: Float[Array, "time size"],
    mask: Bool[Array, " time"],
) -> Segment:
    """A stream's steps: the batch after what came before it, or, as queries, after the held examples.

    Held examples fill the memory; in a replay they are queries, too.

    Args:
        network: reads them; a cell that takes labels at its write controller is shown them, no other is.
        memory: what the cell's memory held after the last batch, where no examples are held.
        held: the held examples.
        seen: their features.
        features: of what is learned from, see `learned_inputs`.
        targets: of the batch.
        mask: which of the batch's examples there are.
    """
    shows = getattr(network.cell, "label_input", "none") == "write"

    def rows(features: Array, targets: Array) -> Array:
        return network.rows(features, targets if shows else None)

    if held is None or seen is None:
        masks = only_context(mask)
        return Segment(only_context(rows(features, targets)), only_context(targets), masks, masks, memory)
    if len(features) > len(targets):
        targets, mask = jnp.concatenate([held.targets, targets]), jnp.concatenate([held.filled, mask])
    inputs = ContextAndQueries(rows(seen, held.targets), rows(features, targets))
    loss_mask = ContextAndQueries(jnp.zeros_like(held.filled), mask)
    return Segment(inputs, ContextAndQueries(held.targets, targets), loss_mask, ContextAndQueries(held.filled, mask))


def state_for_tests(
    network: Network, memory: Any, held: StoredExamples | None, seen: Float[Array, "slots features"] | None
) -> Any:
    """The cell's state that a stream's tests are read from.

    Args:
        network: as for `segment_of`.
        memory: likewise.
        held: likewise.
        seen: likewise.
    """
    size = network.head.target.size
    features, targets, mask = jnp.zeros((0, network.embed.out_size)), jnp.zeros((0, size)), jnp.zeros(0, bool)
    return state_after(network, segment_of(network, memory, held, seen, features, targets, mask))


def attention(network: Network, carried: Carried, episode: SequenceEpisode) -> Float[Array, "time slots"]:
    """Attention over the slots of the first stream's memory as a batch passes it: where each example reads.

    Args:
        network: reads the memory; its cell has controllers.
        carried: what the stream has carried on.
        episode: the batch of one stream.
    """
    memory, held = jax.tree.map(lambda leaf: leaf[0], (carried.memory, carried.held))
    features = lambda x: embedded(network.embed, x[None], carried.statistics)[0][0]
    seen = None if held is None else features(held.inputs)
    given = (features(episode.inputs.x), episode.targets, episode.mask)
    segment, cell = segment_of(network, memory, held, seen, *given), cast(AbstractControlledCell, network.cell)
    _, traces = traced_walk(cell, segment.start(cell), segment.inputs, alive=segment.kept)
    return joined(traces).scores[-episode.mask.shape[0] :]


__all__ = ["Carried", "attention", "embedded", "features_of", "learned_inputs", "segment_of", "state_for_tests"]
