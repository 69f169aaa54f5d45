"""`metrics.jsonl`: one line of JSON a report, on disk as soon as it is known."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .files import replace_text, writing


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of a metrics file, up to the first that is torn or no JSON object.

    A line holds `step`, `seconds` (of training, all sittings together), `steps_per_second`, and lists with one value
    a seed (null for one that died): `loss`, `accuracy` and the learner's other figures as means over the updates since
    the last report, and `validation_accuracy` where there was a validation (`validation_log_likelihood` where learners
    are judged by it).
    """
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            return
        try:
            row = json.loads(line)
        except ValueError:
            return
        if not isinstance(row, dict) or "step" not in row:
            return
        yield row


class MetricsLog:
    """Appends lines to a metrics file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Mapping[str, Any]) -> None:
        """Writes one line and hands it to the operating system."""
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_line(row))

    def cut_back(self, step: int) -> dict[str, Any] | None:
        """Takes away what was reported after a step, and a torn last line; the file is whole at any moment.

        Args:
            step: the update that the run goes on from.

        Returns:
            The last line that is left, if any.
        """
        rows = [row for row in read_metrics(self.path) if row["step"] <= step]
        replace_text(self.path, "".join(map(_line, rows)))
        return rows[-1] if rows else None


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
