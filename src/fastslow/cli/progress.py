"""How far a training is: a bar on a terminal, a line for each report elsewhere; always on standard error."""

from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ..training.report import PerSeed, Report
from .console import console, say

WIDE = 130
"""Columns in which a bar and all its figures fit into one line; in fewer they take two."""


class Watcher:
    """Shows the reports of one training after the other; use it in a `with` statement."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._validation: dict[str, float] = {}
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24 if self._console.width >= WIDE else 8),
                TimeElapsedColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[figures_line]}"),
                console=self._console,
                refresh_per_second=4,
            )

    def __enter__(self) -> "Watcher":
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, name: str, report: Report) -> None:
        """Shows a report.

        Args:
            name: what is being trained.
            report: how far it is.
        """
        for notice in report.notices:
            self.note(notice)
        validation = _mean(report.validation.get(report.monitor.key))
        if validation is not None:
            self._validation[name] = validation
        figures = self._figures(name, report)
        if self._bars is None:
            say(f"{name}: step {report.step}/{report.steps} · {' · '.join(figures)}")
            return
        cut = 2 if self._console.width < WIDE else len(figures)
        figures_line = "\n".join(" · ".join(line) for line in (figures[:cut], figures[cut:]) if line)
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=report.steps, figures_line="")
        self._bars.update(self._tasks[name], completed=report.step, total=report.steps, figures_line=figures_line)

    def note(self, sentence: str) -> None:
        """Prints a sentence above the bar."""
        if self._bars is None:
            say(sentence)
        else:
            self._console.print(sentence, markup=False)

    def _figures(self, name: str, report: Report) -> list[str]:
        if not report.metrics:
            return ["compiling, then the first figures"]
        monitor = report.monitor
        form = "{:.1%}" if monitor.unit == "share" else "{:.3f}"
        figures = []
        for title, key, each in (("loss", "loss", "{:.3f}"), (monitor.name, monitor.key, form)):
            value = _mean(report.metrics[key])
            figures.append(f"{title} {'–' if value is None else each.format(value)}")
        if name in self._validation:
            figures.append(f"validation {form.format(self._validation[name])}")
        if report.steps_per_second:
            figures.append(f"{report.steps_per_second:.3g} steps/s")
        if report.remaining and report.step < report.steps:
            figures.append(f"{duration(report.remaining)} left")
        return figures


def duration(seconds: float) -> str:
    """A time as `h:mm:ss` or `m:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _mean(figures: PerSeed | None) -> float | None:
    """The mean over the seeds that have a figure."""
    known = [figure for figure in figures or () if figure is not None]
    return sum(known) / len(known) if known else None
