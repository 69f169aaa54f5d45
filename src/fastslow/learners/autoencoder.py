"""Learns to reconstruct the inputs of sequences; their targets are not used."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from .._typing import Key, Scalar
from ..metrics import Figure, Metric
from ..models.autoencoder import Autoencoder
from ..models.base import AbstractModelConfig
from ..tasks.base import SequenceEpisode, TaskSpec
from .base import AbstractLearnerConfig, Figures, LearnerState, Trainable, initial_state, norm, one, outer_step
from .structure import require

EXPLAINED = Metric("explained variance", "1", bounds=None, larger_is_better=True)
"""One less the loss over the variance of each pixel around its mean image, all over the images at hand."""


class AutoencoderLearner(Trainable[SequenceEpisode]):
    """The loss is the mean squared error over pixels and over the steps of the loss mask.

    Attributes:
        build: `key → Autoencoder`, as configured.
        optimizer: of the outer loop.
    """

    build: Any = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)

    @property
    def monitor(self) -> Metric:
        return EXPLAINED

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (EXPLAINED,)

    def init(self, *, key: Key) -> LearnerState:
        return initial_state(self.optimizer, self.build(key), ())

    def update(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> tuple[LearnerState, Figures]:
        images = episodes.inputs.x.reshape(episodes.mask.size, -1)
        mask = episodes.mask.reshape(-1)
        loss, gradients = eqx.filter_value_and_grad(_loss)(state.params, images, mask)
        figures = {"loss": one(loss), EXPLAINED.key: one(_explained(loss, images, mask))}
        return outer_step(self.optimizer, state, gradients, ()), {**figures, "gradient_norm": norm(gradients)}

    def evaluate(self, state: LearnerState, episodes: SequenceEpisode, *, key: Key) -> Figures:
        """Figures of each episode, the variance being that of its own images."""
        images = episodes.inputs.x.reshape(*episodes.mask.shape, -1)
        loss = jax.vmap(partial(_loss, state.params))(images, episodes.mask)
        explained = jax.vmap(_explained)(loss, images, episodes.mask)
        return {name: Figure(f, jnp.ones_like(f)) for name, f in (("loss", loss), (EXPLAINED.key, explained))}


def _loss(network: Autoencoder, images: Float[Array, "time pixels"], mask: Bool[Array, " time"]) -> Scalar:
    return _mean(jax.vmap(network.loss)(images), mask)


def _explained(loss: Scalar, images: Float[Array, "time pixels"], mask: Bool[Array, " time"]) -> Scalar:
    """`1 − loss / variance`; 0 where all images are alike."""
    variance = jnp.mean(_mean((images - _mean(images, mask)[None]) ** 2, mask))
    return jnp.where(variance > 0, 1 - loss / variance, 0)


def _mean(values: Float[Array, "time ..."], mask: Bool[Array, " time"]) -> Float[Array, "..."]:
    """Mean over the steps of the loss mask."""
    counted = mask.astype(values.dtype)
    return jnp.tensordot(counted, values, axes=1) / jnp.sum(counted)


def _build(model: AbstractModelConfig, spec: TaskSpec, key: Key) -> Autoencoder:
    return model.build(spec, key=key)


@dataclass(frozen=True)
class ReconstructionConfig(AbstractLearnerConfig):
    """The inputs alone, to be reconstructed."""

    kind: Literal["reconstruction"] = "reconstruction"
    """An autoencoder learns to reconstruct the inputs."""

    @property
    def facts(self) -> dict[str, str | int | bool]:
        """What result rows state of the learner."""
        return {}

    def build(
        self, model: AbstractModelConfig, spec: TaskSpec, optimizer: optax.GradientTransformation, *, batch: int
    ) -> AutoencoderLearner:
        """Builds the learner.

        Raises:
            UserError: a task of other episodes, or a model that is no autoencoder.
        """
        del batch
        spec.require("sequence", self.kind)
        require(model, spec, f"learner {self.kind}", "encoder", "decoder")
        return AutoencoderLearner(partial(_build, model, spec), optimizer)


__all__ = ["AutoencoderLearner", "ReconstructionConfig"]
