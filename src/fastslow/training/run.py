"""One run while it lasts: its state, its compiled functions and its files."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from ..learners.base import Trainable
from ..metrics import Figure
from ..tasks.base import AbstractTask
from .checkpoint import Checkpoints
from .config import TrainingConfig
from .evaluate import episode_count, overall, scores
from .folder import RunFolder
from .metrics import MetricsLog
from .parallel import copy_to, episode_mesh
from .report import PerSeed, Report
from .state import NEVER, TrainState, initial_state
from .timing import Timer
from .update import compile_score, compile_update, keep_best

AHEAD = 4
"""Updates that the host may be ahead of the devices: enough to keep them busy, few enough to stop soon."""


class Run:
    """What `fit` drives. It touches the devices' results only where one is reported or saved."""

    def __init__(
        self,
        learner: Trainable,
        task: AbstractTask,
        config: TrainingConfig,
        validation: AbstractTask | None,
        folder: RunFolder | None,
        devices: Sequence[Any] | None,
    ) -> None:
        self._config = config
        self._monitor, self._metrics = learner.monitor, learner.metrics
        self._mesh, notices = episode_mesh(config.batch, devices)
        self._notices = list(notices)
        self._log = None if folder is None else MetricsLog(folder.metrics)
        self._checkpoints = None if folder is None else Checkpoints(folder.checkpoints)
        self._saved: int | None = None
        self.all_diverged = False
        self._diverged: dict[int, int] = {}
        self._validation: dict[str, Array] = {}
        self._dispatched: deque[Array] = deque()
        self._update = compile_update(learner, task, config, self._mesh)
        self._score, self._episodes = None, 0
        if validation is not None:
            self._episodes = episode_count(validation, config.validation_episodes)
            self._score = compile_score(learner, validation, config.batch, self._mesh, config.over_seeds)
        state, seconds = self._opened(initial_state(learner, task, config), folder)
        self._timer = Timer(config.steps, seconds)
        self.state = copy_to(state, self._mesh)
        self.step = int(self.state.step)

    def _opened(self, state: TrainState, folder: RunFolder | None) -> tuple[TrainState, float]:
        """The saved state of a folder, or the one given, and its training time so far.

        All is checked first, and written afterwards.
        """
        seconds = 0.0
        if folder is None or self._log is None or self._checkpoints is None:
            return state, seconds
        self._notices += folder.notices
        if folder.resuming:
            saved, notices = self._checkpoints.load(jax.eval_shape(lambda: state))
            self._notices += notices
            if saved is None:
                self._notices.append(f"{folder.checkpoints} holds no checkpoint yet: starting from the beginning.")
            state = state if saved is None else saved
            step = int(state.step)
            last = self._log.cut_back(step)
            seconds = float(last["seconds"]) if last else 0.0
            self._checkpoints.clean()
            self._checkpoints.continue_from(step)
            self._saved = step
        self._notices += folder.record(self._mesh.size)
        return state, seconds

    def advance(self) -> None:
        """Dispatches one update, and a validation where one is due; waits only to stay near the devices."""
        self.state, losses = self._update(self.state)
        self.step += 1
        self._dispatched.append(losses)
        if len(self._dispatched) > AHEAD:
            self._dispatched.popleft().block_until_ready()
        self._timer.note(self.step)
        self._validation = {}
        if self._score is not None and self._config.validates_after(self.step):
            key = jax.random.key(self._config.validation_seed)
            found = scores(self._score, self.state.learner, key, self._episodes, self._config.batch)
            self._validation = overall(found, self._metrics)
            value = self._validation[self._monitor.key]
            self.state = keep_best(self.state, value, self._monitor.larger_is_better)

    def is_due(self, every: int) -> bool:
        """Whether something that happens now and then, and at the end, happens at this step."""
        return self._config.is_due(self.step, every)

    def reports_now(self) -> bool:
        """Whether this step is reported."""
        return bool(self._validation) or self.is_due(self._config.log_every)

    def report(self) -> Report:
        """Waits for the figures of this step, writes them to the metrics file and returns them."""
        totals, best, diverged_at, validation = jax.device_get(
            (self.state.totals, self.state.best, self.state.diverged_at, self._validation)
        )
        active = diverged_at == NEVER
        report = Report(
            step=self.step,
            steps=self._config.steps,
            seeds=self._config.seed_numbers,
            metrics={key: _mean(total, active) for key, total in totals.items()} if self._timer.started else {},
            monitor=self._monitor,
            validation={key: _per_seed(value, active) for key, value in validation.items()},
            best=(None,) * len(active) if best is None else _per_seed(best.value, best.step != NEVER),
            steps_per_second=self._timer.rate(self.step),
            remaining=self._timer.remaining(self.step),
            seconds=self._timer.seconds(),
            diverged=self._note_diverged(diverged_at),
            notices=tuple(self._notices),
        )
        self._notices.clear()
        self.all_diverged = not active.any()
        if self._log is not None and report.metrics:
            self._log.append(report.row())
        return report

    def _note_diverged(self, diverged_at: np.ndarray) -> dict[int, int]:
        """Seeds that diverged and when; a sentence about each new one is added to the notices."""
        pairs = zip(self._config.seed_numbers, diverged_at.tolist(), strict=True)
        diverged = {seed: step for seed, step in pairs if step != NEVER}
        self._notices += [
            f"Seed {seed} diverged at step {step}: its loss or parameters were no longer finite; "
            "its state from before that step is kept."
            for seed, step in diverged.items()
            if seed not in self._diverged
        ]
        self._diverged = diverged
        return diverged

    def diverged_seeds(self) -> str:
        """Which seed diverged when, as words."""
        return ", ".join(f"seed {seed} at step {step}" for seed, step in self._diverged.items())

    def save(self) -> None:
        """Begins to write a checkpoint of this step, unless there is one."""
        if self._checkpoints is not None and self._saved != self.step:
            self._checkpoints.save(self.state)
            self._saved = self.step

    def finish(self) -> None:
        """Waits until all files are written."""
        if self._checkpoints is not None:
            self._checkpoints.wait()


def _mean(figure: Figure, known: np.ndarray) -> PerSeed:
    """Σ total / Σ count of each seed."""
    counted = figure.count > 0
    value = np.divide(figure.total, figure.count, out=np.full_like(figure.total, math.nan), where=counted)
    return _per_seed(value, known)


def _per_seed(values: np.ndarray, known: np.ndarray) -> PerSeed:
    pairs = zip(values.tolist(), known.tolist(), strict=True)
    return tuple(value if there and math.isfinite(value) else None for value, there in pairs)
