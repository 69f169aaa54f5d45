"""One run while it lasts: its state, its compiled functions and its files."""

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..learners.base import AbstractLearner
from ..tasks.base import AbstractTask
from .checkpoint import Checkpoints
from .config import TrainingConfig
from .evaluate import scores
from .folder import RunFolder
from .metrics import MetricsLog
from .parallel import copy_to, episode_mesh
from .report import PerSeed, Report
from .state import NEVER, TrainState, initial_state
from .update import compile_score, compile_update, keep_best

AHEAD = 4
"""Updates that the host may be ahead of the devices: enough to keep them busy, few enough to stop soon."""


class Run:
    """What `fit` drives. It touches the devices' results only where one is reported or saved."""

    def __init__(
        self,
        learner: AbstractLearner,
        task: AbstractTask,
        config: TrainingConfig,
        validation: AbstractTask | None,
        folder: RunFolder | None,
        devices: Sequence[Any] | None,
    ) -> None:
        self._config = config
        self._judged_by = learner.judged_by
        self._mesh, notices = episode_mesh(config.batch, devices)
        self._notices = list(notices)
        self._log = None if folder is None else MetricsLog(folder.metrics)
        self._checkpoints = None if folder is None else Checkpoints(folder.checkpoints)
        self._seconds_before = 0.0
        self._began = time.perf_counter()
        state = None
        if folder is not None and self._log is not None and self._checkpoints is not None:
            self._notices += (*folder.notices, *folder.check_environment(self._mesh.size))
            if folder.resuming:
                state = self._resumed(learner, task, self._checkpoints, self._log)
        if state is None:
            state = initial_state(learner, task, config)
        self.state = copy_to(state, self._mesh)
        self.step = int(state.step)
        self.all_dead = False
        self._saved = self.step if folder and folder.resuming else None
        self._died: dict[int, int] = {}
        self._validation: Array | None = None
        self._running: deque[Array] = deque()
        self._timed_from: tuple[float, int] | None = None
        self._first_timed: tuple[float, int] | None = None
        self._update = compile_update(learner, task, config, self._mesh)
        self._score = None
        if validation is not None:
            self._score = compile_score(learner, validation, config.batch, self._mesh, config.over_seeds)

    def _resumed(
        self, learner: AbstractLearner, task: AbstractTask, checkpoints: Checkpoints, log: MetricsLog
    ) -> TrainState | None:
        """The state to go on from, with the files brought back to its step; None where there is none."""
        checkpoints.clean()
        like = jax.eval_shape(lambda: initial_state(learner, task, self._config))
        state, notices = checkpoints.load(like)
        self._notices += notices
        step = 0 if state is None else int(state.step)
        if state is None:
            self._notices.append(f"{checkpoints.folder} holds no checkpoint yet: starting from the beginning.")
        checkpoints.set_aside_after(step)
        last = log.cut_back(step)
        self._seconds_before = last["seconds"] if last else 0.0
        return state

    def advance(self) -> None:
        """Dispatches one update, and a validation where one is due; waits only to stay near the devices."""
        self.state, losses = self._update(self.state)
        self.step += 1
        self._running.append(losses)
        if len(self._running) > AHEAD:
            self._running.popleft().block_until_ready()
        if self._timed_from is None:  # the first call compiled
            self._timed_from = self._first_timed = (time.perf_counter(), self.step)
        self._validation = None
        if self._score is not None and self.is_due(self._config.validate_every):
            key = jax.random.key(self._config.validation_seed)
            found = scores(self._score, self.state.learner, key, self._config.validation_episodes, self._config.batch)
            self._validation = jnp.mean(found[self._judged_by], axis=1)
            self.state = keep_best(self.state, self._validation)

    def is_due(self, every: int) -> bool:
        """Whether something that happens now and then, and at the end, happens at this step."""
        return self.step % every == 0 or self.step == self._config.steps

    def reports_now(self) -> bool:
        """Whether this step is reported."""
        return self._validation is not None or self.is_due(self._config.log_every)

    def report(self) -> Report:
        """Waits for the figures of this step, writes them to the metrics file and gives them back."""
        state = self.state
        totals, best, alive, died_at, validation = jax.device_get(
            (state.totals, state.best.figure, state.alive, state.died_at, self._validation)
        )
        updates = (self.step - 1) % self._config.log_every + 1
        means = {name: _per_seed(total / updates, alive) for name, total in totals.items()}
        report = Report(
            step=self.step,
            steps=self._config.steps,
            seeds=self._config.seed_numbers,
            metrics=means if self._timed_from else {},
            validation=None if validation is None else _per_seed(validation, alive),
            best=_per_seed(best, np.isfinite(best)),
            judged_by=self._judged_by,
            steps_per_second=self._rate(),
            remaining=self._remaining(),
            seconds=self._seconds_before + time.perf_counter() - self._began,
            died=self._deaths(died_at),
            notices=tuple(self._notices),
        )
        self._notices.clear()
        self.all_dead = not alive.any()
        if self._log is not None and report.metrics:
            self._log.append(report.row())
        return report

    def _rate(self) -> float:
        now, since = time.perf_counter(), self._timed_from
        if since is None:
            return 0.0
        self._timed_from = (now, self.step)
        return (self.step - since[1]) / (now - since[0])

    def _remaining(self) -> float | None:
        if self._first_timed is None or self._first_timed[1] == self.step:
            return None
        seconds, steps = time.perf_counter() - self._first_timed[0], self.step - self._first_timed[1]
        return (self._config.steps - self.step) * seconds / steps

    def _deaths(self, died_at: np.ndarray) -> dict[int, int]:
        """Seeds that died and when; a sentence about each new one is added to the notices."""
        pairs = zip(self._config.seed_numbers, died_at.tolist(), strict=True)
        died = {seed: step for seed, step in pairs if step != NEVER}
        self._notices += [
            f"Seed {seed} stopped at step {step}: its loss or parameters were no longer finite; "
            "what it was before that step is kept."
            for seed, step in died.items()
            if seed not in self._died
        ]
        self._died = died
        return died

    def obituary(self) -> str:
        """Which seed died when, as words."""
        return ", ".join(f"seed {seed} at step {step}" for seed, step in self._died.items())

    def save(self) -> None:
        """Begins to write a checkpoint of this step, unless there is one."""
        if self._checkpoints is not None and self._saved != self.step:
            self._checkpoints.save(self.state)
            self._saved = self.step

    def finish(self) -> None:
        """Waits until all files are written."""
        if self._checkpoints is not None:
            self._checkpoints.wait()


def _per_seed(figures: np.ndarray, known: np.ndarray) -> PerSeed:
    pairs = zip(figures.tolist(), known.tolist(), strict=True)
    return tuple(figure if there and math.isfinite(figure) else None for figure, there in pairs)
