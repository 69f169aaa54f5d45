"""The neural memory network: three LSTM controllers around a slot memory (fast-slow eq. 2–7)."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import bad, check_choice, check_positive
from .._typing import Key
from ..memory.slots import AbstractSlots, SlotsState
from .base import AbstractCell
from .lstm import LSTM, LSTMState

Compose = Literal["query", "memory"]
LabelInput = Literal["none", "input", "write"]
Tap = Callable[[Array, Array], Array]
"""How a tap acts on a controller's output: `(output, tap) → output`."""


class PerController(eqx.Module):
    """One thing for each controller: a state, an output, a tap, a predictor, a rate.

    Attributes:
        input: the input controller's (output `q_t`).
        output: the output controller's (output `m_t`).
        write: the write controller's (output `m'_t`).
    """

    input: Any
    output: Any
    write: Any


class NMNState(eqx.Module):
    """Attributes: `memory`, the slots `M_t`; `controllers`, the state of each LSTM."""

    memory: SlotsState
    controllers: PerController


class NMNRecord(eqx.Module):
    """All that happened in one step.

    Attributes:
        inputs: what each controller was given.
        outputs: what each controller gave, taps included: `q_t`, `m_t`, `m'_t`.
        scores: attention over the slots, `z_t`.
        memory: the slots' values after the write, `M_t`.
    """

    inputs: PerController
    outputs: PerController
    scores: Float[Array, " slots"]
    memory: Float[Array, "slots width"]


class NMN(AbstractCell[NMNState]):
    """Input, output and write controller around a slot memory; its output is `m_t`.

    Two things the paper leaves open are explicit choices.

    * `compose`: read literally (`"memory"`), the input reaches the output through the slot scores alone, and soft
      overwriting makes all slots alike, so such a network stays at chance on an MNIST stream. `"query"`, the default,
      gives the output controller `[m̄_t; q_t]`, the compose step of Neural Semantic Encoders.
    * `label_input`: equations 1–8 never feed the label in. `"none"` keeps to that; `"input"` appends the label to
      `x_t`; `"write"` appends it to the write controller's input alone, so that a query's key holds no label.

    With a label input the cell's input is `[x_t; y_t]`, the label a one-hot vector, or zeros for a query.
    """

    controllers: PerController
    memory: AbstractSlots
    features: int = eqx.field(static=True)
    labels: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    compose: Compose = eqx.field(static=True)
    label_input: LabelInput = eqx.field(static=True)

    def __init__(
        self,
        features: int,
        width: int,
        memory: AbstractSlots,
        *,
        labels: int = 0,
        compose: Compose = "query",
        label_input: LabelInput = "none",
        key: Key,
    ):
        """Builds the controllers.

        Args:
            features: size of `x_t`.
            width: `k`, size of a slot and of every controller's output.
            memory: the slots, of the same width.
            labels: size of the label vector; used by a label input alone.
            compose: what the output controller reads.
            label_input: where labels enter.
            key: randomness of the initial weights.

        Raises:
            UserError: a choice that does not exist, or sizes that do not fit together.
        """
        check_choice("compose", compose, ("query", "memory"))
        check_choice("label_input", label_input, ("none", "input", "write"))
        if label_input != "none":
            check_positive("labels", labels)
        held = memory.init_state().values.shape[1]
        if width != held:
            raise bad("width", came=width, wanted=f"{held}, the width of the memory's slots")
        key_input, key_output, key_write = jax.random.split(key, 3)
        self.controllers = PerController(
            input=LSTM(features + (labels if label_input == "input" else 0), width, key=key_input),
            output=LSTM(2 * width if compose == "query" else width, width, key=key_output),
            write=LSTM(width + (labels if label_input == "write" else 0), width, key=key_write),
        )
        self.memory = memory
        self.features = features
        self.labels = 0 if label_input == "none" else labels
        self.width = width
        self.compose = compose
        self.label_input = label_input

    def init_state(self) -> NMNState:
        fresh = PerController(
            input=self.controllers.input.init_state(),
            output=self.controllers.output.init_state(),
            write=self.controllers.write.init_state(),
        )
        return NMNState(memory=self.memory.init_state(), controllers=fresh)

    def __call__(self, state: NMNState, x: Float[Array, " in"]) -> tuple[NMNState, Float[Array, " width"]]:
        state, record = self.trace(state, x)
        return state, record.outputs.output

    def trace(
        self,
        state: NMNState,
        x: Float[Array, " in"],
        taps: PerController | None = None,
        tap: Tap = jnp.add,
    ) -> tuple[NMNState, NMNRecord]:
        """One step that tells all that happened, with a hand on every controller's output.

        Args:
            state: the state before the step.
            x: the input, `[x_t]` or `[x_t; y_t]`.
            taps: one vector for each controller, given to `tap` beside that controller's output; `None` leaves the
                outputs alone. A zero added is a probe, whose gradient is `δL/δc_t`.
            tap: how a tap acts; `jnp.add`, or an injection of a synthetic gradient.
        """
        features, label = x[: self.features], x[self.features :]
        touch = (lambda c, name: c) if taps is None else (lambda c, name: tap(c, getattr(taps, name)))

        # q_t = f_r^LSTM(x_t)                              (fast-slow eq. 2)
        input_in = features if self.label_input == "write" else x
        input_state, q = self.controllers.input(state.controllers.input, input_in)
        q = touch(q, "input")
        # z_t = softmax(M_{t-1} q_t),  m̄_t = z_t M_{t-1}   (eq. 3, 4)
        reading = self.memory.read(state.memory, q)
        # m_t = f_o^LSTM(m̄_t), or of [m̄_t; q_t]            (eq. 5)
        output_in = jnp.concatenate([reading.content, q]) if self.compose == "query" else reading.content
        output_state, m = self.controllers.output(state.controllers.output, output_in)
        m = touch(m, "output")
        # m'_t = f_w^LSTM(m_t), or of [m_t; y_t]           (eq. 6)
        write_in = jnp.concatenate([m, label]) if self.label_input == "write" else m
        write_state, update = self.controllers.write(state.controllers.write, write_in)
        update = touch(update, "write")
        # M_t                                              (eq. 7)
        memory = self.memory.write(state.memory, reading, q, update)

        after = NMNState(memory=memory, controllers=PerController(input_state, output_state, write_state))
        record = NMNRecord(
            inputs=PerController(input_in, output_in, write_in),
            outputs=PerController(q, m, update),
            scores=reading.scores,
            memory=memory.values,
        )
        return after, record


__all__ = ["NMN", "Compose", "LSTMState", "LabelInput", "NMNRecord", "NMNState", "PerController", "Tap"]
