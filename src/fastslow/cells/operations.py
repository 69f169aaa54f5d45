"""The operations of a step whose derivatives are not left to JAX: affine maps, and accesses of a memory.

A reversible cell writes its step against one of these classes. In the forward pass its operations run and are
recorded. In the backward pass they return what was recorded, so that nothing is computed twice.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Affine(eqx.Module):
    """`W u + b`. Attributes: `weight`, `W`; `bias`, `b`, or None."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"] | None = None


class Turned(eqx.Module):
    """`W u + b` by the transposed matrix: on CPUs a product with one that lies the other way is slower.

    Attributes: `weight`, `Wᵀ`; `bias`, `b`, or None.
    """

    weight: Float[Array, "in out"]
    bias: Float[Array, " out"] | None

    def __call__(self, u: Float[Array, " in"]) -> Float[Array, " out"]:
        y = u @ self.weight
        return y if self.bias is None else y + self.bias


def turned(maps: dict[str, Affine]) -> dict[str, Turned]:
    """The maps with their matrices transposed."""
    return {name: Turned(each.weight.T, each.bias) for name, each in maps.items()}


class AbstractOperations(ABC):
    """What a step may call."""

    @abstractmethod
    def affine(self, name: str, u: Float[Array, " in"], add: Float[Array, " out"] | None = None) -> Array:
        """`W u + b + add`, with the map that the cell has under this name.

        Each name is used once in a step.
        """

    @abstractmethod
    def access(self, name: str, held: Any, interface: Float[Array, " interface"]) -> tuple[Any, Array, Any]:
        """One access of a memory: the memory after it, what was read, and the residuals.

        Args:
            name: of a field that holds the memory in the cell, its state in the cell's state, and its residuals in the
                cell's residuals.
            held: the memory's state.
            interface: the interface vector.
        """


@dataclass
class Forward(AbstractOperations):
    """Runs each operation and records it.

    Attributes:
        cell: the cell.
        maps: its affine maps.
        inputs, outputs: of each affine map.
        reads: of each memory.
    """

    cell: Any
    maps: dict[str, Turned]
    inputs: dict[str, Array] = field(default_factory=dict)
    outputs: dict[str, Array] = field(default_factory=dict)
    reads: dict[str, Array] = field(default_factory=dict)

    def affine(self, name: str, u: Float[Array, " in"], add: Float[Array, " out"] | None = None) -> Array:
        y = self.maps[name](u)
        self.inputs[name], self.outputs[name] = u, y if add is None else y + add
        return self.outputs[name]

    def access(self, name: str, held: Any, interface: Float[Array, " interface"]) -> tuple[Any, Array, Any]:
        after, self.reads[name], residuals = getattr(self.cell, name).access(held, interface)
        return after, self.reads[name], residuals


@dataclass
class Backward(AbstractOperations):
    """Returns what was recorded, with the derivative of the operation.

    Attributes:
        cell: the cell.
        weights: `W` of each map.
        outputs, reads: what was recorded.
        to_outputs: zeros for each map; their gradients are those in the map's output.
        after, residuals: of the step.
    """

    cell: Any
    weights: dict[str, Array]
    outputs: dict[str, Array]
    reads: dict[str, Array]
    to_outputs: dict[str, Array]
    after: Any
    residuals: Any

    def affine(self, name: str, u: Float[Array, " in"], add: Float[Array, " out"] | None = None) -> Array:
        add = jnp.zeros_like(self.outputs[name]) if add is None else add
        return _recorded_affine(u, self.to_outputs[name], add, self.weights[name], self.outputs[name])

    def access(self, name: str, held: Any, interface: Float[Array, " interface"]) -> tuple[Any, Array, Any]:
        arrays, static = eqx.partition(getattr(self.cell, name), eqx.is_array)
        known = (getattr(self.after, name), self.reads[name], getattr(self.residuals, name))
        after, read = _recorded_access(static)(arrays, held, interface, known)
        return after, read, known[2]


@jax.custom_vjp
def _recorded_affine(u: Array, to_output: Array, add: Array, weight: Array, output: Array) -> Array:
    return output


def _affine_forward(u: Array, to_output: Array, add: Array, weight: Array, output: Array) -> tuple[Array, Array]:
    return output, weight


def _affine_backward(weight: Array, to_y: Array) -> tuple[Array | None, ...]:
    return to_y @ weight, to_y, to_y, None, None


_recorded_affine.defvjp(_affine_forward, _affine_backward)


def _recorded_access(static: Any) -> Any:
    """An access that was made: `(arrays of the memory, state, interface, what is known of it) → (after, read)`."""

    def forward(arrays: Any, held: Any, interface: Array, known: Any) -> tuple[Any, Any]:
        return known[:2], (arrays, held, interface, known)

    def backward(saved: Any, cotangents: Any) -> tuple[Any, ...]:
        arrays, held, interface, (after, _, residuals) = saved
        memory = eqx.combine(arrays, static)
        return *memory.vjp(held, after, residuals, interface, *cotangents), None

    recorded = jax.custom_vjp(lambda arrays, held, interface, known: known[:2])
    recorded.defvjp(forward, backward)
    return recorded
