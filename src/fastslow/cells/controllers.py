"""What a controller is: a recurrent cell whose input and state enter by one affine map."""

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Float

from .._typing import Key
from .base import AbstractCellConfig, AbstractSplitCell, State


class AbstractController(AbstractSplitCell[State]):
    """A cell that is an affine map of input and state, then a function without parameters.

    `state, h = activate(state, W x + U recurrent(state) + b)`. A network around a controller can thus apply its maps
    itself, together with others.

    Attributes:
        input_weight: `W`.
        bias: `b`.
    """

    input_weight: eqx.AbstractVar[Float[Array, "entry in"]]
    bias: eqx.AbstractVar[Float[Array, " entry"]]

    @property
    @abstractmethod
    def recurrent_weight(self) -> Float[Array, "entry feed"]:
        """`U`, without columns where the controller has no state."""

    @property
    @abstractmethod
    def has_inner_state(self) -> bool:
        """Whether `inner` differs from the output."""

    @abstractmethod
    def recurrent(self, state: State) -> Float[Array, " feed"]:
        """The vector of the state that enters the map."""

    @abstractmethod
    def activate(self, state: State, entry: Float[Array, " entry"]) -> tuple[State, Float[Array, " hidden"]]:
        """What follows the map: the state after the step, and the output."""

    @abstractmethod
    def inner(self, state: State, hidden: Float[Array, " hidden"]) -> Float[Array, " hidden"]:
        """The inner state after a step, `c_t` of an LSTM; the output where there is none."""

    def project(self, x: Float[Array, " in"]) -> Float[Array, " entry"]:
        """`W x + b`."""
        return self.input_weight @ x + self.bias

    def advance(self, state: State, projected: Float[Array, " entry"]) -> tuple[State, Float[Array, " hidden"]]:
        return self.activate(state, projected + self.recurrent_weight @ self.recurrent(state))


class AbstractControllerConfig(AbstractCellConfig):
    """The settings of a cell that is also a controller."""

    @abstractmethod
    def build(self, features: int, label: int, *, key: Key) -> AbstractController:
        """Builds the controller; see `AbstractCellConfig.build`."""
