"""What the experiments of mann share: how long they train at each budget, and the network they are about.

Deviations: Muon at 3e-3 on half a cosine, where the paper has RMSProp at 1e-4 (docs/decisions/011); gradients no longer
than 10; and heads that choose how sharply they read, and write a vector of its own, not the key they read by. With
equation 3 as printed no slot of 128 weighs more than 1/18, and by equation 8 what is stored for later must be what is
asked for now. With Adam training left chance several times later, by Muon it ends a little lower (docs/decisions/009);
`mann/table1` has that network as a row.
"""

from collections.abc import Iterable
from dataclasses import replace

from ...configs.config import Config
from ...configs.presets import small_stream, stream
from ...metrics import ACCURACY, label_of
from ...tasks.base import AbstractTaskConfig
from ...tasks.omniglot_stream import TABLED
from ..base import Budget
from ..rows import Row

EPISODES = 100_000
"""After which the paper measures. Public code takes them for updates of 16 episodes, as the budget `paper` does; the
tables have both."""
AS_MANY = EPISODES // 16
"""Updates at `laptop` in the figures: the paper's number of episodes."""
MORE = 20_000
"""Updates at `laptop` in the tables."""
MOST = 30_000
"""Updates at `laptop` in Table 1: one-hot labels of five classes still gain by more than `MORE`."""

PRINTED = "MANN, equations as printed"
SHARP = "MANN, learned strength, own vectors"


def network(task: AbstractTaskConfig, budget: Budget, steps: int, *, seeds: int = 1) -> Config:
    """The paper's network, as printed, on a task.

    Args:
        task: what it learns.
        budget: `smoke` trains a tiny network for four updates; `paper` for `EPISODES`.
        steps: updates at `laptop`.
        seeds: repetitions, at other budgets than `smoke`.
    """
    if budget == "smoke":
        return small_stream(task)
    return stream(task, steps if budget == "laptop" else EPISODES, seeds=seeds)


def with_cell(config: Config, **choices: object) -> Config:
    """The same with other choices of its cell."""
    return replace(config, model=replace(config.model, cell=replace(config.model.cell, **choices)))


def without_memory(config: Config) -> Config:
    """The controller alone, the paper's baselines."""
    return replace(config, model=replace(config.model, cell=config.model.cell.controller))


def as_many(name: str) -> str:
    """Name of a row's twin that is trained for the paper's number of episodes."""
    return f"{name}, {EPISODES:,} episodes"


def with_as_many(rows: Iterable[Row]) -> list[Row]:
    """Each row, and behind it the same network after as many episodes as the paper's, one seed, where it has more."""
    found = []
    for row in rows:
        found.append(row)
        training = row.config.training
        if training.steps > AS_MANY:
            config = replace(row.config, training=replace(training, steps=AS_MANY, seeds=1))
            found.append(Row(as_many(row.name), f"{row.folder}-{AS_MANY}", config, row.paper))
    return found


def test_episodes(budget: Budget) -> int:
    """Episodes that each seed is tested on."""
    return 20 if budget == "smoke" else 1000


def instance(number: int) -> str:
    """What is measured of the k-th instance of a class."""
    return label_of(ACCURACY.name, {"instance": number})


def by_instance(shares: tuple[float, ...]) -> dict[str, float]:
    """The paper's figures of a row, in the order of `TABLED`, by what is measured."""
    return {instance(k): share for k, share in zip(TABLED, shares, strict=True)}
