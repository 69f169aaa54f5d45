"""What an experiment is: a table or figure of a paper, or of ours, that one command reproduces."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from ..results.row import ResultRow
from ..training.report import Report

Budget = Literal["smoke", "laptop", "paper"]
BUDGETS: tuple[Budget, ...] = ("smoke", "laptop", "paper")
"""smoke: minutes, for tests, never a result; laptop: minutes to hours on two cores; paper: the paper's own amount
of training, or far more than laptop's where it states none."""

Watch = Callable[[str, Report], object]
"""Called with the name of the row in training and each of its reports."""


@runtime_checkable
class Run(Protocol):
    """Runs an experiment and returns its rows."""

    def __call__(self, out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
        """Runs it.

        Args:
            out: folder for the run folders of its rows and for its figures.
            budget: how much of it.
            resume: whether to continue with what is in `out`; finished rows are not trained again.
            watch: called with each report.
        """
        ...


@dataclass(frozen=True)
class Experiment:
    """One table or figure.

    Attributes:
        name: as typed after `fastslow reproduce`, and as the folder under `results/`.
        summary: what it shows, in one line.
        expected: time on two CPU cores for each budget.
        run: what runs it.
    """

    name: str
    summary: str
    expected: dict[Budget, str]
    run: Run
