"""Omniglot, 5 classes, 1 example: learners that the NMN is compared with, on its episodes and its embedding.

MAML's authors take one inner step of rate 0.4 on the summed loss (2.0 on the mean) in 32 tasks, with four strided
convolution blocks; prototypes are trained by their authors with 60 classes an episode. Here both have eight tasks of
five classes and three queries of each, the paper's three blocks, Adam with cosine decay, and gradients clipped to 10.
"""

from dataclasses import replace
from pathlib import Path

from ...configs.config import Config
from ...configs.presets import omniglot
from ...learners.maml import MAMLConfig, Order
from ...learners.prototypes import PrototypesConfig
from ...models.classifier import ClassifierConfig
from ...models.conv import ConvConfig
from ...models.embedder import EmbedderConfig
from ...results.row import ResultRow
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows

NAME = "fast-slow/table1"
SETTING = "5-way 1-shot"
MAML = 0.987
"""Table 1's figure of MAML, which is transductive."""


def _task(budget: Budget, steps: int) -> Config:
    """The task and the amount of training; a random draw of classes, as MAML's authors have it."""
    base = omniglot(5, 1, batch=8, queries=3, steps={"smoke": 2, "laptop": steps, "paper": 60_000}[budget], warp=0.0)
    if budget == "smoke":
        base = replace(base, training=replace(base.training, batch=2, validation_episodes=4))
    return replace(base, task=replace(base.task, split="omniglot_1200_423_random"))


def prototypes(budget: Budget) -> Row:
    """Prototypical networks."""
    config = replace(_task(budget, 6_000), model=EmbedderConfig(ConvConfig()), learner=PrototypesConfig())
    return Row(f"prototypes, {SETTING}", "prototypes", config)


def maml(budget: Budget, order: Order) -> Row:
    """MAML with five inner steps of rate 0.4 on the mean loss."""
    learner = MAMLConfig(steps=5, rate=0.4, order=order)
    config = replace(_task(budget, 3_000), model=ClassifierConfig(ConvConfig()), learner=learner)
    paper = {"accuracy": MAML} if order == "second" else None
    return Row(f"MAML, {order} order, {SETTING}", f"maml-{order}-order", config, paper)


def rows(budget: Budget) -> list[Row]:
    """The rows of the table."""
    return [prototypes(budget), maml(budget, "first"), maml(budget, "second")]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows."""
    episodes = 20 if budget == "smoke" else 1000
    return run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=episodes)


EXPERIMENT = Experiment(
    name=NAME,
    summary="What the NMN is compared with on Omniglot, 5 classes, 1 example each: prototypes and MAML",
    expected={"smoke": "2 minutes", "laptop": "2 hours", "paper": "2 days"},
    run=run,
)
