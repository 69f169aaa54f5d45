"""One source of episodes, cut into classes to train on, to choose a checkpoint by, and to report on."""

from dataclasses import dataclass

from .base import AbstractTask


@dataclass(frozen=True, eq=False)
class TaskSplits:
    """Three tasks that share no class, and what names their data in a result file.

    Attributes:
        train: episodes that parameters are trained on.
        validation: episodes that a checkpoint or a setting is chosen by.
        test: episodes that are reported.
        name: the data set, as in `glyphs` or `omniglot`.
        split: which cut of its classes this is.
        sha256: hexadecimal digest of the data, or of the generator that makes it.
    """

    train: AbstractTask
    validation: AbstractTask
    test: AbstractTask
    name: str
    split: str
    sha256: str

    @property
    def data(self) -> dict[str, str]:
        """The `data` entry of a result file."""
        return {"name": self.name, "split": self.split, "sha256": self.sha256}
