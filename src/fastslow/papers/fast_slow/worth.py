"""What a memory and synthetic gradients are each worth: networks of equal updates, over the number of slots.

Memory alone takes no inner steps; inner steps alone have no slots; both have both; and the same with the true gradient
in the inner steps. Every network is trained by itself: to switch off a part that a network was trained with would show
only that it is used.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...configs.presets import omniglot
from ...learners.fast_slow import FastSlowConfig, Gradient
from ...models.any_way import AnyWayConfig
from ...plotting.slots import over_slots
from ...plotting.style import save
from ...results.row import ResultRow
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows

NAME = "fast-slow/worth"
SLOTS = (0, 5, 10, 25, 100)
SETTINGS = ((5, 5), (20, 1))
"""Classes of an episode, and examples of each."""
WAYS: dict[str, tuple[int, Gradient]] = {
    "memory alone": (0, "true"),
    "synthetic gradients": (2, "synthetic"),
    "true gradients": (2, "true"),
}
"""Inner steps and what they follow."""


def name_of(way: int, shot: int, slots: int, kind: str) -> str:
    """A row's name."""
    return f"{way}-way {shot}-shot, {slots} slots, {kind}"


def rows(budget: Budget) -> list[Row]:
    """The rows of the table; without slots there is no memory alone."""
    found = []
    for way, shot in SETTINGS[:1] if budget == "smoke" else SETTINGS:
        steps = {"smoke": 2, "laptop": 2_000, "paper": 20_000}[budget]
        base = omniglot(way, shot, batch=6 if way == 5 else 4, queries=3 if way == 5 else 2, steps=steps, warp=0.0)
        base = replace(base, task=replace(base.task, split="omniglot_1200_423_random"))
        if budget == "smoke":
            base = replace(base, training=replace(base.training, batch=2, validation_episodes=4))
        for slots in (0, 5) if budget == "smoke" else SLOTS:
            for kind, (inner, gradient) in WAYS.items():
                if slots or inner:
                    learner = FastSlowConfig(steps=inner, gradient=gradient)
                    config = replace(base, model=AnyWayConfig(slots=slots), learner=learner)
                    name = name_of(way, shot, slots, kind)
                    found.append(Row(name, name.replace(", ", "-").replace(" ", "-"), config))
    return found


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows, and draws them."""
    episodes = 20 if budget == "smoke" else 1000
    results = run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=episodes)
    save(over_slots(_panels(results)), out / "figures" / "slots.png")
    return results


def _panels(results: list[ResultRow]) -> dict[str, dict[str, np.ndarray]]:
    """The lines of each setting: slots, accuracy, bounds."""
    found = {row.row: (row.value, *row.ci95) for row in results if row.metric == "accuracy"}
    panels: dict[str, dict[str, np.ndarray]] = {}
    for way, shot in SETTINGS:
        for kind in WAYS:
            names = {slots: name_of(way, shot, slots, kind) for slots in SLOTS}
            line = [(slots, *found[name]) for slots, name in names.items() if name in found]
            if line:
                panels.setdefault(f"{way}-way {shot}-shot", {})[kind] = np.array(line)
    return panels


EXPERIMENT = Experiment(
    name=NAME,
    summary="What a memory of 0 to 100 slots and synthetic gradients are each worth, at equal updates",
    expected={"smoke": "3 minutes", "laptop": "6 hours", "paper": "3 days"},
    run=run,
)
