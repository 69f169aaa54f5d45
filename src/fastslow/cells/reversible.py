"""Backpropagation through time that walks a state back instead of keeping every one of them.

A memory that is trained through a scan is bound by memory traffic: autodiff keeps all rows of every step. Where a step
can be undone from a few vectors, only those are kept, and the backward pass recovers each state from the one after it.
"""

from abc import abstractmethod
from functools import partial
from typing import Any, Generic, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .base import AbstractCell

State = TypeVar("State")
Half = TypeVar("Half")
Undo = TypeVar("Undo")


class Halfway(eqx.Module, Generic[Half]):
    """Attributes: `half`, what the first half of a step hands to the second; `source`, what steers the second."""

    half: Half
    source: Float[Array, "*batch source"]


class AbstractRewindableCell(AbstractCell[State], Generic[State, Half, Undo]):
    """A cell whose step is two affine maps with functions without parameters after each, and can be undone.

    ```
    entered = project(x) + recurrent_weight @ feed(state)
    halfway = begin(state, entered)
    after = finish(state, halfway.half, controls(halfway.source))
    ```

    All that is trained stands in the two maps. Kept apart from the rest, the first one's part in `x` is one matrix
    product before the scan, and the gradients of both are one matrix product each after it.

    Attributes:
        controls: the second map.
    """

    controls: eqx.AbstractVar[eqx.nn.Linear]

    @abstractmethod
    def project(self, x: Float[Array, " in"]) -> Float[Array, " entry"]:
        """The part of the first map that no state enters."""

    @property
    @abstractmethod
    def recurrent_weight(self) -> Float[Array, "entry feed"]:
        """The matrix by which the state enters."""

    @abstractmethod
    def feed(self, state: State) -> Float[Array, " feed"]:
        """The vector of the state that enters."""

    @abstractmethod
    def begin(self, state: State, entered: Float[Array, " entry"]) -> Halfway[Half]:
        """The first half of a step."""

    @abstractmethod
    def finish(
        self, state: State, half: Half, controls: Float[Array, " controls"]
    ) -> tuple[State, Float[Array, " out"], Undo]:
        """The second half: the state after the step, the output, and what `rewind` needs beside the state after it."""

    def pull(
        self,
        before: State,
        after: State,
        undo: Undo,
        half: Half,
        controls: Float[Array, " controls"],
        to_after: State,
        to_y: Float[Array, " out"],
    ) -> tuple[State, Half, Float[Array, " controls"]]:
        """The derivative of `finish` backwards: gradients in the state before, the half and the controls.

        A cell may have it by hand, where what is known after the step spares computing it anew.
        """
        del after, undo
        _, backwards = jax.vjp(lambda *given: self.finish(*given)[:2], before, half, controls)
        return backwards((to_after, to_y))

    @abstractmethod
    def rewind(self, after: State, undo: Undo) -> State:
        """The state before a step."""

    def __call__(self, state: State, x: Float[Array, " in"]) -> tuple[State, Float[Array, " out"]]:
        halfway = self.begin(state, self.project(x) + self.recurrent_weight @ self.feed(state))
        after, y, _ = self.finish(state, halfway.half, self.controls(halfway.source))
        return after, y


def unroll_batch(
    cell: AbstractRewindableCell[State, Any, Any], states: State, xs: Float[Array, "batch time in"]
) -> tuple[State, Float[Array, "batch time out"]]:
    """Runs a cell over a batch of sequences; the same numbers as `vmap` of `cells.base.unroll`, and less to keep.

    It takes neither a mask nor resets: a batch has sequences of one length.

    Args:
        cell: the cell.
        states: its states before the first step, leading axis `batch` on every array.
        xs: the inputs.

    Returns:
        The states after the last step, and the outputs.
    """
    projected = jax.vmap(jax.vmap(cell.project))(xs).swapaxes(0, 1)
    linear = cell.controls
    # what is left of the cell has no parameters of its own in a step
    bare = eqx.tree_at(lambda c: c.controls, cell, None)
    weights = Weights(cell.recurrent_weight, linear.weight, cast(Array, linear.bias))
    states, ys = _scan(jax.lax.stop_gradient(bare))(weights, states, projected)
    return states, ys.swapaxes(0, 1)


class Weights(eqx.Module):
    """The two affine maps. Attributes: `recurrent`; `weight` and `bias` of the second."""

    recurrent: Float[Array, "entry feed"]
    weight: Float[Array, "controls source"]
    bias: Float[Array, " controls"]


def _scan(cell: AbstractRewindableCell[State, Any, Any]) -> Any:
    """The scan over time, as a function with a derivative of its own."""

    @jax.custom_vjp
    def scan(weights: Weights, states: State, projected: Array) -> tuple[State, Array]:
        return _forward(cell, weights, states, projected)[0]

    scan.defvjp(partial(_forward, cell), partial(_backward, cell))
    return scan


def _forward(
    cell: AbstractRewindableCell[State, Any, Any], weights: Weights, states: State, projected: Array
) -> tuple[tuple[State, Array], tuple[Any, ...]]:
    """Runs the cell; also what the backward pass is to have: few vectors of each step, and the last states.

    What undoes a step is handed on, and put down with the step after it. Backwards it is then in the carry when its
    step comes: taken there from all steps', it would be addressed anew for every number that it enters, which is slower
    on CPUs.
    """
    feed, begin, finish = jax.vmap(cell.feed), jax.vmap(cell.begin), jax.vmap(cell.finish)
    # turned once, not in every step: a product with a matrix that lies the other way is slower
    recurrent, to_controls = jax.lax.optimization_barrier((weights.recurrent.T, weights.weight.T))

    def step(states: State, x: Array) -> tuple[State, Array, Any, tuple[Array, Array]]:
        fed = feed(states)
        entered = x + fed @ recurrent
        halfway = begin(states, entered)
        controls = halfway.source @ to_controls + weights.bias[None]
        after, y, undo = finish(states, halfway.half, controls)
        return after, y, (undo, entered, controls), (fed, halfway.source)

    def one(carry: tuple[State, Any], x: Array) -> tuple[tuple[State, Any], tuple[Array, Any, tuple[Array, Array]]]:
        states, earlier = carry
        after, y, kept, sources = step(states, x)
        return (after, kept), (y, earlier, sources)

    none = jax.eval_shape(lambda x: step(states, x)[2], jnp.zeros_like(projected, shape=projected.shape[1:]))
    none = jax.tree.map(jnp.zeros_like, none)
    (last, kept), (ys, earlier, sources) = jax.lax.scan(one, (states, none), projected)
    return (last, ys), (weights, last, kept, earlier, sources)


def _backward(
    cell: AbstractRewindableCell[State, Any, Any], residual: tuple[Any, ...], cotangents: tuple[State, Array]
) -> tuple[Weights, State, Array]:
    """Walks the states back, and the gradient with them."""
    feed, begin, pull, rewind = (
        jax.vmap(cell.feed),
        jax.vmap(cell.begin),
        jax.vmap(cell.pull),
        jax.vmap(cell.rewind),
    )
    weights, last, kept, earlier, (fed, source) = residual

    def one(carry: tuple[State, State, Any], given: tuple[Any, Array]) -> tuple[Any, tuple[Array, Array]]:
        after, from_after, (undo, entered, controls) = carry
        earlier, from_y = given
        before = rewind(after, undo)
        halfway, pull_begin = jax.vjp(begin, before, entered)
        to_before, to_half, to_controls = pull(before, after, undo, halfway.half, controls, from_after, from_y)
        through_begin, to_entered = pull_begin(Halfway(to_half, to_controls @ weights.weight))
        through_feed = jax.vjp(feed, before)[1](to_entered @ weights.recurrent)[0]
        to_before = jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), to_before, through_begin, through_feed)
        return (before, to_before, earlier), (to_entered, to_controls)

    to_last, to_ys = cotangents
    (_, to_states, _), (to_entered, to_controls) = jax.lax.scan(
        one, (last, to_last, kept), (earlier, to_ys), reverse=True
    )
    to_weights = Weights(
        jnp.einsum("tbe,tbf->ef", to_entered, fed),
        jnp.einsum("tbc,tbs->cs", to_controls, source),
        jnp.einsum("tbc->c", to_controls),
    )
    return to_weights, to_states, to_entered
