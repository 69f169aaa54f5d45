"""Figure 3: a memory that is not wiped between episodes, beside one that is (mann section 4.2.1).

The paper does not say which labels its ten classes had; here both have one-hot labels. At test each episode starts from
a memory as training left it.
"""

from dataclasses import replace
from pathlib import Path

from ...configs.presets import sharp
from ...plotting import streams as stream_plots
from ...plotting.style import save
from ...results.figures import instance_curves
from ...results.row import ResultRow
from ...tasks.omniglot_stream import OmniglotStreamConfig
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows
from .settings import AS_MANY, network, test_episodes

NAME = "mann/figure3"


def rows(budget: Budget) -> list[Row]:
    """Five classes at length 50, ten at length 75; kept and wiped."""
    planned = []
    for classes, length in ((5, 50), (10, 75)):
        wiped = sharp(network(OmniglotStreamConfig(classes=classes, length=length), budget, AS_MANY))
        kept = replace(wiped, learner=replace(wiped.learner, persistent=True))
        planned += [
            Row(f"{classes} classes, memory kept", f"{classes}-kept", kept),
            Row(f"{classes} classes, memory wiped", f"{classes}-wiped", wiped),
        ]
    return planned


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures the four networks and draws the figure."""
    planned = rows(budget)
    results = run_rows(NAME, planned, out, resume=resume, watch=watch, episodes=test_episodes(budget))
    panels = {row.name: instance_curves(out / row.folder / "metrics.jsonl") for row in planned}
    save(stream_plots.over_training(panels), out / "figures" / "instances.png")
    return results


EXPERIMENT = Experiment(
    name=NAME,
    summary="Persistent memory: 5 classes, and 10 classes at length 75, memory kept between episodes or wiped",
    expected={"smoke": "2 minutes", "laptop": "40 minutes", "paper": "15 hours"},
    run=run,
)
