"""Who answers in a test: the network, the examples that are held, or either by how confident the network is."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..memory.addressing import cosine
from ..memory.stored import StoredExamples

Readout = Literal["network", "slots", "gated"]
READOUTS: tuple[Readout, ...] = ("network", "slots", "gated")
REMEMBERED = 1024
"""Examples of the stream whose confidence is remembered."""
QUANTILE = 0.01
"""Share of them that fall under the gate."""
RARE = 0.5
"""A class is rare where it came less often than this share of the mean over classes."""
SHARPNESS = 50.0
"""Factor on the cosine in the logits of held examples."""


class Confidence(eqx.Module):
    """What the stream was like.

    Attributes:
        recent: the largest probability of each of its last examples.
        came: examples of each class.
    """

    recent: Float[Array, " remembered"]
    came: Float[Array, " classes"]

    @property
    def gate(self) -> Float[Array, ""]:
        """The confidence that 99 of 100 examples of the stream reach."""
        return jnp.quantile(self.recent, QUANTILE)

    @property
    def rare(self) -> Bool[Array, " classes"]:
        """Which classes are rare."""
        return self.came < RARE * jnp.mean(self.came)


def fresh_confidence(classes: int) -> Confidence:
    """Before the first example."""
    return Confidence(jnp.zeros(REMEMBERED), jnp.zeros(classes))


def noted(
    confidence: Confidence,
    outputs: Float[Array, "streams time classes"],
    targets: Float[Array, "streams time classes"],
    mask: Bool[Array, "streams time"],
) -> Confidence:
    """With one batch more; padding is left out.

    Args:
        confidence: until now.
        outputs: of the network, before it learned from the batch.
        targets: one-hot rows.
        mask: which examples there are.
    """
    found = jnp.max(jax.nn.softmax(outputs), axis=2)
    # padding first, so that what falls out at the front is padding or old
    order = jnp.argsort(mask.reshape(-1), stable=True)
    count = jnp.sum(mask)
    wider = jnp.concatenate([confidence.recent, found.reshape(-1)[order]])
    places = jnp.arange(REMEMBERED) + count
    recent = wider[jnp.where(places < REMEMBERED, places, places - count + found.size)]
    return Confidence(recent, confidence.came + jnp.sum(jnp.where(mask[..., None], targets, 0), axis=(0, 1)))


def read_out(
    answer: Readout,
    outputs: Float[Array, "query classes"],
    features: Float[Array, "query features"],
    held: Float[Array, "slots features"],
    stored: StoredExamples,
    confidence: Confidence,
) -> Float[Array, "query classes"]:
    """The outputs that are measured.

    Args:
        answer: who answers.
        outputs: of the network.
        features: of the queries.
        held: features of the held examples.
        stored: those examples.
        confidence: what the stream was like.
    """
    if answer == "network":
        return outputs
    member = stored.targets > 0
    nearest = lambda among: jax.vmap(lambda query: _nearest(query, held, among))(features)
    if answer == "slots":
        return nearest(member)
    among = member & confidence.rare[None]
    confident = jnp.max(jax.nn.softmax(outputs), axis=1) >= confidence.gate
    return jnp.where((confident | ~jnp.any(among))[:, None], outputs, nearest(among))


def _nearest(
    query: Float[Array, " features"], held: Float[Array, "slots features"], member: Bool[Array, "slots classes"]
) -> Float[Array, " classes"]:
    """Logits of each class by its nearest held example; far below all others where there is none."""
    similar = SHARPNESS * cosine(held, query)
    return jnp.max(jnp.where(member, similar[:, None], -4 * SHARPNESS), axis=0)


__all__ = ["READOUTS", "Confidence", "Readout", "fresh_confidence", "noted", "read_out"]
