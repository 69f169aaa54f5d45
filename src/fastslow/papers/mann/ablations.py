"""Why two rows of Table 2 differ from the paper: a feed-forward controller, and an autoencoder's nearest neighbours.

With five classes and string labels the feed-forward controller of the paper names 8.0 and 46.8 % of 2nd and 10th
instances, ours far more. Each row takes away one thing in which ours may differ. The neighbours of the autoencoder are
below the paper; there the rows change the width of the code and the length of the training.
"""

from dataclasses import replace
from pathlib import Path

from ...configs.streams import StreamConfig
from ...optim.config import OptimiserConfig
from ...results.row import ResultRow, read_rows, write_rows
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_row
from . import table2
from .neighbours import CODE, neighbour_rows, train_autoencoder
from .settings import AS_MANY, network, sharp, test_episodes

NAME = "mann/ablations"
CONTROLLER = "MANN, feed-forward controller"
CODES = ((CODE, 1_000), (CODE, 10_000), (16, 10_000), (64, 10_000), (128, 10_000))
"""Width of the code and updates of each autoencoder."""


def rows(budget: Budget) -> list[Row[StreamConfig]]:
    """Our network, and the same with one thing less, then with all four; five classes, string labels."""
    block = table2.blocks(budget)[0]
    plain = network(block.streams, budget, AS_MANY)
    plain = replace(plain, model=replace(plain.model, controller="feed-forward"))
    ours, printed = sharp(plain), OptimiserConfig("rmsprop", learning_rate=1e-4, final=1.0)
    changed = {
        "nothing": ours,
        "strength and own vectors": plain,
        "Muon: RMSProp as printed": replace(ours, optimiser=printed),
        "the previous read": replace(ours, model=replace(ours.model, previous_read=False)),
        "three of four heads": replace(ours, model=replace(ours.model, heads=1)),
        "all of these": replace(plain, optimiser=printed, model=replace(plain.model, heads=1, previous_read=False)),
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
        if not (resume and finished.is_file()):
            training = many.base.training if budget == "smoke" else replace(many.base.training, steps=steps)
            given = {"resume": resume, "watch": watch, "features": features}
            trained = train_autoencoder(folder, many.streams, training, **given)
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
