"""The head, `f_D`: from features to the numbers of the distribution that a task's targets have."""

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Float, Num

from .._typing import Key, Scalar
from ..tasks.targets import AbstractTarget


class AbstractHead(eqx.Module):
    """From the cell's output to a distribution; it owns the loss, so no learner knows which one it is.

    Attributes:
        target: the distribution.
    """

    target: eqx.AbstractVar[AbstractTarget]

    @abstractmethod
    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " outputs"]:
        """The numbers of the distribution."""

    def nll(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> Scalar:
        """`−log p(target)` in nats."""
        return self.target.nll(outputs, target)

    def scores(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> dict[str, Scalar]:
        """Figures of one prediction by the names of their metrics."""
        return self.target.scores(outputs, target)


class Head(AbstractHead):
    """A dense layer (fast-slow eq. 8; mann eq. 24).

    Attributes:
        linear: from features to the numbers of a distribution.
        target: the distribution.
    """

    linear: eqx.nn.Linear
    target: AbstractTarget

    def __init__(self, in_size: int, target: AbstractTarget, *, key: Key):
        self.linear = eqx.nn.Linear(in_size, target.outputs, key=key)
        self.target = target

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " outputs"]:
        return self.linear(x)
