"""What a memory and synthetic gradients are each worth: networks of equal updates, over the number of slots.

Memory alone takes no inner steps; inner steps alone have no slots; both have both; and the same with the true gradient
in the inner steps. Every network is trained by itself: to switch off a part that a network was trained with would show
only that it is used.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...learners.fast_slow import FastSlowConfig, Gradient
from ...models.any_way import AnyWayConfig
from ...plotting.slots import over_slots
from ...plotting.style import save
from ...results.row import ResultRow
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows
from .table1 import any_way

NAME = "fast-slow/worth"
SLOTS = (0, 5, 10, 25, 100)
SETTINGS = ("5-way 5-shot", "20-way 1-shot")
WAYS: dict[str, tuple[int, Gradient]] = {
    "memory alone": (0, "true"),
    "synthetic gradients": (2, "synthetic"),
    "true gradients": (2, "true"),
}
"""Inner steps and what they follow."""


def name_of(slots: int, kind: str) -> str:
    """A row's name."""
    return f"{slots} slots, {kind}"


def rows(budget: Budget) -> list[Row]:
    """The rows of the table; without slots there is no memory alone."""
    found = []
    for slots in (0, 5) if budget == "smoke" else SLOTS:
        for kind, (inner, gradient) in WAYS.items():
            if slots or inner:
                name = name_of(slots, kind)
                learner = FastSlowConfig(steps=inner, gradient=gradient)
                row = any_way(
                    budget, name, name.replace(", ", "-").replace(" ", "-"), AnyWayConfig(slots=slots), learner
                )
                steps = {"smoke": 2, "laptop": 2_000, "paper": 20_000}[budget]
                config = replace(row.config, training=replace(row.config.training, steps=steps, seeds=1))
                # smoke has one setting, which is neither
                settings = tuple(s for s in row.settings if s.label in SETTINGS) or row.settings
                found.append(replace(row, config=config, settings=settings))
    return found


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows, and draws them."""
    episodes = 20 if budget == "smoke" else 1000
    results = run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=episodes)
    save(over_slots(panels(results)), out / "figures" / "slots.png")
    return results


def panels(results: list[ResultRow]) -> dict[str, dict[str, np.ndarray]]:
    """The lines of each setting: slots, accuracy, bounds."""
    found = {(row.row, row.axis["setting"]): (row.value, *row.ci95) for row in results}
    lines: dict[str, dict[str, np.ndarray]] = {}
    for setting in dict.fromkeys(row.axis["setting"] for row in results):
        for kind in WAYS:
            names = {slots: (name_of(slots, kind), setting) for slots in SLOTS}
            line = [(slots, *found[name]) for slots, name in names.items() if name in found]
            if line:
                lines.setdefault(str(setting), {})[kind] = np.array(line)
    return lines


EXPERIMENT = Experiment(
    name=NAME,
    summary="What a memory of 0 to 100 slots and synthetic gradients are each worth, at equal updates",
    expected={"smoke": "3 minutes", "laptop": "2 hours", "paper": "20 hours"},
    run=run,
)
