"""What there is to run, read from the source text: `fastslow list` must not wait for JAX to be imported.

A test compares it with what importing the modules gives.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Entry:
    """Something to run.

    Attributes:
        name: as it is typed.
        summary: what it is, in one line.
        expected: time on two CPU cores; for an experiment, by budget.
    """

    name: str
    summary: str
    expected: str


def presets() -> list[Entry]:
    """The presets, from the table `PRESETS` of `configs/presets.py`."""
    table = _assigned(_PACKAGE / "configs" / "presets.py", "PRESETS")
    if not isinstance(table, ast.Dict):
        raise TypeError("PRESETS is no literal dictionary")
    entries = []
    for name, call in zip(table.keys, table.values, strict=True):
        if isinstance(name, ast.Constant) and isinstance(call, ast.Call):
            summary, expected = (ast.literal_eval(word) for word in call.args[-2:])
            entries.append(Entry(str(name.value), summary, expected))
    return entries


def experiments() -> list[Entry]:
    """The experiments: each `EXPERIMENT` of a file in `papers/`."""
    entries = []
    for path in sorted((_PACKAGE / "papers").glob("*/*.py")):
        call = _assigned(path, "EXPERIMENT")
        if isinstance(call, ast.Call):
            words = {word.arg: word.value for word in call.keywords}
            name = words["name"]
            name = ast.literal_eval(_assigned(path, name.id) if isinstance(name, ast.Name) else name)
            times = ast.literal_eval(words["expected"])
            expected = ", ".join(f"{budget} {time}" for budget, time in times.items())
            entries.append(Entry(name, ast.literal_eval(words["summary"]), expected))
    return entries


def releases() -> list[Entry]:
    """The released models, from their folders; the first sentence of a card's text is the summary."""
    entries = []
    for params in sorted((_PACKAGE / "zoo" / "releases").glob("*/params.npz")):
        config = json.loads(params.with_name("config.json").read_text(encoding="utf-8"))
        task = config["task"]
        lines = params.with_name("card.md").read_text(encoding="utf-8").splitlines()
        text = " ".join(line.strip() for line in lines if line.strip() and not line.startswith("#"))
        entries.append(Entry(params.parent.name, text.partition(". ")[0].removesuffix("."), _made_for(task)))
    return entries


def _made_for(task: Mapping[str, Any]) -> str:
    """What a released model was trained on, in a few words."""
    if "way" in task:
        return f"{task.get('train_way') or task['way']}-way {task['shot']}-shot"
    return f"streams, {task['classes']} classes" if "classes" in task else str(task["kind"])


def _assigned(path: Path, name: str) -> ast.expr:
    """The expression that a module assigns to a name at its top; None's where it assigns none."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in statement.targets
        ):
            return statement.value
    return ast.Constant(None)
