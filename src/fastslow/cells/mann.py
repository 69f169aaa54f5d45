"""The memory-augmented neural network: a controller that reads and writes an external memory (mann section 3.1)."""

from dataclasses import dataclass, field
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import Described, bad, check_choice, check_positive
from .._typing import Key
from ..memory.base import AbstractMemory, AbstractMemoryConfig
from ..memory.least_used import LeastUsedConfig
from .base import AbstractCellConfig
from .controllers import AbstractController, AbstractControllerConfig
from .lstm import LSTMConfig
from .operations import AbstractOperations, Affine
from .reversible import AbstractReversibleCell

KeySource = Literal["cell", "hidden"]


class MANNState(eqx.Module):
    """Attributes: `controller`, its state; `memory`, what it holds; `read`, what each head read, `r_t`."""

    controller: Any
    memory: Any
    read: Float[Array, "heads width"]


class MANNResiduals(eqx.Module):
    """What inverts a step: `controller` and `read` before it, and `memory`, the residuals of the access."""

    controller: Any
    memory: Any
    read: Float[Array, "heads width"]


class MANN(AbstractReversibleCell[MANNState, MANNResiduals]):
    """A controller on `[x_t; r_{t-1}]`, and a memory; the output is `o_t = [h_t; r_t]`.

    Attributes:
        controller: LSTM, feed-forward, or another; its input is `[x_t; r_{t-1}]`.
        controls: the map from the controller to the interface vector of the memory.
        memory: least-used, or the NTM's, or another.
        features: size of `x_t`.
        key_source: what the whole interface vector comes from. cell: the controller's inner state, an LSTM's cell
            state `c_t`, which the supplement's section 6.1 says of keys alone; hidden: its output `h_t`, as in public
            versions and in the NTM. A feed-forward controller has `h_t` alone.
        previous_read: whether the controller is given `r_{t-1}`; without it, reads reach the output alone.
    """

    controller: AbstractController
    controls: eqx.nn.Linear
    memory: AbstractMemory
    features: int = eqx.field(static=True)
    key_source: KeySource = eqx.field(static=True)
    previous_read: bool = eqx.field(static=True)

    def __init__(
        self,
        controller: AbstractController,
        memory: AbstractMemory,
        *,
        key_source: KeySource = "cell",
        previous_read: bool = True,
        key: Key,
    ):
        """Joins a controller and a memory.

        Args:
            controller: its input is `x_t`, then with `previous_read` what all heads read.
            memory: what it reads and writes.
            key_source: see the class.
            previous_read: see the class.
            key: randomness of the map to the interface vector.

        Raises:
            UserError: a controller whose input has no room for `x_t`, or a choice that does not exist.
        """
        check_choice("key_source", key_source, ("cell", "hidden"))
        read = memory.heads * memory.width if previous_read else 0
        in_size = controller.input_weight.shape[1]
        if in_size <= read:
            raise bad(
                "controller",
                got=Described(f"one of {in_size} inputs"),
                expected=f"more than the {read} of what is read",
            )
        linear = eqx.nn.Linear(controller.out_size, memory.interface_size, key=key)
        self.controller = controller
        self.controls = eqx.tree_at(lambda m: m.bias, linear, jnp.asarray(linear.bias) + memory.interface_bias())
        self.memory = memory
        self.features = in_size - read
        self.key_source = key_source
        self.previous_read = previous_read

    @property
    def out_size(self) -> int:
        return self.controller.out_size + self.memory.heads * self.memory.width

    def init_state(self) -> MANNState:
        dtype = self.controller.bias.dtype
        cast = lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf
        memory = jax.tree.map(cast, self.memory.init_state())
        read = jnp.zeros((self.memory.heads, self.memory.width), dtype)
        return MANNState(self.controller.init_state(), memory, read)

    def project(self, x: Float[Array, " in"]) -> Float[Array, " entry"]:
        return self.controller.input_weight[:, : self.features] @ x + self.controller.bias

    def maps(self) -> dict[str, Affine]:
        reads = self.controller.input_weight[:, self.features :]
        return {
            "entry": Affine(jnp.concatenate([reads, self.controller.recurrent_weight], axis=1)),
            "interface": Affine(self.controls.weight, self.controls.bias),
        }

    def step(
        self, state: MANNState, projected: Float[Array, " entry"], operations: AbstractOperations
    ) -> tuple[MANNState, Float[Array, " out"], MANNResiduals]:
        parts = [self.controller.recurrent(state.controller)]
        if self.previous_read:
            parts.insert(0, state.read.reshape(-1))
        entry = operations.affine("entry", jnp.concatenate(parts), projected)
        # h_t of the controller on [x_t; r_{t-1}]
        controller, hidden = self.controller.activate(state.controller, entry)
        source = self.controller.inner(controller, hidden) if self.key_source == "cell" else hidden
        interface = operations.affine("interface", source)
        memory, read, residuals = operations.access("memory", state.memory, interface)
        # o_t = [h_t; r_t]                                                     (mann eq. 16)
        y = jnp.concatenate([hidden, read.reshape(-1)])
        return MANNState(controller, memory, read), y, MANNResiduals(state.controller, residuals, state.read)

    def inverse(self, after: MANNState, residuals: MANNResiduals) -> MANNState:
        return MANNState(residuals.controller, self.memory.inverse(after.memory, residuals.memory), residuals.read)


@dataclass(frozen=True)
class MANNConfig(AbstractCellConfig):
    """A controller with a memory."""

    controller: AbstractControllerConfig = field(default_factory=LSTMConfig)
    """The controller."""
    memory: AbstractMemoryConfig = field(default_factory=LeastUsedConfig)
    """The memory."""
    key_source: KeySource = "cell"
    """What keys and all else for the memory come from. cell: the LSTM's cell state; hidden: its output."""
    previous_read: bool = True
    """Whether the controller is given what was read in the step before."""
    kind: Literal["mann"] = "mann"

    def build(self, features: int, label: int, *, key: Key) -> MANN:
        """Builds the cell.

        Args:
            features: size of `x_t`.
            label: size of the label that stands beside it.
            key: randomness of the initial weights.

        Raises:
            UserError: a size or a choice that does not exist, or a choice without effect.
        """
        check_positive("features", features + label)
        key_controller, key_controls, key_memory = jax.random.split(key, 3)
        memory = self.memory.build(key=key_memory)
        read = memory.heads * memory.width if self.previous_read else 0
        controller = self.controller.build(features + read, label, key=key_controller)
        if self.key_source == "hidden" and not controller.has_inner_state:
            expected = "cell, as a feed-forward controller has its output alone"
            raise bad("key_source", got=self.key_source, expected=expected)
        choices = {"key_source": self.key_source, "previous_read": self.previous_read}
        return MANN(controller, memory, **choices, key=key_controls)
