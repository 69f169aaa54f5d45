"""A trained model at work on one machine: loaded once, compiled once a shape."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from .._checks import Described, bad
from ..configs.config import Config
from ..learners.base import LearnerState
from ..tasks.base import Examples
from ..zoo.saved import Saved, load

CHUNK = 32
"""Images computed at once. One number for all, so that one program serves any number of queries, and a query gets the
same answer bit for bit whatever comes beside it."""


class Embedder(eqx.Module):
    """An embedding and what it normalises with. Attributes: `embed`; `statistics`."""

    embed: Any
    statistics: Any

    def __call__(self, images: Float[Array, "items 28 28"]) -> Float[Array, "items features"]:
        """Features of images, each alone."""
        return self.embed(images, self.statistics)[0]


class Engine:
    """Compiled functions of one configuration, shared by all estimators that use it."""

    def __init__(self, config: Config) -> None:
        learner: Any = config.build()
        self._by_running = config.learner.statistics == "running"
        self._adapt = jax.jit(lambda state, support: learner.adapt(state, support, key=jax.random.key(0)))
        self._predict = jax.jit(lambda adapted, images: learner.predict(adapted, images))
        self._embed = jax.jit(lambda embedder, images: embedder(images))
        self._statistics = jax.jit(lambda state, images: embedding_of(state.params)(images, None)[1])

    def adapt(
        self, state: LearnerState, images: Float[np.ndarray, "items 28 28"], labels: Int[np.ndarray, " items"]
    ) -> Any:
        """Lets the model's own head learn a support set; compiles once for each number of examples."""
        return on_host(self._adapt(state, Examples(jnp.asarray(images), jnp.asarray(labels))))

    def log_probabilities(
        self, adapted: Any, images: Float[np.ndarray, "items 28 28"]
    ) -> Float[np.ndarray, "items way"]:
        """What the head says of queries."""
        return in_chunks(self._predict, adapted, images)

    def embedder(self, state: LearnerState, images: Float[np.ndarray, "items 28 28"]) -> Embedder:
        """The embedding and what it normalises with.

        These are running averages where the model was configured so, else the statistics of this support set: those of
        whole episodes would need the queries.
        """
        used = state.model_state if self._by_running else self._statistics(state, images)
        return on_host(Embedder(embedding_of(state.params), used))

    def features(
        self, embedder: Embedder, images: Float[np.ndarray, "items 28 28"]
    ) -> Float[np.ndarray, "items features"]:
        """Embeds images."""
        return in_chunks(self._embed, embedder, images)


def in_chunks(function: Any, model: PyTree, images: np.ndarray) -> np.ndarray:
    """Applies a compiled function to `CHUNK` inputs at a time; the last ones are filled up with zeros."""
    count = len(images)
    filled = np.zeros((-(-count // CHUNK) * CHUNK, *images.shape[1:]), images.dtype)
    filled[:count] = images
    parts = [function(model, filled[first : first + CHUNK]) for first in range(0, len(filled), CHUNK)]
    return np.concatenate([np.asarray(part) for part in parts])[:count]


def on_host(tree: PyTree) -> PyTree:
    """The same tree with NumPy arrays, which pickle anywhere."""
    return jax.tree.map(np.asarray, tree)


@lru_cache(maxsize=8)
def engine_of(config: Config) -> Engine:
    """The engine of a configuration."""
    return Engine(config)


def embedder_of(saved: Saved) -> Embedder:
    """The embedding of a model for examples that come one by one, normalised by running averages.

    Raises:
        UserError: the model was trained without running averages.
    """
    if not jax.tree.leaves(saved.state().model_state):
        raise bad("model", got=saved.name, expected="a model with running averages for its normalisation")
    return on_host(Embedder(embedding_of(saved.state().params), saved.state().model_state))


def embedding_of(params: Any) -> Any:
    """The embedding among a learner's parameters."""
    return getattr(params, "network", params).embed


def find_model(model: Any) -> Saved:
    """Loads a model, or gives the one loaded before where its files have not changed.

    Args:
        model: name of a release, or path of a run folder or of a release's folder.

    Raises:
        UserError: as `fastslow.load` does.
    """
    expected = "the name of a released model, or the path of a run folder"
    if not isinstance(model, str | Path):
        raise bad("model", got=model, expected=expected)
    places = [Path(model) / name for name in ("params.npz", "checkpoints")]
    try:
        changed = tuple(place.stat().st_mtime_ns for place in places if place.exists())
    except OSError as error:  # a name too long for a file, a folder that may not be read
        raise bad("model", got=Described(f"{error.strerror}: {model}"), expected=expected) from error
    return _find_model(model, changed)


@lru_cache(maxsize=8)
def _find_model(model: str | Path, changed: tuple[int, ...]) -> Saved:
    return load(model)


__all__ = [
    "CHUNK",
    "Embedder",
    "Engine",
    "embedder_of",
    "embedding_of",
    "engine_of",
    "find_model",
    "in_chunks",
    "on_host",
]
