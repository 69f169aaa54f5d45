"""Table 1: Omniglot, 5 and 20 classes, 1 and 5 examples of each, on one embedding (fast-slow section 4.1).

Every network has the paper's three convolution blocks, Adam with cosine decay, and gradients clipped to 10. The joined
network serves any number of classes: it is trained once for each number of examples, with more classes an episode than
the tests have, and measured with 5 and with 20. MAML's authors take one inner step of rate 0.4 on the summed loss (2.0
on the mean) in 32 tasks, with four strided convolution blocks; here it takes five of rate 0.1 on the mean, in eight
tasks.
"""

import re
from dataclasses import replace
from pathlib import Path

from ...configs.config import Config
from ...configs.presets import omniglot
from ...learners.fast_slow import FastSlowConfig, Gradient
from ...learners.maml import MAMLConfig, Order
from ...learners.prototypes import PrototypesConfig
from ...models.any_way import AnyWayConfig
from ...models.classifier import ClassifierConfig
from ...models.conv import ConvConfig
from ...models.embedder import EmbedderConfig
from ...results.row import ResultRow
from ...synthetic.regimes import Regime
from ..base import Budget, Experiment, Watch
from ..rows import Row, Setting, run_rows
from .regimes import with_regime

NAME = "fast-slow/table1"
RANDOM, ORDERED = "omniglot_1200_423_random", "omniglot_1200_423"
"""Training classes drawn from all alphabets, as the rivals' authors have it; those that come first in the data set."""
PROPOSED = {(5, 1): 0.990, (5, 5): 0.997, (20, 1): 0.979, (20, 5): 0.991}
MAML = {(5, 1): 0.987}
"""Table 1's figures by classes and examples. MAML's are transductive."""
REGIMES: tuple[Regime, ...] = ("meta", "both", "synthetic", "true")
TRAIN_WAY = {1: 30, 5: 20}
"""Classes of a training episode of the joined network, by examples."""


def _base(budget: Budget, way: int, shot: int, steps: int, **sizes: int) -> Config:
    """A task of the random split and an amount of training."""
    base = omniglot(way, shot, steps={"smoke": 2, "laptop": steps, "paper": 60_000}[budget], warp=0.0, **sizes)
    if budget == "smoke":
        base = replace(base, training=replace(base.training, batch=2, validation_episodes=4))
    return replace(base, task=replace(base.task, split=RANDOM))


def _measured(config: Config, ways: tuple[int, ...], paper: dict[tuple[int, int], float]) -> tuple[Setting, ...]:
    """The settings that a network is measured in."""
    found = []
    for way in ways:
        task = replace(config.task, way=way, queries=5)
        figures = {"accuracy": paper[way, task.shot]} if (way, task.shot) in paper else None
        found.append(Setting(f"{way}-way {task.shot}-shot", task, figures))
    return tuple(found)


def joined(budget: Budget, name: str, gradient: Gradient, shot: int, *, steps: int = 2) -> Row:
    """The joined network, trained with more classes than it is tested with."""
    sizes = {"batch": 3, "queries": 2} if shot == 1 else {"batch": 2, "queries": 2}
    base = _base(budget, 5, shot, 4_000, **sizes)
    way = 10 if budget == "smoke" else TRAIN_WAY[shot]
    config = replace(
        base,
        task=replace(base.task, train_way=way),
        model=AnyWayConfig(),
        learner=FastSlowConfig(steps=steps, gradient=gradient),
    )
    ways = (5,) if budget == "smoke" else (5, 20)
    paper = PROPOSED if gradient == "synthetic" else {}
    return Row(
        name,
        re.sub(r"\W+", "-", f"{name} {shot} shot").lower(),
        config,
        settings=_measured(config, ways, paper),
    )


def ordered(row: Row) -> Row:
    """The same on the ordered split."""
    there = lambda config: replace(config, task=replace(config.task, split=ORDERED))
    settings = tuple(replace(s, task=replace(s.task, split=ORDERED)) for s in row.settings)
    return replace(
        row,
        name=f"{row.name}, ordered split",
        folder=f"{row.folder}-ordered",
        config=there(row.config),
        settings=settings,
    )


def prototypes(budget: Budget) -> Row:
    """Prototypical networks, trained in the setting that they are tested in."""
    base = _base(budget, 5, 1, 6_000, batch=8, queries=3)
    config = replace(base, model=EmbedderConfig(ConvConfig()), learner=PrototypesConfig())
    return Row("prototypes", "prototypes", config, settings=_measured(config, (5,), {}))


def maml(budget: Budget, order: Order) -> Row:
    """MAML with five inner steps of rate 0.1 on the mean loss; 0.4 is too large for features of a fixed length."""
    base = _base(budget, 5, 1, 3_000, batch=8, queries=3)
    config = replace(base, model=ClassifierConfig(ConvConfig()), learner=MAMLConfig(steps=5, rate=0.1, order=order))
    paper = MAML if order == "second" else {}
    return Row(f"MAML, {order} order", f"maml-{order}-order", config, settings=_measured(config, (5,), paper))


def regime(budget: Budget, name: Regime) -> Row:
    """The network bound to five classes, whose inner steps see an empty memory."""
    base = _base(budget, 5, 1, 3_000, batch=8, queries=3)
    return Row(
        f"NMN for five classes, regime {name}",
        f"regime-{name}",
        with_regime(base, name),
        settings=_measured(base, (5,), {}),
    )


def rows(budget: Budget) -> list[Row]:
    """The rows of the table; smoke has one column."""
    shots = (1,) if budget == "smoke" else (1, 5)
    both = [joined(budget, "NMN + SG", "synthetic", shot) for shot in shots]
    others = [joined(budget, "NMN, true gradients", "true", shot) for shot in shots]
    alone = [joined(budget, "NMN, memory alone", "true", shot, steps=0) for shot in shots]
    rivals = [prototypes(budget), maml(budget, "first"), maml(budget, "second")]
    regimes = [regime(budget, name) for name in REGIMES]
    return [*both, *map(ordered, both), *others, *alone, *rivals, *regimes]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows."""
    episodes = 20 if budget == "smoke" else 1000
    return run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=episodes)


EXPERIMENT = Experiment(
    name=NAME,
    summary="Table 1: NMN + SG on Omniglot, 5 and 20 classes, 1 and 5 examples, beside its rivals",
    expected={"smoke": "5 minutes", "laptop": "5 hours", "paper": "5 days"},
    run=run,
)
