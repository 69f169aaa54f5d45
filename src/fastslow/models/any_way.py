"""The neural memory network for any number of classes: labelled slots that vote, a decoder column for each class."""

from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import check_choice, check_integer, check_size
from .._typing import Key, Scalar
from ..cells.lstm import LSTM
from ..cells.nmn import Controllers
from ..memory.labelled import KEEP, Keep, LabelledSlots, kept_items, read
from ..tasks.base import TaskSpec
from .base import AbstractModelConfig
from .conv import ConvConfig
from .embedding import AbstractEmbedding, AbstractEmbeddingConfig

Start = Literal["memory", "alike"]
NEARNESS = 0.1
"""Weight of the squared distance to a class's mean before training; prototypes have 1."""
ABSENT_VOTE = -4.6
"""The logarithm of the vote of a class that no slot holds, before training: about that of 1 %."""


class FastWeights(eqx.Module):
    """What an inner step changes.

    Attributes:
        output: the output controller, `f_o`.
        write: the write controller, `f_w`.
        decoder: `f_D`, a column for each class.
    """

    output: LSTM
    write: LSTM
    decoder: Float[Array, "classes width"]


class AnyWay(eqx.Module):
    """Three controllers around labelled slots; nothing in it knows the number of classes.

    Every item is read and written from fresh controllers. The label enters at the write controller, as a fixed random
    vector of unit length that belongs to the class's number. The logits are the decoder's, `D m`, plus `g` times the
    logarithm of the memory's vote.

    Attributes:
        embed: `f_E`.
        controllers: `f_r`, `f_o`, `f_w`.
        log_temperature: logarithm of the factor on the cosine.
        gain: `g`, weight of the vote.
        absent: the logarithm of the vote of a class that no slot holds.
        start: the decoder's column of every class before the first inner step.
        from_values: a map of the mean value that the memory holds of a class, added to its column; `None` for nothing.
        nearness: weight of the squared distance to a class's mean feature vector; `None` without this term.
        slots: `l`.
        keep: which items stay where slots are missing.
    """

    embed: AbstractEmbedding
    controllers: Controllers
    log_temperature: Scalar
    gain: Scalar
    absent: Scalar
    start: Float[Array, " width"]
    from_values: Float[Array, "width width"] | None
    nearness: Scalar | None
    slots: int = eqx.field(static=True)
    keep: Keep = eqx.field(static=True)

    @property
    def width(self) -> int:
        return self.start.shape[0]

    def queries(self, features: Float[Array, "items features"]) -> Float[Array, "items width"]:
        """`q` of each item                                     (fast-slow eq. 2)."""
        return _fresh(self.controllers.input, features)

    def written(
        self, fast: FastWeights, queries: Float[Array, "items width"], labels: Int[Array, " items"]
    ) -> LabelledSlots:
        """The memory after a support set: keys `q_i`, values `f_w([m_i; code_i])`; `m_i` reads nothing (eq. 5, 6)."""
        items = kept_items(labels, self.slots, self.keep)
        q, y = queries[items], labels[items]
        m = _fresh(fast.output, jnp.concatenate([jnp.zeros_like(q), q], axis=1))
        codes = jnp.asarray(label_codes(fast.decoder.shape[0], self.width, q.dtype))
        values = _fresh(fast.write, jnp.concatenate([m, codes[y]], axis=1))
        return LabelledSlots(q, values, y, items)

    def fast_weights(
        self, queries: Float[Array, "items width"], labels: Int[Array, " items"], classes: int
    ) -> FastWeights:
        """Where inner steps start from: the controllers as trained, and a decoder by what the memory holds."""
        columns = jnp.broadcast_to(self.start, (classes, self.width))
        fast = FastWeights(self.controllers.output, self.controllers.write, columns)
        if self.from_values is None or self.slots == 0:
            return fast
        memory = self.written(fast, queries, labels)
        means = _class_means(memory.values, memory.labels, classes)
        return eqx.tree_at(lambda f: f.decoder, fast, columns + means @ self.from_values.T)

    def answer(
        self,
        fast: FastWeights,
        memory: LabelledSlots,
        query: Float[Array, " width"],
        without: Int[Array, ""] | None = None,
    ) -> tuple[Float[Array, " classes"], Float[Array, " classes"]]:
        """Logits of one item, and the logarithm of the memory's vote.

        Args:
            fast: the fast weights.
            memory: what is read.
            query: `q`.
            without: a support item whose own slot is not read.
        """
        classes = fast.decoder.shape[0]
        content, log_vote = read(memory, query, jnp.exp(self.log_temperature), classes, self.absent, without)
        m = _fresh(fast.output, jnp.concatenate([content, query])[None])[0]
        return fast.decoder @ m + self.gain * log_vote, log_vote

    def near(
        self,
        features: Float[Array, "items features"],
        support: Float[Array, "support features"],
        labels: Int[Array, " support"],
        classes: int,
    ) -> Float[Array, "items classes"]:
        """The term of the logits by distance to each class's mean feature vector; zeros without it.

        Inner steps do not change it, and do not see it.
        """
        if self.nearness is None:
            return jnp.zeros((features.shape[0], classes), features.dtype)
        means = _class_means(support, labels, classes)
        return -self.nearness * jnp.sum((features[:, None] - means[None]) ** 2, axis=2)


def _class_means(
    rows: Float[Array, "items width"], labels: Int[Array, " items"], classes: int
) -> Float[Array, "classes width"]:
    """The mean row of each class; zeros for a class without one."""
    member = jax.nn.one_hot(labels, classes, dtype=rows.dtype)
    return member.T @ rows / jnp.maximum(jnp.sum(member, axis=0), 1)[:, None]


def _fresh(controller: LSTM, x: Float[Array, "items in"]) -> Float[Array, "items out"]:
    """One step of a controller for each item, from its first state."""
    return jax.vmap(lambda row: controller(controller.init_state(), row)[1])(x)


@cache
def label_codes(classes: int, width: int, dtype: np.dtype) -> Float[np.ndarray, "classes width"]:
    """A fixed random vector of unit length for each class's number; its generator is fixed, as models are stored."""
    with jax.ensure_compile_time_eval():
        world = jax.random.key(0, impl="threefry2x32")
        draw = lambda number: jax.random.normal(jax.random.fold_in(world, number), (width,), dtype)
        codes = np.asarray(jax.vmap(draw)(jnp.arange(classes, dtype=jnp.uint32)))
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


@dataclass(frozen=True)
class AnyWayConfig(AbstractModelConfig):
    """The neural memory network with labelled slots, for any number of classes."""

    embed: AbstractEmbeddingConfig = field(default_factory=ConvConfig)
    """From inputs to features."""
    width: int = 64
    """k, size of a slot and of every controller's output."""
    slots: int = 100
    """l, slots of the memory; 0: nothing is stored and a read is zero."""
    keep: Keep = "class-balanced"
    """What is evicted where a support set has more items than there are slots. least-used: the oldest item;
    class-balanced: the oldest of the class that holds most slots."""
    start: Start = "memory"
    """Decoder columns before the first inner step. memory: by what the memory holds of a class; alike: all the same."""
    class_means: bool = False
    """Whether the logits include the squared distance to the mean feature vector of a class, times a learned weight."""
    kind: Literal["any-way"] = "any-way"
    """Labelled slots that vote; any number of classes."""

    @property
    def most_classes(self) -> int | None:
        """A class without a slot could not be read."""
        return self.slots or None

    def build(self, spec: TaskSpec, *, key: Key) -> AnyWay:
        """Builds the network of a task.

        Raises:
            UserError: a size or a choice that does not exist, or an embedding that does not fit the task's inputs.
        """
        check_size("width", self.width)
        check_integer("slots", self.slots, least=0, most=4096, reason="larger memories do not fit")
        check_choice("keep", self.keep, KEEP)
        check_choice("start", self.start, ("memory", "alike"))
        key_embed, key_input, key_output, key_write, key_map = jax.random.split(key, 5)
        embed, k = self.embed.build(spec, key=key_embed), self.width
        controllers = Controllers(
            input=LSTM(embed.out_size, k, key=key_input),
            output=LSTM(2 * k, k, key=key_output),
            write=LSTM(2 * k, k, key=key_write),
        )
        from_values = jax.random.normal(key_map, (k, k)) / k**0.5 if self.start == "memory" else None
        log_temperature = jnp.log(jnp.asarray(10.0, float))
        gain, absent, start = jnp.ones((), float), jnp.full((), ABSENT_VOTE), jnp.zeros(k, float)
        nearness = jnp.full((), NEARNESS) if self.class_means else None
        read = (log_temperature, gain, absent)
        return AnyWay(embed, controllers, *read, start, from_values, nearness, self.slots, self.keep)


__all__ = ["AnyWay", "AnyWayConfig", "FastWeights", "label_codes"]
