"""What a run tells the one who watches it."""

from dataclasses import dataclass

PerSeed = tuple[float | None, ...]
"""One figure a seed, None for a seed that has none."""


@dataclass(frozen=True)
class Report:
    """How far a run is and how well it goes.

    Attributes:
        step: updates made.
        steps: updates to make.
        seeds: the seeds, in the order of the figures.
        metrics: each figure, as the mean over the updates since the last multiple of `log_every`; None for a seed that
            died. Empty in the first report, which comes before the first update.
        judged_by: the figure by which the best parameters are chosen, `accuracy` mostly.
        validation: that figure in validation for each seed, where there was a validation at this step.
        best: the best of it for each seed so far; None where there was none.
        steps_per_second: since the last report, compilation left out; 0 where nothing was timed yet.
        remaining: seconds to go at the rate of this sitting, validations and all; None before anything was timed.
        seconds: training time, all sittings of the run together.
        died: the update at which a seed stopped being finite, by seed.
        notices: sentences for the user.
    """

    step: int
    steps: int
    seeds: tuple[int, ...]
    metrics: dict[str, PerSeed]
    judged_by: str
    validation: PerSeed | None
    best: PerSeed
    steps_per_second: float
    remaining: float | None
    seconds: float
    died: dict[int, int]
    notices: tuple[str, ...]

    def row(self) -> dict[str, object]:
        """The report as a line of `metrics.jsonl`."""
        row: dict[str, object] = {
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 3),
            **self.metrics,
        }
        return row if self.validation is None else {**row, f"validation_{self.judged_by}": self.validation}
