"""What a task is: a pure function from a random key to an episode of fixed shape."""

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Int, Num

from .._typing import Key


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


class AbstractTask(eqx.Module):
    """Draws episodes. Arrays it needs (a data set) are fields, so that it travels through `jit` as an argument."""

    @abstractmethod
    def sample(self, key: Key, step: Int[Array, ""]) -> FewShotEpisode:
        """Draws one episode, on the device, inside the compiled step.

        Args:
            key: randomness of this episode alone.
            step: number of the update it is drawn for; serves curricula and rare batches.
        """
