"""Table 1: Omniglot, 5 and 20 classes, 1 and 5 examples of each, on one embedding (fast-slow section 4.1).

Every network has the paper's three convolution blocks (MetaNet its own five), Adam with cosine decay, and gradients
clipped to 10. What serves any number of classes is trained once, on episodes of one example of each of thirty classes,
and measured in all four settings; what is bound to a number of classes is trained in each. MAML's authors take one
inner step of rate 0.4 on the summed loss (2.0 on the mean) in 32 tasks, with four strided convolution blocks; here it
takes five of rate 0.1 on the mean, in eight tasks.
"""

import re
from dataclasses import replace
from pathlib import Path

from ...cells.mann import MANNConfig
from ...configs.config import Config
from ...configs.presets import maml_plus_plus, metanet, omniglot, sharp
from ...learners.base import AbstractLearnerConfig
from ...learners.fast_slow import FastSlowConfig
from ...learners.in_context import InContextConfig
from ...learners.maml import MAMLConfig, Order
from ...learners.matching import MatchingConfig
from ...learners.pretrained import PretrainedConfig
from ...learners.prototypes import PrototypesConfig
from ...models.any_way import AnyWayConfig
from ...models.base import AbstractModelConfig
from ...models.classifier import ClassifierConfig
from ...models.conv import ConvConfig
from ...models.embedder import EmbedderConfig
from ...models.network import NetworkConfig
from ...results.row import ResultRow
from ...results.settings import setting_of
from ...synthetic.regimes import Regime
from ..base import Budget, Experiment, Watch
from ..rows import Row, Setting, run_rows
from .regimes import with_regime

NAME = "fast-slow/table1"
RANDOM, ORDERED = "omniglot_1200_423_random", "omniglot_1200_423"
"""Training classes drawn from all alphabets, as the rivals' authors have it; those that come first in the data set."""
SETTINGS = ((5, 1), (5, 5), (20, 1), (20, 5))
"""Classes of an episode, and examples of each."""
TRAIN_WAY = 30
"""Classes of a training episode of what serves any number of them."""

Paper = dict[tuple[int, int], float]
BASELINE: Paper = {(5, 1): 0.802, (5, 5): 0.891, (20, 1): 0.781, (20, 5): 0.835}
PROPOSED: Paper = {(5, 1): 0.990, (5, 5): 0.997, (20, 1): 0.979, (20, 5): 0.991}
MANN: Paper = {(5, 1): 0.828, (5, 5): 0.949}
MAML: Paper = {(5, 1): 0.987, (5, 5): 0.999, (20, 1): 0.958, (20, 5): 0.989}
METANET: Paper = {(5, 1): 0.989, (20, 1): 0.970}
MAML_PLUS_PLUS: Paper = {(20, 1): 0.976, (20, 5): 0.993}
"""Table 1's figures by classes and examples. MAML's and MAML++'s are transductive. MANN's are of the second and fifth
instance of a class in a stream (mann, Table 1), not of one and five examples."""
REGIMES: tuple[Regime, ...] = ("both", "meta", "synthetic", "true")
NO_PAPER: Paper = {}


def _on(config: Config, budget: Budget, split: str, seeds: int) -> Config:
    """A training at a budget, on a split."""
    training = replace(config.training, seeds=seeds)
    if budget == "smoke":
        training = replace(config.training, steps=2, batch=2, validation_episodes=4)
    if budget == "paper":
        training = replace(training, steps=60_000)
    return replace(config, task=replace(config.task, split=split), training=training)


def _settings(config: Config, settings: tuple[tuple[int, int], ...], paper: Paper) -> tuple[Setting, ...]:
    """What a network is measured in."""
    found = []
    for way, shot in settings:
        task = replace(config.task, way=way, shot=shot, queries=5)
        figures = {"accuracy": paper[way, shot]} if (way, shot) in paper else None
        found.append(Setting(setting_of(task), task, figures))
    return tuple(found)


def any_way(
    budget: Budget,
    name: str,
    folder: str,
    model: AbstractModelConfig,
    learner: AbstractLearnerConfig,
    *,
    paper: Paper = NO_PAPER,
    split: str = RANDOM,
    seeds: int = 3,
) -> Row:
    """What serves any number of classes: one training, measured in every setting."""
    base = omniglot(5, 1, batch=3, queries=2, steps=4_000, warp=0.0)
    way = 10 if budget == "smoke" else TRAIN_WAY
    config = replace(base, task=replace(base.task, train_way=way), model=model, learner=learner)
    config = _on(config, budget, split, seeds)
    if split == ORDERED:
        name, folder = f"{name}, ordered split", f"{folder}-ordered"
    return Row(name, folder, config, settings=_settings(config, SETTINGS[:1] if budget == "smoke" else SETTINGS, paper))


def of_five_examples(budget: Budget) -> Row:
    """The joined network trained on five examples of each of twenty classes, as many drawings an update."""
    base = omniglot(5, 5, batch=2, queries=2, steps=4_000, warp=0.0)
    config = replace(base, task=replace(base.task, train_way=20), model=AnyWayConfig(), learner=FastSlowConfig())
    config = _on(config, budget, RANDOM, seeds=1)
    settings = _settings(config, SETTINGS[1::2], PROPOSED)
    return Row("NMN + SG, trained on five examples", "nmn-sg-5-shot", config, settings=settings)


def joined(budget: Budget) -> list[Row]:
    """The joined network, what it consists of, and the same with true gradients."""
    synthetic, true = FastSlowConfig(gradient="synthetic"), FastSlowConfig(gradient="true")
    memory = FastSlowConfig(gradient="true", steps=0)
    return [
        any_way(budget, "NMN + SG", "nmn-sg", AnyWayConfig(), synthetic, paper=PROPOSED),
        any_way(budget, "NMN + SG", "nmn-sg", AnyWayConfig(), synthetic, split=ORDERED, paper=PROPOSED, seeds=1),
        *([] if budget == "smoke" else [of_five_examples(budget)]),
        any_way(budget, "NMN, true gradients", "nmn-true", AnyWayConfig(), true),
        any_way(budget, "NMN, memory alone", "nmn-memory", AnyWayConfig(), memory),
        any_way(budget, "NMN + SG, no slots", "nmn-sg-0-slots", AnyWayConfig(slots=0), synthetic),
        any_way(budget, "NMN + SG, 10 slots", "nmn-sg-10-slots", AnyWayConfig(slots=10), synthetic),
        any_way(budget, "NMN, memory alone, 10 slots", "nmn-memory-10-slots", AnyWayConfig(slots=10), memory),
    ]


def rivals_for_any_way(budget: Budget) -> list[Row]:
    """Ordinary training, prototypes and matching networks, on the same episodes as the joined network."""
    embedder, pretrained = EmbedderConfig(ConvConfig()), PretrainedConfig()
    given = {"paper": BASELINE, "seeds": 1}
    return [
        any_way(budget, "baseline NMN", "baseline", NetworkConfig(), pretrained, **given),
        any_way(budget, "baseline NMN", "baseline", NetworkConfig(), pretrained, split=ORDERED, **given),
        any_way(budget, "prototypes", "prototypes", embedder, PrototypesConfig()),
        any_way(budget, "prototypes", "prototypes", embedder, PrototypesConfig(), split=ORDERED, seeds=1),
        any_way(budget, "matching networks", "matching", embedder, MatchingConfig()),
    ]


def bound(
    budget: Budget, name: str, config: Config, *, paper: Paper = NO_PAPER, seeds: int = 1, folder: str | None = None
) -> Row:
    """What is bound to a number of classes: a training in the setting it is measured in."""
    config = _on(config, budget, RANDOM, seeds)
    where = (config.task.way, config.task.shot)
    folder = re.sub(r"\W+", "-", f"{folder or name} {where[0]} way {where[1]} shot").lower()
    return Row(name, folder, config, settings=_settings(config, (where,), paper))


def _sizes(way: int, shot: int) -> dict[str, int]:
    """Episodes of an update and queries of each class, such that an update has some 200 drawings."""
    return {"batch": max(1, 8 * 5 * 4 // (way * (shot + 3))), "queries": 3}


def rivals_for_one_way(budget: Budget) -> list[Row]:
    """The literal proposal and the other regimes, MANN, MAML, MAML++ and MetaNet."""
    base = {s: omniglot(*s, **_sizes(*s), steps=3_000, warp=0.0) for s in SETTINGS}
    first = SETTINGS[:1]
    settings = first if budget == "smoke" else SETTINGS
    every = SETTINGS if budget == "paper" else first
    found = [_regime(budget, base[s], regime) for regime in REGIMES for s in (settings if regime == "both" else first)]
    mann = NetworkConfig(ConvConfig(), MANNConfig())
    for s in settings[:2]:
        config = sharp(replace(base[s], model=mann, learner=InContextConfig()))
        found.append(bound(budget, "MANN, trained on these episodes", config, paper=MANN, folder="mann"))
    found += [_maml(budget, base[s], "second") for s in (settings if budget == "paper" else settings[:2])]
    found.append(_maml(budget, base[5, 1], "first"))
    found += [bound(budget, "MAML++", maml_plus_plus(*s), paper=MAML_PLUS_PLUS, folder="maml-plus-plus") for s in every]
    found += [bound(budget, "MetaNet", metanet(*s), paper=METANET) for s in every]
    return found


def _maml(budget: Budget, base: Config, order: Order) -> Row:
    learner = MAMLConfig(steps=5, rate=0.1, order=order)
    config = replace(base, model=ClassifierConfig(ConvConfig()), learner=learner)
    seeds = 3 if (base.task.way, base.task.shot, order) == (5, 1, "second") else 1
    return bound(budget, f"MAML, {order} order", config, paper=MAML if order == "second" else NO_PAPER, seeds=seeds)


def _regime(budget: Budget, base: Config, regime: Regime) -> Row:
    """The network as printed, whose inner steps see an empty memory."""
    paper = PROPOSED if regime == "both" else NO_PAPER
    name = f"NMN as printed, regime {regime}"
    return bound(budget, name, with_regime(base, regime), paper=paper, folder=f"regime-{regime}")


def rows(budget: Budget) -> list[Row]:
    """The rows of the table; smoke has one column."""
    return [*joined(budget), *rivals_for_any_way(budget), *rivals_for_one_way(budget)]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows."""
    episodes = 20 if budget == "smoke" else 1000
    return run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=episodes)


EXPERIMENT = Experiment(
    name=NAME,
    summary="Table 1: NMN + SG on Omniglot, 5 and 20 classes, 1 and 5 examples, beside its rivals",
    expected={"smoke": "10 minutes", "laptop": "12 hours", "paper": "2 weeks"},
    run=run,
)
