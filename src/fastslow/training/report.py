"""What a run reports."""

from dataclasses import dataclass

from ..metrics import Metric

PerSeed = tuple[float | None, ...]
"""One value for each seed, None for a seed that has none."""


@dataclass(frozen=True)
class Report:
    """How far a run is and how well it goes.

    Attributes:
        step: updates made.
        steps: updates to make.
        seeds: the seeds, in the order of the values.
        metrics: each metric by its key, over the updates since the last multiple of `log_every`: Σ total / Σ count.
            None for a seed that diverged, and where nothing was counted. Empty in the first report, which is given
            before the first update.
        monitor: the metric by which the best parameters are chosen.
        validation: each metric without labels by its key, in validation; empty where there was none at this step.
        best: the best value of the monitored metric for each seed so far; None where there was none.
        steps_per_second: since the last report, compilation left out; 0 where nothing was timed yet.
        remaining: seconds to go at the rate since this start, validations included; None before anything was timed.
        seconds: training time, all starts of the run together.
        diverged: the update at which a seed stopped being finite, by seed.
        notices: sentences for the user.
    """

    step: int
    steps: int
    seeds: tuple[int, ...]
    metrics: dict[str, PerSeed]
    monitor: Metric
    validation: dict[str, PerSeed]
    best: PerSeed
    steps_per_second: float
    remaining: float | None
    seconds: float
    diverged: dict[int, int]
    notices: tuple[str, ...]

    def row(self) -> dict[str, object]:
        """The report as a line of `metrics.jsonl`."""
        return {
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 3),
            **self.metrics,
            **{f"validation_{key}": values for key, values in self.validation.items()},
        }
