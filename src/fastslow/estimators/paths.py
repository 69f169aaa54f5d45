"""A trained model of paths behind scikit-learn's interface: where road users go next."""

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

try:
    from sklearn.base import BaseEstimator
except ImportError as error:
    raise ImportError("fastslow.estimators needs scikit-learn: type `pip install 'fastslow[estimators]'`.") from error

from .._checks import Described, bad
from ..configs.config import Config
from ..learners.base import LearnerState, Stepwise
from ..tasks.base import Examples
from ..tasks.coordinates import Coordinates
from ..tasks.paths import Path as PathTarget
from ..zoo.saved import Saved
from .engine import find_model, in_chunks, on_host


class PathPredictor(BaseEstimator):
    """Predicts the next positions of road users from those that were observed.

    A model of the preset `paths` takes two seconds at 25 positions a second, in metres, and predicts the next two.
    Where a path lies and which way it heads does not matter. Without `fit` it answers as it was trained to; `fit`
    adapts it to whole paths of the place at hand.

    Args:
        model: path of a run folder, such as that of `fastslow train paths`, or of a release's folder.

    Attributes:
        model_digest_: digest of the parameters that were adapted.
        adapted_: what they became.
        config_: the model's configuration.
    """

    def __init__(self, model: str | Path):
        self.model = model

    def fit(self, X: Any, y: None = None) -> "PathPredictor":
        """Adapts to whole paths, forgetting any before.

        Args:
            X: positions `[paths, observed + predicted, 2]`.
            y: none, as the paths hold what is to be predicted.

        Returns:
            The predictor itself; after an error it knows what it knew before.

        Raises:
            UserError: for positions or a model that will not do; one sentence says which and what to do.
        """
        saved, task = _model_of_paths(self.model)
        windows = _positions(X, task.observed + task.predicted)
        near, _ = _near(windows)
        self.adapted_ = on_host(_engine_of(saved.config).adapt(saved.state(), near))
        self.model_digest_, self.config_ = saved.digests[0], saved.config
        return self

    def predict(self, X: Any) -> Float[np.ndarray, "paths predicted 2"]:
        """The next positions of each path, where it is.

        Args:
            X: positions `[paths, observed, 2]`.

        Returns:
            `[paths, predicted, 2]`. No answer depends on the other paths.

        Raises:
            UserError: as in `fit`.
        """
        if hasattr(self, "adapted_"):
            adapted, config = self.adapted_, self.config_
        else:
            saved, _ = _model_of_paths(self.model)
            adapted, config = _engine_of(saved.config).untouched(saved.state()), saved.config
        near, start = _near(_positions(X, config.task.observed))
        return start + in_chunks(_engine_of(config).predict, adapted, near)


def _near(
    positions: Float[np.ndarray, "paths points 2"],
) -> tuple[Float[np.ndarray, "paths points 2"], Float[np.ndarray, "paths 1 2"]]:
    """Positions from each path's first one on, and that one: far from the origin single precision loses centimetres."""
    start = positions[:, :1]
    return (positions - start).astype(np.float32), start


def _model_of_paths(model: str | Path) -> tuple[Saved, Any]:
    """The trained model, and its task."""
    saved = find_model(model)
    task: Any = saved.config.task
    fits = isinstance(task.spec.target, PathTarget) and task.spec.episode == "few-shot"
    if not fits or not isinstance(saved.learner, Stepwise) or task.coordinates.origin == "scene":
        expected = (
            "a model of paths that takes inner steps, trained on few-shot episodes with origin velocity or position"
        )
        raise bad("model", got=str(model), expected=expected, hint="train one by `fastslow train paths`")
    return saved, task


def _positions(X: Any, points: int) -> Float[np.ndarray, "paths points 2"]:
    """Checked positions.

    Raises:
        UserError: they have another shape, or are not all finite numbers.
    """
    try:
        found = np.asarray(X, np.float64)
    except (TypeError, ValueError) as error:
        raise bad(
            "X", got=Described(f"what is no array of numbers ({error})"), expected="positions in metres"
        ) from error
    if found.ndim != 3 or not len(found) or found.shape[1:] != (points, 2):
        raise bad("X", got=Described(f"shape {found.shape}"), expected=f"[paths, {points}, 2], positions in metres")
    if not np.isfinite(found).all():
        raise bad("X", got=Described("positions that are not finite"), expected="finite numbers", hint="fill the gaps")
    return found


class _Engine:
    """Compiled functions of one configuration, shared by all estimators that use it."""

    def __init__(self, config: Config) -> None:
        task, learner = cast(Any, config.task), cast(Any, config.build())
        coordinates: Coordinates = task.coordinates
        some = Examples(jnp.zeros((1, task.observed, 2)), jnp.zeros((1, task.target.size)))

        def untouched(state: LearnerState) -> PyTree:
            arrays, rest = eqx.partition(learner.after_each(state, some, 0), eqx.is_array)
            return eqx.combine(jax.tree.map(lambda leaf: leaf[0], arrays), rest)

        def adapt(state: LearnerState, windows: Float[Array, "paths points 2"]) -> PyTree:
            support = Examples(*coordinates.observed_and_next(windows))
            return learner.adapt(state, support, key=jax.random.key(0))

        def predict(adapted: PyTree, observed: Float[Array, "paths observed 2"]) -> Float[Array, "paths predicted 2"]:
            return coordinates.placed(observed, learner.predict(adapted, coordinates.shown(observed)))

        self.untouched, self.adapt, self.predict = jax.jit(untouched), jax.jit(adapt), jax.jit(predict)


@lru_cache(maxsize=8)
def _engine_of(config: Config) -> _Engine:
    return _Engine(config)


__all__ = ["PathPredictor"]
