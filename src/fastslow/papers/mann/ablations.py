"""Why two rows of Table 2 differ from the paper: a feed-forward controller, and an autoencoder's nearest neighbours.

With five classes and string labels the feed-forward controller of the paper names 8.0 and 46.8 % of 2nd and 10th
instances, ours far more. Each row takes away one thing in which ours may differ. The neighbours of the autoencoder are
below the paper; there the rows change the width of the code and the length of the training.
"""

from dataclasses import replace
from pathlib import Path

from ...configs.presets import sharp
from ...models.autoencoder import AutoencoderConfig
from ...optim.config import RMSPropConfig
from ...optim.schedules import ConstantConfig
from ...results.row import ResultRow, read_rows, write_rows
from ..base import Budget, Experiment, Watch
from ..rows import Row, as_stored, run_row
from . import table2
from .neighbours import FEATURES, autoencoder_config, neighbour_rows, train_autoencoder
from .settings import AS_MANY, network, test_episodes, with_cell

NAME = "mann/ablations"
CONTROLLER = "MANN, feed-forward controller"
CODES = ((32, 1_000), (32, 3_000), (16, 1_000), (64, 1_000), (128, 1_000))
"""Width of the code and updates of each autoencoder; 32 is the paper's."""


def rows(budget: Budget) -> list[Row]:
    """Our network, and the same with one thing less, then with all four; five classes, string labels."""
    block = table2.blocks(budget)[0]
    plain = replace(block, base=network(block.streams, budget, AS_MANY)).with_feed_forward()
    ours, printed = sharp(plain), RMSPropConfig(learning_rate=1e-4, schedule=ConstantConfig())
    one_head = lambda config: with_cell(config, memory=replace(config.model.cell.memory, heads=1))
    changed = {
        "nothing": ours,
        "strength and own vectors": plain,
        "Muon: RMSProp as printed": replace(ours, optimizer=printed),
        "the previous read": with_cell(ours, previous_read=False),
        "three of four heads": one_head(ours),
        "all of these": replace(with_cell(one_head(plain), previous_read=False), optimizer=printed),
    }
    return [
        Row(
            f"{CONTROLLER}, without: {name}",
            name.partition(":")[0].replace(" ", "-").lower(),
            config,
            block.paper(CONTROLLER),
        )
        for name, config in changed.items()
    ]


def autoencoders(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Nearest neighbours by the codes of several autoencoders, five classes."""
    few, many = table2.blocks(budget)
    results = []
    for features, steps in CODES[:1] if budget == "smoke" else CODES:
        folder = out / f"autoencoder-{features}-{steps}"
        finished = folder / "result.json"
        training = many.base.training if budget == "smoke" else replace(many.base.training, steps=steps)
        config = autoencoder_config(many.streams, training, AutoencoderConfig(features=features))
        stored = read_rows(finished) if resume and finished.is_file() else []
        same = stored and stored[0].config[FEATURES] == as_stored(config)
        if not same or stored[0].episodes != test_episodes(budget):
            trained = train_autoencoder(folder, config, resume=resume, watch=watch)
            name = few.name(f"{table2.DEEP}, code of {features}, {steps:,} updates")
            given = {"episodes": test_episodes(budget), "paper": few.paper(table2.DEEP), "autoencoder": trained}
            write_rows(finished, neighbour_rows(NAME, name, few.streams, **given))
        results += read_rows(finished)
    return results


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows."""
    found = []
    for row in rows(budget):
        found += run_row(NAME, row, out, resume=resume, watch=watch, episodes=test_episodes(budget))[0]
    return [*found, *autoencoders(out, budget, resume=resume, watch=watch)]


EXPERIMENT = Experiment(
    name=NAME,
    summary="Table 2: what a feed-forward controller owes to each of our changes; autoencoders of other widths",
    expected={"smoke": "3 minutes", "laptop": "1 hour", "paper": "8 hours"},
    run=run,
)
