"""The neural memory network: three controllers around a slot memory (fast-slow eq. 2–7)."""

from dataclasses import dataclass, field
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import Described, bad, check_choice, check_positive, check_size
from .._typing import Key
from ..memory.slots import AbstractSlots, AbstractSlotsConfig, SlotsState, SoftSlotsConfig
from .base import AbstractCellConfig
from .controlled import AbstractControlledCell, AbstractTrace, Apply
from .controllers import AbstractController
from .lstm import LSTM

Compose = Literal["query", "memory"]
LabelInput = Literal["none", "input", "write"]


class Controllers(eqx.Module):
    """One thing for each controller: the controller, a state, an output, a perturbation, a predictor, a rate.

    Attributes:
        input: the input controller's (output `q_t`).
        output: the output controller's (output `m_t`).
        write: the write controller's (output `m'_t`).
    """

    input: Any
    output: Any
    write: Any


class NMNState(eqx.Module):
    """Attributes: `memory`, the slots `M_t`; `controllers`, the state of each controller."""

    memory: SlotsState
    controllers: Controllers


class NMNTrace(AbstractTrace):
    """All that happened in one step.

    Attributes:
        inputs: what each controller was given.
        outputs: what each controller gave, perturbations included: `q_t`, `m_t`, `m'_t`.
        y: the output, `m_t`.
        scores: attention over the slots, `z_t`.
        memory: the slots' values after the write, `M_t`.
    """

    inputs: Controllers
    outputs: Controllers
    y: Float[Array, " width"]
    scores: Float[Array, " slots"]
    memory: Float[Array, "slots width"]


class NMN(AbstractControlledCell[NMNState]):
    """Input, output and write controller around a slot memory; its output is `m_t`.

    Its input is `[x_t; y_t]`, the label a one-hot vector, or zeros for a query. Two things the paper leaves open are
    explicit choices.

    * `compose`: read literally (`"memory"`), the input reaches the output through the slot scores alone, and soft
      overwriting makes all slots alike, so such a network stays at chance on an MNIST stream. `"query"`, the default,
      gives the output controller `[m̄_t; q_t]`, the compose step of Neural Semantic Encoders.
    * `label_input`: equations 1–8 never feed the label in. `"none"` keeps to that, and ignores the label; `"input"`
      gives it to the input controller with `x_t`; `"write"` gives it to the write controller alone, so that a query's
      key holds no label.

    Attributes:
        controllers: the controllers, each of output size `k`.
        memory: the slots, of width `k`.
        features: size of `x_t`.
        labels: size of `y_t`.
        compose, label_input: see above.
    """

    controllers: Controllers
    memory: AbstractSlots
    features: int = eqx.field(static=True)
    labels: int = eqx.field(static=True)
    compose: Compose = eqx.field(static=True)
    label_input: LabelInput = eqx.field(static=True)

    def __init__(
        self,
        controllers: Controllers,
        memory: AbstractSlots,
        *,
        features: int,
        labels: int = 0,
        compose: Compose = "query",
        label_input: LabelInput = "none",
    ):
        """Joins controllers and memory.

        Args:
            controllers: `NMNConfig.build` builds LSTMs of the sizes that are needed.
            memory: the slots.
            features: size of `x_t`.
            labels: size of the label vector.
            compose: what the output controller reads.
            label_input: where labels enter.

        Raises:
            UserError: a choice that does not exist, or sizes that do not fit together.
        """
        check_choice("compose", compose, ("query", "memory"))
        check_choice("label_input", label_input, ("none", "input", "write"))
        if label_input != "none":
            check_positive("labels", labels)
        width = memory.init_state().values.shape[1]
        sizes = input_sizes(features, labels, width, compose, label_input)
        for name in ("input", "output", "write"):
            _check_sizes(getattr(controllers, name), getattr(sizes, name), width)
        self.controllers = controllers
        self.memory = memory
        self.features = features
        self.labels = labels
        self.compose = compose
        self.label_input = label_input

    @property
    def out_size(self) -> int:
        return self.controllers.output.out_size

    def init_state(self) -> NMNState:
        states = Controllers(
            input=self.controllers.input.init_state(),
            output=self.controllers.output.init_state(),
            write=self.controllers.write.init_state(),
        )
        return NMNState(memory=self.memory.init_state(), controllers=states)

    def trace(
        self,
        state: NMNState,
        x: Float[Array, " in"],
        perturbations: Controllers | None = None,
        apply: Apply = jnp.add,
    ) -> tuple[NMNState, NMNTrace]:
        if x.shape[0] != self.features + self.labels:
            raise bad("x", got=x.shape[0], expected=f"{self.features} features and {self.labels} of a label")
        features, label = x[: self.features], x[self.features :]

        def run(name: str, given: Array) -> tuple[Any, Array]:
            after, c = getattr(self.controllers, name)(getattr(state.controllers, name), given)
            return after, c if perturbations is None else apply(c, getattr(perturbations, name))

        # q_t = f_r^LSTM(x_t)                              (fast-slow eq. 2)
        input_in = x if self.label_input == "input" else features
        input_state, q = run("input", input_in)
        # z_t = softmax(M_{t-1} q_t),  m̄_t = z_t M_{t-1}   (eq. 3, 4)
        reading = self.memory.read(state.memory, q)
        # m_t = f_o^LSTM(m̄_t), or of [m̄_t; q_t]            (eq. 5)
        output_in = jnp.concatenate([reading.content, q]) if self.compose == "query" else reading.content
        output_state, m = run("output", output_in)
        # m'_t = f_w^LSTM(m_t), or of [m_t; y_t]           (eq. 6)
        write_in = jnp.concatenate([m, label]) if self.label_input == "write" else m
        write_state, update = run("write", write_in)
        # M_t                                              (eq. 7)
        memory = self.memory.write(state.memory, reading, q, update)

        after = NMNState(memory=memory, controllers=Controllers(input_state, output_state, write_state))
        trace = NMNTrace(
            inputs=Controllers(input_in, output_in, write_in),
            outputs=Controllers(q, m, update),
            y=m,
            scores=reading.scores,
            memory=memory.values,
        )
        return after, trace


def input_sizes(features: int, labels: int, width: int, compose: Compose, label_input: LabelInput) -> Controllers:
    """The size of each controller's input."""
    return Controllers(
        input=features + (labels if label_input == "input" else 0),
        output=2 * width if compose == "query" else width,
        write=width + (labels if label_input == "write" else 0),
    )


def _check_sizes(controller: AbstractController, in_size: int, width: int) -> None:
    if controller.out_size != width:
        raise bad("width", got=controller.out_size, expected=f"{width}, the width of the memory's slots")
    got = controller.input_weight.shape[1]
    if got != in_size:
        raise bad("controllers", got=Described(f"one of {got} inputs"), expected=f"one of {in_size}")


@dataclass(frozen=True)
class NMNConfig(AbstractCellConfig):
    """The neural memory network, its controllers LSTMs."""

    width: int = 64
    """k, size of a slot and of every controller's output."""
    memory: AbstractSlotsConfig = field(default_factory=SoftSlotsConfig)
    """soft: the paper's soft overwrite (eq. 3, 4, 7); key-value: cosine read, least-used write."""
    compose: Compose = "query"
    """What the output controller reads. memory: the attended slots, as printed; query: those and the query."""
    label_input: LabelInput = "none"
    """Where labels enter the network. none: nowhere; input: with the features; write: at the write controller."""
    kind: Literal["nmn"] = "nmn"

    def build(self, features: int, label: int, *, key: Key) -> NMN:
        """Builds the cell.

        Args:
            features: size of `x_t`.
            label: size of the label that stands beside it.
            key: randomness of the initial weights.

        Raises:
            UserError: a size or a choice that does not exist.
        """
        check_size("width", self.width)
        key_input, key_output, key_write, key_memory = jax.random.split(key, 4)
        sizes = input_sizes(features, label, self.width, self.compose, self.label_input)
        controllers = Controllers(
            input=LSTM(sizes.input, self.width, key=key_input),
            output=LSTM(sizes.output, self.width, key=key_output),
            write=LSTM(sizes.write, self.width, key=key_write),
        )
        return NMN(
            controllers,
            self.memory.build(self.width, key=key_memory),
            features=features,
            labels=label,
            compose=self.compose,
            label_input=self.label_input,
        )
