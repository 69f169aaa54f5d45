"""The slow optimiser: Adam or RMSProp on a cosine schedule."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import optax

from .._checks import check_choice, check_positive


@dataclass(frozen=True)
class OptimiserConfig:
    """How parameters learn slowly."""

    method: Literal["adam", "rmsprop"] = "adam"
    """adam, or rmsprop with decay 0.95 and momentum 0.9 as mann has it."""
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
    check_choice("method", config.method, ("adam", "rmsprop"))
    method = optax.adam(schedule) if config.method == "adam" else optax.rmsprop(schedule, decay=0.95, momentum=0.9)
    chain = optax.chain(optax.clip_by_global_norm(config.clip), method)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        # Adam raises a number to the power of a count, which strict promotion of types refuses
        with jax.numpy_dtype_promotion("standard"):
            return chain.update(updates, state, params, **extra)

    return optax.GradientTransformation(chain.init, update)
