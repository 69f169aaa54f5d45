"""The target of a path: where a road user is at each of the next frames (fast-slow section 5.2)."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from .._checks import check_positive, check_size
from .._typing import Scalar
from ..metrics import Metric
from .targets import AbstractTarget


class Path(AbstractTarget):
    """Positions at the next frames: x and y of the first frame, then of the second, and so on.

    The loss is the mean square error. It is `−log p` of a normal distribution of a fixed deviation, but for a factor
    and a constant. Where the origin lies makes no difference, so that a task may choose it for each path.

    Attributes:
        frames: that are predicted.
        scale: metres, or pixels, that are one unit of the numbers.
        unit: `m` or `px`, that of the figures.
    """

    MSE: ClassVar[str] = "MSE"
    ADE: ClassVar[str] = "ADE"
    FDE: ClassVar[str] = "FDE"
    frames: int = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    unit: str = eqx.field(static=True)

    def __check_init__(self):
        check_size("frames", self.frames)
        check_positive("scale", self.scale)

    @property
    def outputs(self) -> int:
        return 2 * self.frames

    @property
    def size(self) -> int:
        return self.outputs

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What a prediction is measured by.

        MSE: the mean over frames and coordinates of the squared difference. ADE: the mean distance over all frames.
        FDE: the distance at the last one.
        """
        distance = [Metric(name, self.unit, (0.0, math.inf), larger_is_better=False) for name in (self.ADE, self.FDE)]
        return (Metric(self.MSE, f"{self.unit}²", (0.0, math.inf), larger_is_better=False), *distance)

    @property
    def monitor(self) -> Metric:
        return self.metrics[0]

    @property
    def chance(self) -> None:
        return None

    def nll(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> Scalar:
        return jnp.mean((outputs - target) ** 2)

    def scores(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> dict[str, Scalar]:
        away = self.scale * (outputs - target).reshape(self.frames, 2)
        distances = jnp.sqrt(jnp.sum(away**2, axis=1))
        return {self.MSE: jnp.mean(away**2), self.ADE: jnp.mean(distances), self.FDE: distances[-1]}

    def shown(self, labels: Num[Array, "..."]) -> Float[Array, "... size"]:
        return labels

    def answer(self, outputs: Float[Array, "... outputs"]) -> Float[Array, "... answer"]:
        return outputs


__all__ = ["Path"]
