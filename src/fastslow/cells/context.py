"""A sequence that forks: a trunk shown step by step, then branches, each read from where the trunk ended.

A support set streamed into a memory followed by queries is a trunk with one branch a query: queries neither see nor
change each other's state. Items shown each from a fresh state are branches of an empty trunk.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

State = TypeVar("State")
Step = Callable[[State, Any], tuple[State, Any]]


class Forked(eqx.Module):
    """One thing for each step of a passage; either part may have no steps.

    Attributes:
        trunk: arrays with leading axis `time`.
        branches: arrays with leading axis `branch`.
    """

    trunk: Any
    branches: Any


def walk(step: Step[State], state: State, inputs: Forked) -> tuple[State, Forked]:
    """Runs a step over a passage.

    Args:
        step: `(state, input) → (state, output)`.
        state: the state before the trunk.
        inputs: the inputs of the trunk and of the branches.

    Returns:
        The state at the fork, and the outputs.
    """
    if jax.tree.leaves(inputs.trunk)[0].shape[0] == 0:
        # a scan of no steps cannot run under `jax.disable_jit`, and costs compile time for nothing
        branches = jax.vmap(lambda x: step(state, x)[1])(inputs.branches)
        return state, Forked(trunk=jax.tree.map(lambda y: y[:0], branches), branches=branches)
    # a module's bound step cannot be hashed, a lambda can
    fork, trunk = jax.lax.scan(lambda s, x: step(s, x), state, inputs.trunk)
    branches = jax.vmap(lambda x: step(fork, x)[1])(inputs.branches)
    return fork, Forked(trunk=trunk, branches=branches)


def only_trunk(xs: PyTree) -> Forked:
    """A passage without branches."""
    return Forked(trunk=xs, branches=jax.tree.map(lambda x: x[:0], xs))


def only_branches(xs: PyTree) -> Forked:
    """A passage without a trunk: every item from the same state."""
    return Forked(trunk=jax.tree.map(lambda x: x[:0], xs), branches=xs)


def joined(forked: Forked) -> PyTree:
    """All steps in one axis, the trunk first."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), forked.trunk, forked.branches)
