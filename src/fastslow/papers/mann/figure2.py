"""Figure 2: accuracy of each instance over training, LSTM beside MANN (mann section 4.2).

The four trainings are rows of Tables 1 and 2. A finished row's folder may be copied here and resumed: by the
same code on the same devices it would give the same bits.
"""

from pathlib import Path

from ...plotting import streams as stream_plots
from ...plotting.style import save
from ...results.figures import instance_curves
from ...results.row import ResultRow
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows
from . import table1, table2
from .settings import test_episodes

NAME = "mann/figure2"


def rows(budget: Budget) -> list[Row]:
    """One-hot labels, 5 classes; strings, 15 classes."""
    few = {row.folder: row for row in table1.rows(budget)}
    many = {row.folder: row for row in table2.rows(table2.blocks(budget)[1])}
    return [few["lstm"], few["mann-sharp"], many["15-lstm"], many["15-mann-lstm-controller"]]


TITLES = (
    "LSTM, 5 classes, one-hot labels",
    "MANN, 5 classes, one-hot labels",
    "LSTM, 15 classes, string labels",
    "MANN, 15 classes, string labels",
)


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures the four networks and draws the figure."""
    planned = rows(budget)
    results = run_rows(NAME, planned, out, resume=resume, watch=watch, episodes=test_episodes(budget))
    panels = {
        title: instance_curves(out / row.folder / "metrics.jsonl") for title, row in zip(TITLES, planned, strict=True)
    }
    save(stream_plots.over_training(panels), out / "figures" / "instances.png")
    return results


EXPERIMENT = Experiment(
    name=NAME,
    summary="Accuracy per instance over training: LSTM and MANN, 5 classes one-hot and 15 classes with strings",
    expected={"smoke": "2 minutes", "laptop": "3.5 hours", "paper": "16 hours"},
    run=run,
)
