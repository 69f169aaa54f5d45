"""The memory-augmented neural network: a controller that reads and writes an external memory (mann section 3.1)."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad, check_choice, check_positive
from .._typing import Key
from ..memory.base import AbstractAccess
from .feedforward import FeedForward, NoState
from .lstm import LSTM, LSTMState
from .reversible import AbstractRewindableCell, Halfway

KeySource = Literal["cell", "hidden"]


class MANNState(eqx.Module):
    """Attributes: `controller`, its state; `memory`, what it holds; `read`, what each head read, `r_t`."""

    controller: LSTMState | NoState
    memory: Any
    read: Float[Array, "heads width"]


class MANNUndo(eqx.Module):
    """What undoes a step: `controller` and `read` before it, and `memory`, what undoes the access."""

    controller: LSTMState | NoState
    memory: Any
    read: Float[Array, "heads width"]


class MANNHalf(eqx.Module):
    """The controller after its part of a step. Attributes: `controller`, its state; `hidden`, its output `h_t`."""

    controller: LSTMState | NoState
    hidden: Float[Array, " hidden"]


class MANN(AbstractRewindableCell[MANNState, MANNHalf, MANNUndo]):
    """A controller, LSTM or feed-forward, on `[x_t; r_{t-1}]`, and a memory; the output is `o_t = [h_t; r_t]`.

    The controller's first matrix is that of `LSTM` or `FeedForward`, over input and read.

    Attributes:
        controller: LSTM or feed-forward.
        controls: from the controller to the numbers that steer the memory.
        memory: least-used access, or the NTM's.
        features: size of `x_t`.
        key_source: what all numbers for the memory come from, with an LSTM. cell: its cell state `c_t`, which the
            supplement's section 6.1 says of keys alone; hidden: its output `h_t`, as in public versions and in the NTM.
            A feed-forward controller has `h_t` alone.
        previous_read: whether the controller is given `r_{t-1}`; without it, reads reach the output alone.
    """

    controller: LSTM | FeedForward
    controls: eqx.nn.Linear
    memory: AbstractAccess
    features: int = eqx.field(static=True)
    key_source: KeySource = eqx.field(static=True)
    previous_read: bool = eqx.field(static=True)

    def __init__(
        self,
        features: int,
        hidden: int,
        memory: AbstractAccess,
        *,
        controller: Literal["lstm", "feed-forward"] = "lstm",
        key_source: KeySource = "cell",
        previous_read: bool = True,
        key: Key,
    ):
        """Builds the cell.

        Args:
            features: size of `x_t`, which holds the label before as well.
            hidden: units of the controller.
            memory: what it reads and writes.
            controller: `lstm` or `feed-forward`.
            key_source: see the class.
            previous_read: see the class.
            key: randomness of the initial weights.

        Raises:
            UserError: a size or a choice that is none, or a memory with something to train.
        """
        check_positive("features", features)
        if any(eqx.is_inexact_array(leaf) for leaf in jax.tree.leaves(memory)):
            wanted = "one without arrays to train: what is trained stands in the controller and in `controls`"
            raise bad("memory", came=type(memory).__name__, wanted=wanted)
        check_choice("controller", controller, ("lstm", "feed-forward"))
        check_choice("key_source", key_source, ("cell", "hidden"))
        key_controller, key_controls = jax.random.split(key)
        build = LSTM if controller == "lstm" else FeedForward
        read = memory.heads * memory.width if previous_read else 0
        self.controller = build(features + read, hidden, key=key_controller)
        linear = eqx.nn.Linear(hidden, memory.controls, key=key_controls)
        self.controls = eqx.tree_at(lambda m: m.bias, linear, linear.bias + memory.initial_controls())
        self.memory = memory
        self.features = features
        self.key_source = key_source
        self.previous_read = previous_read

    @property
    def out_size(self) -> int:
        """Size of `o_t`."""
        return self.controller.hidden_size + self.memory.heads * self.memory.width

    def init_state(self) -> MANNState:
        dtype = self.controller.bias.dtype
        memory = jax.tree.map(lambda leaf: leaf.astype(dtype), self.memory.init_state())
        read = jnp.zeros((self.memory.heads, self.memory.width), dtype)
        return MANNState(self.controller.init_state(), memory, read)

    def project(self, x: Float[Array, " in"]) -> Float[Array, " entry"]:
        return self.controller.input_weight[:, : self.features] @ x + self.controller.bias

    @property
    def recurrent_weight(self) -> Float[Array, "entry feed"]:
        reads = self.controller.input_weight[:, self.features :]
        if isinstance(self.controller, FeedForward):
            return reads
        return jnp.concatenate([reads, self.controller.hidden_weight], axis=1)

    def feed(self, state: MANNState) -> Float[Array, " feed"]:
        read = state.read.reshape(-1) if self.previous_read else jnp.zeros(0, state.read.dtype)
        if isinstance(state.controller, LSTMState):
            return jnp.concatenate([read, state.controller.hidden])
        return read

    def begin(self, state: MANNState, entered: Float[Array, " entry"]) -> Halfway[MANNHalf]:
        if isinstance(state.controller, NoState):
            hidden = jnp.tanh(entered)
            return Halfway(MANNHalf(state.controller, hidden), hidden)
        after, hidden = LSTM.gated(state.controller, entered)
        return Halfway(MANNHalf(after, hidden), after.cell if self.key_source == "cell" else hidden)

    def finish(
        self, state: MANNState, half: MANNHalf, controls: Float[Array, " controls"]
    ) -> tuple[MANNState, Float[Array, " out"], MANNUndo]:
        memory, read, undone = self.memory.access(state.memory, controls)
        undo = MANNUndo(state.controller, undone, state.read)
        # o_t = [h_t; r_t]                                                     (mann eq. 16)
        return MANNState(half.controller, memory, read), jnp.concatenate([half.hidden, read.reshape(-1)]), undo

    def pull(
        self,
        before: MANNState,
        after: MANNState,
        undo: MANNUndo,
        half: MANNHalf,
        controls: Float[Array, " controls"],
        to_after: MANNState,
        to_y: Float[Array, " out"],
    ) -> tuple[MANNState, MANNHalf, Float[Array, " controls"]]:
        hidden = self.controller.hidden_size
        to_read = to_after.read + to_y[hidden:].reshape(to_after.read.shape)
        to_memory, to_controls = self.memory.pull(
            before.memory, after.memory, undo.memory, controls, to_after.memory, to_read
        )
        # the controller and the read before the step enter its first half alone
        nothing = jax.tree.map(jnp.zeros_like, (before.controller, before.read))
        to_before = MANNState(nothing[0], to_memory, nothing[1])
        return to_before, MANNHalf(to_after.controller, to_y[:hidden]), to_controls

    def rewind(self, after: MANNState, undo: MANNUndo) -> MANNState:
        return MANNState(undo.controller, self.memory.rewind(after.memory, undo.memory), undo.read)
