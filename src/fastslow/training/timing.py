"""How fast a run is; the first update, which compiles, is not timed."""

import time


class Timer:
    """Times the updates of one start of a run.

    Attributes:
        started: whether the first update is over.
    """

    def __init__(self, steps: int, seconds_before: float) -> None:
        """Starts the clock.

        Args:
            steps: updates of the whole run.
            seconds_before: training time of the starts before this one.
        """
        self._steps = steps
        self._zero = time.perf_counter() - seconds_before
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] | None = None

    @property
    def started(self) -> bool:
        return self._first is not None

    def note(self, step: int) -> None:
        """Notes that an update was dispatched."""
        if self._first is None:
            self._first = self._last = (time.perf_counter(), step)

    def seconds(self) -> float:
        """Training time, all starts of the run together."""
        return time.perf_counter() - self._zero

    def rate(self, step: int) -> float:
        """Updates per second since this was asked last; 0 before anything was timed."""
        if self._last is None:
            return 0.0
        now, (then, before) = time.perf_counter(), self._last
        self._last = (now, step)
        return (step - before) / (now - then)

    def remaining(self, step: int) -> float | None:
        """Seconds to go at the rate since the first update; None before anything was timed."""
        if self._first is None or self._first[1] == step:
            return None
        then, before = self._first
        return (self._steps - step) * (time.perf_counter() - then) / (step - before)
