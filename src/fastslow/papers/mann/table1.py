"""Table 1: five characters under one-hot labels, accuracy of each instance (mann section 4.2)."""

from dataclasses import replace
from pathlib import Path

from ...cells.feedforward import FeedForwardConfig
from ...configs.config import Config
from ...configs.presets import sharp
from ...optim.config import RMSPropConfig
from ...optim.schedules import ConstantConfig
from ...results.row import ResultRow
from ...tasks.omniglot_stream import OmniglotStreamConfig
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows
from .settings import (
    EPISODES,
    MOST,
    PRINTED,
    SHARP,
    by_instance,
    network,
    test_episodes,
    with_as_many,
    with_cell,
    without_memory,
)

NAME = "mann/table1"

PAPER = {
    "mann": (0.364, 0.828, 0.910, 0.926, 0.949, 0.981),
    "lstm": (0.244, 0.495, 0.553, 0.610, 0.636, 0.625),
    "feed-forward": (0.244, 0.196, 0.211, 0.199, 0.228, 0.195),
}
"""Shares named rightly at the 1st, 2nd, 3rd, 4th, 5th and 10th instance. (The paper quotes people, too: 34.5, 57.3,
70.1, 71.8, 81.4 and 92.4 %.)"""


def rows(budget: Budget) -> list[Row]:
    """The rows of the table, each network after the paper's number of episodes, too."""
    once = network(OmniglotStreamConfig(), budget, MOST, seeds=3 if budget == "paper" else 1)
    thrice = network(OmniglotStreamConfig(), budget, MOST, seeds=3)
    feed_forward = with_cell(once, controller=FeedForwardConfig(hidden=once.model.cell.controller.hidden))
    found = with_as_many(
        [
            Row(SHARP, "mann-sharp", sharp(thrice), by_instance(PAPER["mann"])),
            Row(PRINTED, "mann", once, by_instance(PAPER["mann"])),
            Row("LSTM", "lstm", without_memory(once), by_instance(PAPER["lstm"])),
            Row("feed-forward", "feed-forward", without_memory(feed_forward), by_instance(PAPER["feed-forward"])),
        ]
    )
    return found if budget == "smoke" else [*found, *long_rows(once)]


def long_rows(base: Config) -> list[Row]:
    """The LSTM, and the network with equations and optimizer as printed, after 100,000 updates of 16 episodes."""
    longer = replace(base, training=replace(base.training, steps=EPISODES, seeds=1))
    printed = replace(longer, optimizer=RMSPropConfig(learning_rate=1e-4, schedule=ConstantConfig()))
    lstm, mann = by_instance(PAPER["lstm"]), by_instance(PAPER["mann"])
    return [
        Row(f"LSTM, {EPISODES:,} updates", f"lstm-{EPISODES}", without_memory(longer), lstm),
        Row(f"MANN, equations and RMSProp as printed, {EPISODES:,} updates", "mann-printed-rmsprop", printed, mann),
    ]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows."""
    return run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=test_episodes(budget))


EXPERIMENT = Experiment(
    name=NAME,
    summary="Omniglot streams, 5 classes, one-hot labels: MANN, LSTM and feed-forward beside the paper's figures",
    expected={"smoke": "1 minute", "laptop": "3.5 hours", "paper": "18 hours"},
    run=run,
)
