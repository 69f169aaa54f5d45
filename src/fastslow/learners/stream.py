"""One stream's part of an update: what is embedded, and the segment that is learned from."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from .._typing import Key
from ..cells.context import ContextAndQueries, only_context
from ..memory.stored import StoredExamples
from ..models.network import Network
from ..synthetic.segment import Segment
from ..tasks.warp import warp
from .taught import state_after


def embedded(
    x: Num[Array, "streams time ..."], held: StoredExamples | None, key: Key, strength: float, *, again: bool
) -> Num[Array, "streams items ..."]:
    """What a step embeds of each stream: the held examples, the same changed a little, and the batch.

    Args:
        x: the batch of each stream.
        held: the held examples of each stream; `None` for none.
        key: randomness.
        strength: of the changes; 0 for none.
        again: whether it is a further step, in which the batch is changed, too.
    """
    key_held, key_batch = jax.random.split(key)

    def changed(images: Array, key: Key) -> Array:
        return warp(images.reshape(-1, *images.shape[2:]), key, strength).reshape(images.shape)

    if again and strength:
        x = changed(x, key_batch)
    if held is None:
        return x
    inputs = held.inputs.astype(x.dtype)
    return jnp.concatenate([inputs, changed(inputs, key_held) if strength else inputs, x], axis=1)


def segment_of(
    network: Network,
    memory: Any,
    held: StoredExamples | None,
    features: Float[Array, "items features"],
    targets: Float[Array, "time size"],
    mask: Bool[Array, " time"],
    *,
    replay: bool = True,
) -> Segment:
    """A stream's steps: the batch after what came before it, or, as queries, after the held examples.

    Held examples fill the memory; in a replay they are then queries, too.

    Args:
        network: reads them; a cell that takes labels at its write controller is shown them, no other is.
        memory: what the cell's memory held after the last batch, where no examples are held.
        held: the held examples.
        features: of what is embedded, see `embedded`.
        targets: of the batch.
        mask: which of the batch's examples there are.
        replay: whether held examples are queries, too.
    """
    shows = getattr(network.cell, "label_input", "none") == "write"

    def rows(features: Array, targets: Array) -> Array:
        return network.rows(features, targets if shows else None)

    if held is None:
        masks = only_context(mask)
        return Segment(only_context(rows(features, targets)), only_context(targets), masks, masks, memory)
    slots, learned = held.targets.shape[0], jnp.concatenate([held.filled & replay, mask])
    labels = ContextAndQueries(held.targets, jnp.concatenate([held.targets, targets]))
    inputs = ContextAndQueries(rows(features[:slots], labels.context), rows(features[slots:], labels.queries))
    loss_mask = ContextAndQueries(jnp.zeros_like(held.filled), learned)
    return Segment(inputs, labels, loss_mask, ContextAndQueries(held.filled, learned))


def state_for_tests(
    network: Network, memory: Any, held: StoredExamples | None, features: Float[Array, "slots features"] | None
) -> Any:
    """The cell's state that a stream's tests are read from.

    Args:
        network: as for `segment_of`.
        memory: likewise.
        held: likewise.
        features: of the held examples.
    """
    nothing = jnp.zeros((0, network.head.target.size)), jnp.zeros(0, bool)
    twice = jnp.zeros((0, network.embed.out_size)) if features is None else jnp.concatenate([features, features])
    return state_after(network, segment_of(network, memory, held, twice, *nothing))


__all__ = ["embedded", "segment_of", "state_for_tests"]
