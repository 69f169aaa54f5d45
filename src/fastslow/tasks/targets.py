"""Targets: the distribution that a task's answers have, how wrong and how right a prediction of them is."""

import math
from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from .._checks import UserError, check_size
from .._typing import Scalar
from ..metrics import ACCURACY, LOG_LIKELIHOOD, Metric


class AbstractTarget(eqx.Module):
    """A family of distributions over targets, parametrised by numbers that a head computes. It has nothing to train."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers of a distribution."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers of a target as a network is shown it."""

    @property
    @abstractmethod
    def monitor(self) -> Metric:
        """The metric by which the best parameters are chosen."""

    @property
    @abstractmethod
    def chance(self) -> float | None:
        """What guessing gives by that metric; None where guessing has no meaning."""

    @abstractmethod
    def nll(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> Scalar:
        """`−log p(target)` in nats, the loss of one step."""

    @abstractmethod
    def scores(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> dict[str, Scalar]:
        """Figures of one step by the names of their metrics."""

    def labels(self) -> Float[Array, "way size"]:
        """What a network is shown for each class, the classes being numbered.

        Raises:
            UserError: the targets are no classes.
        """
        raise UserError(f"labels: got targets of {type(self).__name__}, expected targets that are classes.")

    def shown(self, labels: Num[Array, "..."]) -> Float[Array, "... size"]:
        """What a network is shown for labels as a few-shot episode has them: here the numbers of classes."""
        return self.labels()[labels]

    def answer(self, outputs: Float[Array, "... outputs"]) -> Float[Array, "... answer"]:
        """What a learner answers: here the log-probability of each class."""
        return jax.nn.log_softmax(outputs)


class Categorical(AbstractTarget):
    """One of several classes, given as a one-hot row or as its number.

    Attributes:
        classes: how many.
    """

    classes: int = eqx.field(static=True)

    def __check_init__(self):
        check_size("classes", self.classes)

    @property
    def outputs(self) -> int:
        return self.classes

    @property
    def size(self) -> int:
        return self.classes

    @property
    def monitor(self) -> Metric:
        return ACCURACY

    @property
    def chance(self) -> float:
        return 1 / self.classes

    def nll(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> Scalar:
        log_probabilities = jax.nn.log_softmax(outputs)
        if target.ndim == 0:
            return -log_probabilities[target]
        # a class without probability counts only where it is the target
        return -jnp.sum(jnp.where(target == 0, 0, target * log_probabilities))

    def scores(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> dict[str, Scalar]:
        number = target if target.ndim == 0 else jnp.argmax(target)
        return {ACCURACY.name: (jnp.argmax(outputs) == number).astype(outputs.dtype)}

    def labels(self) -> Float[Array, "way size"]:
        return jnp.eye(self.classes)


class MultiCategorical(AbstractTarget):
    """A string of letters, each place a softmax of its own, all independent (mann eq. 26).

    A target is the one-hot rows of its letters, one after the other.

    Attributes:
        places: letters in a string.
        letters: letters of the alphabet.
    """

    STRIDE: ClassVar[int] = 1237
    """From one class's string to the next one's: a prime that is no letter count, so that all strings occur, and
    neighbours differ."""
    places: int = eqx.field(static=True, default=5)
    letters: int = eqx.field(static=True, default=5)

    def __check_init__(self):
        check_size("places", self.places)
        check_size("letters", self.letters)

    @property
    def outputs(self) -> int:
        return self.places * self.letters

    @property
    def size(self) -> int:
        return self.outputs

    @property
    def strings(self) -> int:
        """Different strings."""
        return self.letters**self.places

    @property
    def monitor(self) -> Metric:
        return ACCURACY

    @property
    def chance(self) -> float:
        return 1 / self.strings

    def nll(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> Scalar:
        return -jnp.sum(self._by_place(target) * jax.nn.log_softmax(self._by_place(outputs)))

    def scores(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> dict[str, Scalar]:
        right = jnp.argmax(self._by_place(outputs), axis=1) == jnp.argmax(self._by_place(target), axis=1)
        return {ACCURACY.name: jnp.all(right).astype(outputs.dtype)}

    def spell(self, numbers: Int[Array, " labels"]) -> Float[Array, "labels size"]:
        """Strings by their numbers below `strings`: the one-hot rows of their letters."""
        letters = jnp.stack([numbers // self.letters**place % self.letters for place in range(self.places)], axis=1)
        return jax.nn.one_hot(letters, self.letters).reshape(numbers.shape[0], -1)

    def labels(self) -> Float[Array, "way size"]:
        return self.spell(jnp.arange(self.strings) * self.STRIDE % self.strings)

    def _by_place(self, row: Float[Array, " outputs"]) -> Float[Array, "places letters"]:
        return row.reshape(-1, self.letters)


class Gaussian(AbstractTarget):
    """A real number, predicted by mean and standard deviation (mann section 6.2).

    The numbers of a distribution are `μ`, and what softplus makes `σ` of, above `FLOOR`.
    """

    FLOOR: ClassVar[float] = 1e-3

    @property
    def outputs(self) -> int:
        return 2

    @property
    def size(self) -> int:
        return 1

    @property
    def monitor(self) -> Metric:
        return LOG_LIKELIHOOD

    @property
    def chance(self) -> None:
        return None

    def deviation(self, outputs: Float[Array, " outputs"]) -> Scalar:
        """`σ`."""
        return jax.nn.softplus(outputs[1]) + self.FLOOR

    def nll(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> Scalar:
        away = (target[0] - outputs[0]) / self.deviation(outputs)
        return 0.5 * away**2 + jnp.log(self.deviation(outputs)) + 0.5 * math.log(2 * math.pi)

    def scores(self, outputs: Float[Array, " outputs"], target: Num[Array, "..."]) -> dict[str, Scalar]:
        return {LOG_LIKELIHOOD.name: -self.nll(outputs, target)}


__all__ = ["AbstractTarget", "Categorical", "Gaussian", "MultiCategorical"]
