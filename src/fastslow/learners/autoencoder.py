"""Trains an autoencoder on the images of streams; their labels are not used."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from .._checks import UserError
from .._typing import Key, Scalar
from ..models.autoencoder import Autoencoder
from ..tasks.base import Examples, SequenceEpisode
from .base import AbstractLearner, LearnerState, Metrics

REFUSAL = "AutoencoderLearner: names no classes; give `StreamNeighbours` its `encode` as `features`."


class AutoencoderLearner(AbstractLearner[SequenceEpisode]):
    """Learns to reconstruct images: the loss is the mean squared error over pixels and over steps that are no padding.

    Judged by `explained_variance`: one less the loss over the variance of each pixel around its mean image, all over
    the images at hand.

    Attributes:
        build: `key → Autoencoder`, as configured.
        optimiser: the slow optimiser.
    """

    build: Any = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)

    @property
    def judged_by(self) -> str:
        return "explained_variance"

    def init(self, *, key: Key) -> LearnerState:
        network = self.build(key)
        # nothing is tracked; the axis is one by which repetitions can be counted once stacked
        return LearnerState(params=network, optimiser=self.optimiser.init(network), running=jnp.zeros(0))

    def update(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> tuple[LearnerState, Metrics]:
        images = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), episodes)
        loss, gradients = eqx.filter_value_and_grad(_loss)(state.params, images)
        updates, optimiser = self.optimiser.update(cast(Any, gradients), state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {
            "loss": loss,
            "explained_variance": _explained(loss, images),
            "gradient_norm": optax.tree.norm(gradients),
        }
        return LearnerState(params=params, optimiser=optimiser, running=state.running), metrics

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Any:
        """Refuses.

        Raises:
            UserError: always, since an autoencoder names no classes.
        """
        raise UserError(REFUSAL)

    def predict(self, adapted: Any, inputs: Float[Array, "query ..."]) -> Float[Array, "query way"]:
        """Refuses.

        Raises:
            UserError: always, since an autoencoder names no classes.
        """
        raise UserError(REFUSAL)

    def evaluate(
        self, state: LearnerState, episodes: SequenceEpisode, *, key: Key
    ) -> dict[str, Float[Array, " batch"]]:
        """`loss` and `explained_variance` of each episode, the variance being that of its own images."""
        loss = jax.vmap(lambda episode: _loss(state.params, episode))(episodes)
        return {"explained_variance": jax.vmap(_explained)(loss, episodes), "loss": loss}


def _loss(network: Autoencoder, images: SequenceEpisode) -> Scalar:
    return _mean(jax.vmap(network.loss)(images.inputs), images)


def _explained(loss: Scalar, images: SequenceEpisode) -> Scalar:
    """`1 − loss / variance`; 0 where all images are alike."""
    rows = images.inputs.reshape(images.inputs.shape[0], -1)
    variance = jnp.mean(_mean((rows - _mean(rows, images)[None]) ** 2, images))
    return jnp.where(variance > 0, 1 - loss / variance, 0)


def _mean(values: Float[Array, "time ..."], images: SequenceEpisode) -> Float[Array, "..."]:
    """Mean over the steps that are no padding."""
    counted = (images.instance > 0).astype(values.dtype)
    return jnp.tensordot(counted, values, axes=1) / jnp.sum(counted)


__all__ = ["AutoencoderLearner"]
