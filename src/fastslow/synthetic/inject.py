"""The fast path through the network: an identity whose backward pass adds a synthetic gradient."""

from functools import partial

import jax
from jaxtyping import Array, Float

from ..cells.controlled import Apply


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _inject(output: Float[Array, " width"], synthetic: Float[Array, " width"], keep: bool) -> Float[Array, " width"]:
    return output


def _forward(output: Array, synthetic: Array, keep: bool) -> tuple[Array, Array]:
    return output, synthetic


def _backward(keep: bool, synthetic: Array, cotangent: Array) -> tuple[Array, Array]:
    # the synthetic gradient is a constant of this pass: none flows back into the one that predicted it
    return (cotangent + synthetic if keep else synthetic), jax.numpy.zeros_like(synthetic)


_inject.defvjp(_forward, _backward)


def injection(keep_true: bool) -> Apply:
    """A perturbation that leaves a controller's output as it is and changes its cotangent.

    Args:
        keep_true: whether the synthetic gradient is added to the true one (regime `both`) or stands in its place
            (regime `synthetic`, decoupled as in Jaderberg et al. 2017).

    Returns:
        `(output, synthetic) → output`, for a cell's `trace`. What it adds reaches all that the output was computed
        from: its controller, the controllers before it, the feature extractor, earlier steps.
    """
    return lambda output, synthetic: _inject(output, synthetic, keep_true)
