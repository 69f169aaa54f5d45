"""A cell whose controllers can be seen and acted on: what synthetic gradients need to know of a network."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .base import AbstractCell, State

Apply = Callable[[Array, Array], Array]
"""How a perturbation acts on a controller's output: `(output, perturbation) → output`."""


class AbstractTrace(eqx.Module):
    """What happened in one step.

    Attributes:
        inputs: what each controller was given.
        outputs: what each controller gave, perturbations included.
        y: the output of the cell.
    """

    inputs: eqx.AbstractVar[Any]
    outputs: eqx.AbstractVar[Any]
    y: eqx.AbstractVar[Float[Array, " out"]]


class AbstractControlledCell(AbstractCell[State]):
    """A cell with one or more controllers whose outputs can be perturbed.

    Attributes:
        controllers: a module with one recurrent cell in each field. Inputs, outputs and perturbations of a step are
            modules of the same class, with one vector in each field.
    """

    controllers: eqx.AbstractVar[Any]

    @abstractmethod
    def trace(
        self, state: State, x: Float[Array, " in"], perturbations: Any = None, apply: Apply = jnp.add
    ) -> tuple[State, AbstractTrace]:
        """One step that returns all that happened.

        Args:
            state: the state before the step.
            x: the input.
            perturbations: one vector for each controller, which `apply` is given beside that controller's output;
                `None` leaves the outputs as they are. With zeros that are added, the gradient in a perturbation is the
                gradient in the controller's output, `δL/δc_t`.
            apply: how a perturbation acts: `jnp.add`, or an injection of a synthetic gradient.
        """

    def __call__(self, state: State, x: Float[Array, " in"]) -> tuple[State, Float[Array, " out"]]:
        state, trace = self.trace(state, x)
        return state, trace.y
