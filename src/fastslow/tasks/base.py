"""What a task is: a pure function from a random key to an episode of fixed shape."""

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Float, Int, Num

from .._typing import Key

Episode = TypeVar("Episode")


class Examples(eqx.Module):
    """Labelled examples, in the order in which they are shown.

    Attributes:
        inputs: images in [0, 1] with ink = 1, or vectors; one row an example.
        labels: class of each example, `0 … way - 1`.
    """

    inputs: Num[Array, "items ..."]
    labels: Int[Array, " items"]


class FewShotEpisode(eqx.Module):
    """One N-way S-shot task: a labelled support set and queries of the same classes."""

    support: Examples
    query: Examples


class SequenceEpisode(eqx.Module):
    """One stream of labelled inputs; a learner is shown each label one step late (mann section 2).

    Attributes:
        inputs: `x_t`: images in [0, 1] with ink = 1, or vectors.
        targets: `y_t` as the network is to be shown it: one-hot rows, strings of them, or real numbers.
        instance: how many inputs of this one's class have come, this one included; 0 at a step that is padding and is
            neither scored nor learned from. Where there are no classes, the number of the step.
    """

    inputs: Float[Array, "time ..."]
    targets: Float[Array, "time target"]
    instance: Int[Array, " time"]


class AbstractTask(eqx.Module, Generic[Episode]):
    """Draws episodes. Arrays it needs (a data set) are fields, so that it travels through `jit` as an argument."""

    @abstractmethod
    def sample(self, key: Key, step: Int[Array, ""]) -> Episode:
        """Draws one episode, on the device, inside the compiled step.

        Args:
            key: randomness of this episode alone.
            step: number of the update it is drawn for; serves curricula and rare batches.
        """
