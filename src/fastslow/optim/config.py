"""The slow optimiser: Adam, RMSProp or Muon on a cosine schedule."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import optax

from .._checks import check_choice, check_positive
from .muon import muon


@dataclass(frozen=True)
class OptimiserConfig:
    """How parameters learn slowly."""

    method: Literal["adam", "rmsprop", "muon"] = "adam"
    """adam; rmsprop, with decay 0.95 and momentum 0.9 as mann has it; muon, which needs fewer updates where large
    matrices learn what images look like, and takes longer over each."""
    learning_rate: float = 1e-3
    """Step size at the start. fast-slow has 5e-6, out of reach of anybody's number of iterations; mann has 1e-4."""
    final: float = 0.01
    """Step size at the last update, as a share of the first; the way there is half a cosine. 1 keeps it constant."""
    clip: float = 10.0
    """Largest norm of a gradient over all parameters; a longer one is scaled down to it."""


def build_optimiser(config: OptimiserConfig, steps: int) -> optax.GradientTransformation:
    """Builds the optimiser for a training of `steps` updates.

    Raises:
        UserError: a learning rate, share or norm that is not above zero.
    """
    check_positive("learning_rate", config.learning_rate)
    check_positive("final", config.final)
    check_positive("clip", config.clip)
    check_positive("steps", steps)
    schedule = optax.cosine_decay_schedule(config.learning_rate, steps, alpha=config.final)
    check_choice("method", config.method, ("adam", "rmsprop", "muon"))
    methods = {
        "adam": optax.adam,
        "rmsprop": partial(optax.rmsprop, decay=0.95, momentum=0.9),
        "muon": muon,
    }
    chain = optax.chain(optax.clip_by_global_norm(config.clip), methods[config.method](schedule))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        # Adam raises a number to the power of a count, and Muon scales a stack of matrices by one number each, which
        # strict promotion refuses
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return chain.update(updates, state, params, **extra)

    return optax.GradientTransformation(chain.init, update)
