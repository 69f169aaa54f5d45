"""Table 2: labels that are strings, five and fifteen classes, every architecture of the paper (mann section 4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...cells.feedforward import FeedForwardConfig
from ...configs.config import Config
from ...configs.presets import sharp
from ...memory.ntm import NTMConfig, WriteStart
from ...results.row import ResultRow, read_rows, write_rows
from ...tasks.omniglot_stream import OmniglotStreamConfig
from ..base import Budget, Experiment, Watch
from ..rows import Row, as_stored, run_row
from .neighbours import FEATURES, autoencoder_config, neighbour_rows, train_autoencoder
from .settings import MORE, as_many, by_instance, network, test_episodes, with_as_many, with_cell, without_memory

NAME = "mann/table2"
LENGTHS = {5: 50, 15: 100}
"""Steps of an episode by its number of classes, as the paper's section 4.2 has them."""

START = ", write head starting in order"
IN_ORDER = f"MANN, NTM access{START}"
PIXELS, DEEP = "kNN, pixels", "kNN, autoencoder features"
PAPER = {
    5: {
        PIXELS: (0.040, 0.367, 0.419, 0.457, 0.481, 0.570),
        DEEP: (0.040, 0.519, 0.610, 0.663, 0.693, 0.775),
        "feed-forward": (0.0, 0.002, 0.0, 0.002, 0.0, 0.0),
        "LSTM": (0.0, 0.090, 0.142, 0.169, 0.218, 0.255),
        "MANN, feed-forward controller": (0.0, 0.080, 0.162, 0.252, 0.309, 0.468),
        "MANN, LSTM controller": (0.0, 0.695, 0.804, 0.879, 0.884, 0.931),
    },
    15: {
        PIXELS: (0.005, 0.187, 0.233, 0.265, 0.291, 0.370),
        DEEP: (0.004, 0.327, 0.412, 0.471, 0.506, 0.600),
        "feed-forward": (0.0, 0.001, 0.0, 0.0, 0.0, 0.0),
        "LSTM": (0.0, 0.022, 0.029, 0.043, 0.056, 0.127),
        "MANN, feed-forward controller": (0.001, 0.128, 0.223, 0.288, 0.322, 0.434),
        "MANN, LSTM controller": (0.001, 0.626, 0.793, 0.866, 0.887, 0.953),
        "MANN, NTM access": (0.0, 0.354, 0.612, 0.717, 0.777, 0.884),
    },
}
"""Shares named rightly at the 1st, 2nd, 3rd, 4th, 5th and 10th instance."""


@dataclass(frozen=True)
class Block:
    """One half of the table. Attributes: `classes` of an episode; the `streams`; `base`, the network as printed."""

    classes: int
    streams: OmniglotStreamConfig
    base: Config

    def name(self, row: str) -> str:
        """Name of a row in the whole table."""
        return f"{self.classes} classes: {row}"

    def paper(self, row: str) -> Mapping[str, float]:
        """The paper's figures of a row."""
        return by_instance(PAPER[self.classes][row.removesuffix(START)])

    def with_ntm(self, write_start: WriteStart = "uniform") -> Config:
        """The network with the neural Turing machine's access."""
        memory = self.base.model.cell.memory
        ntm = NTMConfig(memory.slots, memory.width, memory.heads, write_start=write_start)
        return with_cell(self.base, memory=ntm)

    def with_feed_forward(self) -> Config:
        """The network with a feed-forward controller."""
        controller = FeedForwardConfig(hidden=self.base.model.cell.controller.hidden)
        return with_cell(self.base, controller=controller)


def blocks(budget: Budget) -> list[Block]:
    """Both halves."""
    tasks = {n: OmniglotStreamConfig(classes=n, length=length, labels="strings") for n, length in LENGTHS.items()}
    return [Block(n, task, network(task, budget, MORE)) for n, task in tasks.items()]


def rows(block: Block) -> list[Row]:
    """The rows of a block that are trained, its headline first; each after the paper's number of episodes, too."""
    planned = {
        "MANN, LSTM controller": sharp(block.base),
        "MANN, feed-forward controller": sharp(block.with_feed_forward()),
        "LSTM": without_memory(block.base),
        "feed-forward": without_memory(block.with_feed_forward()),
        "MANN, NTM access": block.with_ntm(),
        IN_ORDER: block.with_ntm("in-order"),
    }
    return with_as_many(
        Row(
            block.name(row),
            f"{block.classes}-{row.lower().replace(', ', '-').replace(' ', '-')}",
            config,
            block.paper(row),
        )
        for row, config in planned.items()
        if row.removesuffix(START) in PAPER[block.classes]
    )


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows, in the order of the paper's table."""
    found: dict[str, list[ResultRow]] = {}
    episodes = test_episodes(budget)
    both = blocks(budget)
    for block in both:
        for row in rows(block):
            found[row.name] = run_row(NAME, row, out, resume=resume, watch=watch, episodes=episodes)[0]
    found |= _neighbours(out, budget, resume=resume, watch=watch, episodes=episodes)
    order = [block.name(row) for block in both for row in PAPER[block.classes]] + [both[-1].name(IN_ORDER)]
    return [result for name in order for result in [*found[name], *found.get(as_many(name), [])]]


def _neighbours(out: Path, budget: Budget, *, resume: bool, watch: Watch, episodes: int) -> dict[str, list[ResultRow]]:
    """The rows of nearest neighbours, with one autoencoder for both halves; all of them again unless all are there."""
    finished = out / FEATURES / "result.json"
    both = blocks(budget)
    training = both[-1].base.training
    config = autoencoder_config(both[-1].streams, replace(training, steps=3 * training.steps))
    if resume and finished.is_file():
        results = read_rows(finished)
        same = results[-1].config[FEATURES] == as_stored(config)
        if same and results[-1].episodes == episodes:
            return {name: [r for r in results if r.row == name] for name in dict.fromkeys(r.row for r in results)}
    trained = train_autoencoder(out / FEATURES, config, resume=resume, watch=watch)
    found = {}
    for block in both:
        for row, autoencoder in ((PIXELS, None), (DEEP, trained)):
            name, paper = block.name(row), block.paper(row)
            given = {"episodes": episodes, "paper": paper, "autoencoder": autoencoder}
            found[name] = neighbour_rows(NAME, name, block.streams, **given)
    write_rows(finished, [result for each in found.values() for result in each])
    return found


EXPERIMENT = Experiment(
    name=NAME,
    summary="Omniglot streams, string labels, 5 and 15 classes: all thirteen rows beside the paper's",
    expected={"smoke": "4 minutes", "laptop": "6 hours", "paper": "1 day"},
    run=run,
)
