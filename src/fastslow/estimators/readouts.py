"""Two ways from labelled examples to probabilities: the model's own head, and nearest class means."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ..configs.config import Config
from ..zoo.saved import Saved
from .engine import Embedder, engine_of

SHARPNESS = 0.2
"""Weight of a squared distance in the softmax of `Prototypes`. It does not change which class is nearest. Of 0.1, 0.2,
0.3, 0.5 and 1 it gave the smallest cross entropy on Omniglot's validation classes."""


@dataclass(frozen=True, eq=False)
class Head:
    """The model's own head, adapted to the examples. Attributes: `config`; `adapted`; `classes`, outputs in use."""

    config: Config
    adapted: Any
    classes: int

    def probabilities(self, images: Float[np.ndarray, "items 28 28"]) -> Float[np.ndarray, "items classes"]:
        """Softmax over the outputs in use; the others are left out as if they had logits of minus infinity."""
        logits = engine_of(self.config).log_probabilities(self.adapted, images)
        return softmax(logits[:, : self.classes])


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Nearest class mean. Attributes: `config`; `embedder`; `means`, the mean features of each class."""

    config: Config
    embedder: Embedder
    means: Float[np.ndarray, "classes features"]

    def probabilities(self, images: Float[np.ndarray, "items 28 28"]) -> Float[np.ndarray, "items classes"]:
        """Softmax over minus the squared distances to the class means, times `SHARPNESS`."""
        features = engine_of(self.config).features(self.embedder, images).astype(np.float64)
        # not as one array of all differences, which hundreds of classes would make large
        squares = (features**2).sum(1)[:, None] + (self.means**2).sum(1)[None] - 2 * features @ self.means.T
        return softmax(-SHARPNESS * squares)


def head_classes(config: Config) -> int | None:
    """Most classes that the head of a model tells apart; None for any number."""
    return config.model.most_classes if config.learner.any_way else config.task.spec.label


def fit_head(saved: Saved, images: Float[np.ndarray, "items 28 28"], codes: Int[np.ndarray, " items"]) -> Head:
    """Adapts the model's head to labelled images; `codes` are below `head_classes`."""
    config, classes = saved.config, int(codes.max()) + 1
    if config.learner.any_way:
        config = replace(config, task=replace(config.task, way=classes, train_way=None))
    adapted = engine_of(config).adapt(saved.state(), images, codes)
    return Head(config, adapted, classes)


def fit_prototypes(
    saved: Saved, images: Float[np.ndarray, "items 28 28"], codes: Int[np.ndarray, " items"]
) -> Prototypes:
    """Takes the mean features of each class."""
    engine = engine_of(saved.config)
    embedder = engine.embedder(saved.state(), images)
    features = engine.features(embedder, images).astype(np.float64)
    means = np.stack([features[codes == code].mean(axis=0) for code in range(int(codes.max()) + 1)])
    return Prototypes(saved.config, embedder, means)


def softmax(logits: Float[np.ndarray, "items classes"]) -> Float[np.ndarray, "items classes"]:
    """Probabilities, in double precision."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


__all__ = ["Head", "Prototypes", "fit_head", "fit_prototypes", "head_classes", "softmax"]
