"""Backpropagation through time that recomputes states backwards instead of keeping every one of them.

A memory that is trained through a scan is bound by memory traffic: autodiff keeps all rows of every step. Where a step
can be inverted from a few vectors, its residuals, only those are kept, and the backward pass recovers each state from
the one after it.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .base import AbstractSplitCell, select
from .operations import AbstractOperations, Affine, Backward, Forward, turned

State = TypeVar("State")
Residuals = TypeVar("Residuals")


class AbstractReversibleCell(AbstractSplitCell[State], Generic[State, Residuals]):
    """A cell whose step can be inverted from its residuals.

    `unroll` then keeps the residuals of each step and not its state. Any array of the cell may be trained. Those of the
    affine maps in `maps` get their gradients from one matrix product after the scan; all others get theirs summed step
    by step.
    """

    @abstractmethod
    def maps(self) -> dict[str, Affine]:
        """The affine maps of a step, by the names with which `step` applies them."""

    @abstractmethod
    def step(
        self, state: State, projected: Float[Array, " projected"], operations: AbstractOperations
    ) -> tuple[State, Float[Array, " out"], Residuals]:
        """One step from a projected input: the state after it, the output, and what `inverse` needs beside the former.

        The arrays of the maps may be used through `operations` alone.
        """

    @abstractmethod
    def inverse(self, after: State, residuals: Residuals) -> State:
        """The state before a step."""

    def advance(self, state: State, projected: Float[Array, " projected"]) -> tuple[State, Float[Array, " out"]]:
        after, y, _ = self.step(state, projected, Forward(self, turned(self.maps())))
        return after, y


class Inputs(eqx.Module):
    """What a scan is given.

    Attributes:
        cell: the arrays of the cell.
        maps: its affine maps.
        fresh: the state that a reset starts from, or None.
        state: the state before the first step.
        projected: `[time, projected]`.
        reset, mask: `[time]`, or None.
    """

    cell: Any
    maps: Any
    fresh: Any
    state: Any
    projected: Float[Array, "time projected"]
    reset: Bool[Array, " time"] | None
    mask: Bool[Array, " time"] | None


class Kept(eqx.Module):
    """What a scan keeps of a step for the backward pass.

    Attributes:
        outputs: of each affine map.
        reads: of each memory.
        residuals: of the step.
        before: the state before a possible reset; None where no reset is given.
    """

    outputs: dict[str, Array]
    reads: dict[str, Array]
    residuals: Any
    before: Any


class Record(eqx.Module):
    """What a scan keeps of all steps.

    The scan of the backward pass carries what the next step kept. To index the arrays of all steps within a step is
    slower on CPUs.

    Attributes:
        inputs: of each affine map, at each step.
        last: what the last step kept.
        earlier: what the step before each step kept; zeros at the first.
    """

    inputs: dict[str, Array]
    last: Kept
    earlier: Kept


def unroll_reversible(
    cell: AbstractReversibleCell[State, Any],
    state: State,
    projected: Float[Array, "time projected"],
    reset: Bool[Array, " time"] | None,
    mask: Bool[Array, " time"] | None,
) -> tuple[State, Float[Array, "time out"]]:
    """Runs a cell over projected inputs.

    The scan runs without a derivative and records what the backward pass needs. Then `_attach` returns its results
    unchanged and has the derivative: it gives a gradient to `outputs`, the outputs of the affine maps at all steps,
    from which JAX makes the gradients of their weights as that of one matrix product, over a batch, too.

    Args:
        cell: the cell.
        state: its state before the first step.
        projected: the projected inputs.
        reset: as for `unroll`.
        mask: as for `unroll`.
    """
    arrays, static = eqx.partition(cell, eqx.is_array)
    fresh = None if reset is None else cell.init_state()
    inputs = Inputs(arrays, cell.maps(), fresh, state, projected, reset, mask)
    last, ys, record = _without_derivative(lambda inputs: _run(static, inputs))(inputs)
    outputs = {name: _applied(each, record.inputs[name]) for name, each in inputs.maps.items()}
    return _attach(static, _read_in_a_step(static, inputs))(inputs, outputs, (last, ys, record))


def _read_in_a_step(static: Any, inputs: Inputs) -> Any:
    """For each array of the cell whether a step reads it itself and it can be trained.

    The gradient of no other needs to be summed over the steps: the weights of the maps are read before the scan.
    """

    def step(arrays: Any, state: Any, projected: Array) -> Any:
        return eqx.combine(arrays, static).step(state, projected, Forward(eqx.combine(arrays, static), turned(maps)))

    maps, projected = inputs.maps, jnp.zeros_like(inputs.projected, shape=inputs.projected.shape[1:])
    program = jax.make_jaxpr(step)(inputs.cell, inputs.state, projected).jaxpr
    read = {id(variable) for equation in program.eqns for variable in equation.invars}
    read |= {id(variable) for variable in program.outvars}
    leaves, structure = jax.tree.flatten(inputs.cell)
    given = zip(leaves, program.invars[: len(leaves)], strict=True)
    return structure.unflatten([eqx.is_inexact_array(leaf) and id(variable) in read for leaf, variable in given])


@jax.custom_jvp
def _applied(each: Affine, us: Float[Array, "time in"]) -> Float[Array, "time out"]:
    """`W u_t + b` at all steps, to be differentiated in `W` and `b` alone."""
    outputs = us @ each.weight.T
    return outputs if each.bias is None else outputs + each.bias[None]


@_applied.defjvp
def _applied_jvp(primals: tuple[Affine, Array], tangents: tuple[Affine, Array]) -> tuple[Array, Array]:
    return _applied(*primals), _applied(tangents[0], primals[1])


def _run(static: Any, inputs: Inputs) -> tuple[Any, Array, Record]:
    """The scan: the last state, the outputs, and what is kept of each step."""
    cell = eqx.combine(inputs.cell, static)
    # once, not in every step
    maps = jax.lax.optimization_barrier(turned(inputs.maps))
    step = partial(_step, cell, maps, inputs.fresh)

    def one(carry: tuple[Any, Kept], given: Any) -> tuple[tuple[Any, Kept], tuple[Array, dict[str, Array], Kept]]:
        state, earlier = carry
        after, y, read, kept = step(state, given)
        return (after, kept), (y, read, earlier)

    steps = inputs.projected, inputs.reset, inputs.mask
    first = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, shape=leaf.shape[1:]), steps)
    shapes = jax.eval_shape(lambda state, first: step(state, first)[3], inputs.state, first)
    none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (last, kept), (ys, read, earlier) = jax.lax.scan(one, (inputs.state, none), steps)
    return last, ys, Record(read, kept, earlier)


def _step(
    cell: Any, maps: Any, fresh: Any, state: Any, given: tuple[Array, Array | None, Array | None]
) -> tuple[Any, Array, dict[str, Array], Kept]:
    """One step of the scan: the state after it, the output, the inputs of the affine maps, and what is kept."""
    projected, reset, keep = given
    start = state if reset is None else select(reset, fresh, state)
    forward = Forward(cell, maps)
    after, y, residuals = cell.step(start, projected, forward)
    if keep is not None:
        after, y = select(keep, after, state), jnp.where(keep, y, 0)
    before = None if reset is None else state
    return after, y, forward.inputs, Kept(forward.outputs, forward.reads, residuals, before)


def _without_derivative(run: Callable[[Inputs], Any]) -> Callable[[Inputs], Any]:
    """The same function, with a derivative of zero; a second derivative goes through the function itself."""
    quiet = jax.custom_jvp(run)

    @quiet.defjvp
    def zero(primals: tuple[Inputs], tangents: tuple[Inputs]) -> tuple[Any, Any]:
        del tangents
        found = run(*primals)
        return found, jax.tree.map(_zero_tangent, found)

    return quiet


def _zero_tangent(leaf: Array) -> Any:
    return jnp.zeros_like(leaf) if eqx.is_inexact_array(leaf) else np.zeros(leaf.shape, jax.dtypes.float0)


def _attach(static: Any, summed: Any) -> Callable[..., Any]:
    """`(inputs, outputs, (last, ys, record)) → (last, ys)`, with the derivative in inputs and outputs."""
    attach = jax.custom_vjp(lambda inputs, outputs, run: run[:2])

    def backward(saved: Any, cotangents: Any) -> tuple[Any, ...]:
        inputs, (last, _, record) = saved
        return *_backward(static, summed, inputs, last, record, *cotangents), None

    attach.defvjp(lambda inputs, outputs, run: (run[:2], (inputs, run)), backward)
    return attach


def _backward(
    static: Any, summed: Any, inputs: Inputs, last: Any, record: Record, to_last: Any, to_ys: Array
) -> tuple[Inputs, dict[str, Array]]:
    """Recovers the states from the last to the first, and takes the gradient back with them."""
    varied, fixed = eqx.partition(inputs.cell, summed)
    weights = {name: each.weight for name, each in inputs.maps.items()}

    def one(carry: Any, given: Any) -> tuple[Any, tuple[Array, dict[str, Array]]]:
        (after, to_after, to_cell, to_fresh, kept), (projected, reset, keep, to_y, earlier) = carry, given
        start = eqx.combine(varied, fixed, static).inverse(after, kept.residuals)
        begun, rest = eqx.partition(start, eqx.is_inexact_array)

        def step(varied: Any, begun: Any, projected: Array, to_outputs: dict[str, Array]) -> tuple[Any, Array]:
            cell, state = eqx.combine(varied, fixed, static), eqx.combine(begun, rest)
            known = Backward(cell, weights, kept.outputs, kept.reads, to_outputs, after, kept.residuals)
            found, y, _ = cell.step(state, projected, known)
            return eqx.filter(found, eqx.is_inexact_array), y

        _, backwards = jax.vjp(step, varied, begun, projected, jax.tree.map(jnp.zeros_like, kept.outputs))
        gradients = backwards((to_after, to_y))
        to_start = gradients[1]
        if keep is not None:
            gradients = jax.tree.map(lambda leaf: jnp.where(keep, leaf, 0), gradients)
            start = select(keep, start, after)
            to_start = select(keep, gradients[1], to_after)
        if reset is not None:
            begins = reset if keep is None else reset & keep
            to_fresh = jax.tree.map(lambda a, b: a + jnp.where(begins, b, 0), to_fresh, to_start)
            to_start = jax.tree.map(lambda leaf: jnp.where(begins, 0, leaf), to_start)
            start = kept.before
        to_cell = jax.tree.map(jnp.add, to_cell, gradients[0])
        return (start, to_start, to_cell, to_fresh, earlier), (gradients[2], gradients[3])

    to_last = eqx.filter(to_last, jax.tree.map(eqx.is_inexact_array, last))
    none = jax.tree.map(jnp.zeros_like, (varied, eqx.filter(inputs.fresh, eqx.is_inexact_array)))
    steps = inputs.projected, inputs.reset, inputs.mask, to_ys, record.earlier
    (_, to_state, to_cell, to_fresh, _), (to_projected, to_outputs) = jax.lax.scan(
        one, (last, to_last, *none, record.last), steps, reverse=True
    )
    return Inputs(to_cell, dict.fromkeys(inputs.maps), to_fresh, to_state, to_projected, None, None), to_outputs
