"""A synthetic gradient at the logits: one network predicts it for each class, for any number of classes."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._typing import Key

FEATURES = 5


class LogitPredictor(eqx.Module):
    """`SG(l, y)` at the logits `l`: for each class one number, from what is known of the class.

    For class `j` it reads `[l_j − mean(l), y_j, p_j, p_j − y_j, log vote_j]`, `p = softmax(l)`; all classes share its
    weights, so that its answer follows a permutation of the classes. The answer is centred: a gradient of cross
    entropy in the logits has the sum 0.

    Attributes:
        layers: of the network.
    """

    layers: tuple[eqx.nn.Linear, ...]

    def __init__(self, hidden: int, *, scale: float = 0.1, key: Key):
        """Builds the predictor.

        Args:
            hidden: units of each of the two hidden layers.
            scale: factor on the initial weights of the last layer, so that a fresh predictor says almost nothing.
            key: randomness of the initial weights.
        """
        keys = jax.random.split(key, 3)
        sizes = (FEATURES, hidden, hidden, 1)
        layers = [eqx.nn.Linear(a, b, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]
        layers[-1] = eqx.tree_at(lambda m: (m.weight, m.bias), layers[-1], (scale * layers[-1].weight, jnp.zeros(1)))
        self.layers = tuple(layers)

    def __call__(
        self,
        logits: Float[Array, " classes"],
        label: Float[Array, " classes"],
        log_vote: Float[Array, " classes"],
        present: Bool[Array, " classes"],
    ) -> Float[Array, " classes"]:
        """Predicts the gradient of an item's loss in its logits.

        Args:
            logits: of each class; minus infinity where it is not present.
            label: one-hot.
            log_vote: the memory's vote for each class.
            present: which classes the support set has.
        """
        count = jnp.sum(present.astype(logits.dtype))
        p = jax.nn.softmax(logits)
        finite = jnp.where(present, logits, 0.0)
        centred = finite - jnp.sum(finite) / count
        rows = jnp.stack([centred, label, p, p - label, log_vote], axis=1)
        found = jax.vmap(self._of_class)(rows)
        found = jnp.where(present, found, 0.0)
        return jnp.where(present, found - jnp.sum(found) / count, 0.0)

    def _of_class(self, row: Float[Array, " features"]) -> Float[Array, ""]:
        for layer in self.layers[:-1]:
            row = jax.nn.relu(layer(row))
        return self.layers[-1](row)[0]


__all__ = ["LogitPredictor"]
