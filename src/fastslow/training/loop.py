"""The loop: the host dispatches compiled updates, reports, validates, saves and stops; it computes nothing itself."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from ..learners.base import Trainable
from ..tasks.base import AbstractTask
from .config import TrainingConfig
from .folder import RunFolder
from .interrupt import Interrupt
from .report import Report
from .run import Run
from .state import TrainState


class TrainingDivergedError(RuntimeError):
    """No seed is finite any more; the run folder keeps the last finite state of each."""


def fit(
    learner: Trainable,
    task: AbstractTask,
    config: TrainingConfig,
    *,
    validation: AbstractTask | None = None,
    folder: RunFolder | None = None,
    devices: Sequence[Any] | None = None,
) -> Generator[Report, None, TrainState]:
    """Trains, reporting now and then; what the generator returns at its end is the final state (see `run_to_end`).

    Two runs of the same configuration on the same CPUs, versions and devices give the same bits, also when one of them
    was killed at any moment and resumed: episodes follow from the seed and the step alone. (GPUs add in no fixed order
    unless configured to.)

    Args:
        learner: what learns.
        task: what it learns from.
        config: how long and how often.
        validation: draws the episodes of validations; None for no validation.
        folder: where metrics and checkpoints go; None to keep nothing. Opened with `resume`, the run in it continues.
        devices: the devices that share a batch; None for all.

    Yields:
        Reports: the first before the first update, then every `log_every` steps, after each validation and at the end.

    Returns:
        The state after the last update.

    Raises:
        UserError: where the run folder cannot be written or resumed.
        TrainingDivergedError: where no seed is finite any more; the state is saved.
        KeyboardInterrupt: after an interrupt, when the update that ran then is done and saved.
    """
    with Interrupt() as interrupt:
        run = Run(learner, task, config, validation, folder, devices)
        try:
            yield run.report()
            while run.step < config.steps and not interrupt.requested:
                run.advance()
                # The metrics of a step are on disk before its checkpoint is: a resumed run misses no line.
                report = run.report() if run.reports_now() else None
                if run.is_due(config.checkpoint_every) or run.all_diverged:
                    run.save()
                if report is not None:
                    yield report
                if run.all_diverged:
                    raise TrainingDivergedError(f"No seed is finite any more: {run.diverged_seeds()}.")
            if interrupt.requested:
                run.save()
                raise KeyboardInterrupt
        finally:
            run.finish()
    return run.state


def run_to_end(
    reports: Generator[Report, None, TrainState], watch: Callable[[Report], object] | None = None
) -> TrainState:
    """Runs a training to its end.

    Args:
        reports: what `fit` gave.
        watch: called with each report.

    Returns:
        The final state.
    """
    while True:
        try:
            report = next(reports)
        except StopIteration as end:
            return end.value
        if watch is not None:
            watch(report)
