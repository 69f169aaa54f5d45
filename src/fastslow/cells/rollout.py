"""A closed loop: the next input depends on the output."""

from collections.abc import Callable
from typing import Any, Generic

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .base import AbstractCell, State

Feed = Callable[[Any, Array], tuple[Any, Array, Any]]
"""`(carry, y_t) → (carry, x_{t+1}, info_t)`."""


class Rollout(eqx.Module, Generic[State]):
    """What happened in a closed loop.

    Attributes:
        state: the cell's state after the last step.
        carry: what `feed` carried, after the last step.
        xs: the inputs of all steps: `unroll` on them gives the same outputs.
        ys: the outputs of all steps.
        info: what `feed` gave to keep of each step, leading axis `time`.
    """

    state: State
    carry: Any
    xs: Float[Array, "time in"]
    ys: Float[Array, "time out"]
    info: Any


def rollout(
    cell: AbstractCell[State], state: State, feed: Feed, steps: int, *, x: Float[Array, " in"], carry: Any = None
) -> Rollout[State]:
    """Runs a cell on inputs that are made from its outputs.

    A decoder that runs on its own output is differentiated through the loop. A policy is not: take the rollout without
    gradient, then `unroll(cell, state, rollout.xs)` gives the same outputs with gradient, and a reversible cell keeps
    little for it.

    Args:
        cell: the cell.
        state: its state before the first step.
        feed: `(carry, y_t) → (carry, x_{t+1}, info_t)`: makes the next input from an output. An environment, or a
            random key, is part of the carry; actions and rewards are info.
        steps: how many steps.
        x: the first input.
        carry: what `feed` carries, before the first step.

    Returns:
        The last state and carry, and inputs, outputs and info of all steps.
    """

    def step(before: tuple[State, Any, Array], _: None) -> tuple[tuple[State, Any, Array], tuple[Array, Array, Any]]:
        state, carry, x = before
        after, y = cell(state, x)
        carry, following, info = feed(carry, y)
        return (after, carry, following), (x, y, info)

    (state, carry, _), (xs, ys, info) = jax.lax.scan(step, (state, carry, x), length=steps)
    return Rollout(state, carry, xs, ys, info)
