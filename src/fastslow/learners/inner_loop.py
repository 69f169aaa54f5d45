"""Inner steps: plain gradient descent within one task, differentiable by the outer loop."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

Params = TypeVar("Params")
Gradient = Callable[[Params], tuple[PyTree, Any]]
"""From parameters to a gradient shaped as what is trained of them, and whatever else is to be known of the step."""


def inner_rates(params: PyTree, steps: int, rate: float) -> PyTree:
    """Inner learning rates, `[steps]` for each trained tensor, all alike at first; an outer loop may learn them."""
    trained = eqx.filter(params, eqx.is_inexact_array)
    return jax.tree.map(lambda w: jnp.full(steps, rate, w.dtype), trained)


def rates_for(rates: PyTree, steps: int) -> PyTree:
    """Inner learning rates for another number of steps: the first ones, or the last one again and again."""

    def fitted(each: Array) -> Array:
        return each[jnp.minimum(jnp.arange(steps), each.shape[0] - 1)]

    return jax.tree.map(fitted, rates)


def each_step(step: Callable[[Any, Any], Any], first: Any, given: PyTree) -> Any:
    """What a step makes of a tree, again and again.

    Args:
        step: from the tree and its part of `given` to a tree of the same form.
        first: the tree before the first step.
        given: arrays with a leading axis, one place a step.

    Returns:
        The trees without a step and after each, arrays stacked.
    """
    arrays, rest = eqx.partition(first, eqx.is_array)

    def body(arrays: PyTree, given: Any) -> tuple[PyTree, PyTree]:
        after = eqx.filter(step(eqx.combine(arrays, rest), given), eqx.is_array)
        return after, after

    later = jax.lax.scan(body, arrays, given)[1]
    return eqx.combine(jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), arrays, later), rest)


def inner_loop(
    gradient: Gradient[Params], params: Params, rates: PyTree, *, unroll: bool = False
) -> tuple[Params, Any]:
    """Takes inner steps, `θ_{k+1} = θ_k − rate_k · g(θ_k)`.

    Fine-tuning and MAML give the gradient of a loss, the synthetic path an estimate of it; both are functions that an
    outer loop can differentiate through.

    Args:
        gradient: of the parameters; see `Gradient`.
        params: before the first step.
        rates: inner learning rates by tensor, with a leading axis `steps`.
        unroll: whether the steps are written one after the other into the program. Convolutions inside a scan are
            several times slower on CPUs.

    Returns:
        The parameters after the last step, and what else each step gave, stacked over steps.
    """
    trained, rest = eqx.partition(params, eqx.is_inexact_array)

    def step(trained: PyTree, rate: PyTree) -> tuple[PyTree, Any]:
        slope, more = gradient(eqx.combine(trained, rest))
        return jax.tree.map(lambda w, g, r: w - r * g, trained, slope, rate), more

    trained, more = jax.lax.scan(step, trained, rates, unroll=unroll)
    return eqx.combine(trained, rest), more


__all__ = ["each_step", "inner_loop", "inner_rates", "rates_for"]
