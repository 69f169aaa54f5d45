"""Omniglot, Table 1's four columns: NMN + SG by the regime that works, and its baseline (fast-slow section 4.1)."""

from dataclasses import replace
from pathlib import Path

from ...configs.presets import PRESETS, SMOKE
from ...results.row import ResultRow
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows
from .regimes import with_regime

NAME = "fast-slow/omniglot"

PAPER = {
    "omniglot-5way-1shot": ("5-way 1-shot", 0.990),
    "omniglot-5way-5shot": ("5-way 5-shot", 0.997),
    "omniglot-20way-1shot": ("20-way 1-shot", 0.979),
    "omniglot-20way-5shot": ("20-way 5-shot", 0.991),
}
"""Table 1: name of the column, and the proposed network's figure. The paper's baseline is not our second row, which
learns through its inner steps, so its figures do not stand there."""


def rows(budget: Budget) -> list[Row]:
    """Both networks in each column; smoke has the first column of a tiny one on generated characters."""
    found = []
    for preset, (column, proposed) in PAPER.items():
        config = PRESETS[preset].config if budget != "smoke" else SMOKE
        if budget == "paper":
            config = replace(config, training=replace(config.training, seeds=3, steps=10 * config.training.steps))
        true = with_regime(config, "true")
        found.append(Row(f"NMN + SG, regime meta, {column}", preset, config, {"accuracy": proposed}))
        found.append(Row(f"NMN, regime true, {column}", f"{preset}-true", true))
        if budget == "smoke":
            break
    return found


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows."""
    episodes = 20 if budget == "smoke" else 1000
    return run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=episodes)


EXPERIMENT = Experiment(
    name=NAME,
    summary="Omniglot, 5 and 20 classes, 1 and 5 examples: NMN + SG and its baseline beside the paper's figures",
    expected={"smoke": "1 minute", "laptop": "8 hours", "paper": "10 days"},
    run=run,
)
