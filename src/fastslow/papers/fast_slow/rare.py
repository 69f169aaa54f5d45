"""Figures 6 and 7: MNIST where five digits come once in 500 updates (fast-slow section 5.1).

The network as printed, with and without synthetic gradients, beside simple rivals and beside what was found: a memory
of ten held examples, balanced over classes, that are learned again with each batch, and several steps on a surprising
batch. Everything was chosen on another order of the digits, 0 to 4 rare. Unseen images are measured just before a rare
batch, when the last one is 499 updates away.

Deviations: rate 1e-3 in place of 5e-6, at which nothing is learned in so few updates; batches of sixteen. The network
as printed has a learned initial memory, an output controller that reads the query, too, and α = 0.1, of which the paper
says nothing. Figures are drawn over 2,000 images held out of MNIST's training part, before and right after each rare
batch; the table is of its test part, before the last one.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...cells.feedforward import FeedForwardConfig
from ...cells.nmn import NMNConfig
from ...configs.config import Config
from ...configs.run import Trained
from ...learners.online import OnlineConfig
from ...learners.readout import Readout
from ...memory.slots import KeyValueSlotsConfig
from ...memory.threshold import ThresholdSlotsConfig
from ...models.conv import ConvConfig
from ...models.network import NetworkConfig
from ...optim.config import AdamConfig
from ...optim.schedules import ConstantConfig
from ...plotting.rare import accuracies, attention, gradient_norms
from ...plotting.style import save
from ...results.figures import read_curve
from ...results.measure import measure, one_number, series_of
from ...results.row import ResultRow, read_rows, write_rows
from ...synthetic.regimes import FeedbackConfig
from ...tasks.rare_digits import BLOCK, GROUPS, RareDigitsConfig
from ...training.config import TrainingConfig
from ...training.metrics import read_metrics
from ..base import Budget, Experiment, Watch
from ..rows import Row, is_result_of, run_row, trained_before
from .rare_attention import attended

NAME = "fast-slow/rare-digits"
LITERAL, BASELINE, PLAIN = "NMN + SG, as printed", "NMN, baseline", "plain network"
THRESHOLD = "NMN, written by a threshold"
BEST, WITHOUT = "NMN + SG, ten held examples", "NMN, ten held examples"
READ_OUT: dict[Readout, str] = {
    "gated": "plain network, unsure answers by ten held examples",
    "slots": "ten held examples, nearest neighbour",
}
SYNTHETIC = FeedbackConfig("both", alpha=0.1, predictor="lstm", regression=1.0)
HELD = OnlineConfig(slots=10, steps=10, warp=1.0)
DRAWN = (LITERAL, BASELINE, PLAIN, BEST, WITHOUT)
ATTENDING = (LITERAL, BASELINE, THRESHOLD, BEST)
"""Whose attention over slots is drawn."""
BLOCKS = 10_000 // BLOCK
"""Blocks of MNIST's test part."""
LARGEST = 20
"""Among so many of the largest norms the rare batches are counted."""


def config_of(budget: Budget, cell: NMNConfig | FeedForwardConfig, learner: OnlineConfig) -> Config:
    """A training whose last update stands just before a rare batch."""
    every, steps = (4, 11) if budget == "smoke" else (500, {"laptop": 9_999, "paper": 49_999}[budget])
    before = range(every - 1, steps + 1, every)
    training = TrainingConfig(
        steps=steps,
        batch=1,
        seeds=1 if budget == "smoke" else 5,
        log_every=1,
        validate_every=0,
        validate_at=tuple(sorted({*before, *(step + 1 for step in before if step < steps)})),
        select="last",
        over_seeds="unroll",  # side by side in one program, all would take a surprising batch's further steps
        checkpoint_every=500,
    )
    optimizer = AdamConfig(schedule=ConstantConfig())
    return Config(RareDigitsConfig(every=every), NetworkConfig(ConvConfig(), cell), learner, optimizer, training)


def rows(budget: Budget) -> list[Row]:
    """The networks that are trained."""
    memory = NMNConfig(memory=KeyValueSlotsConfig(initial="constant"), label_input="write")
    threshold = NMNConfig(memory=ThresholdSlotsConfig(initial="constant"), label_input="write")
    return [
        Row(LITERAL, "printed-sg", config_of(budget, NMNConfig(), OnlineConfig(SYNTHETIC))),
        Row(BASELINE, "printed", config_of(budget, NMNConfig(), OnlineConfig())),
        Row(THRESHOLD, "threshold", config_of(budget, threshold, OnlineConfig())),
        Row(PLAIN, "plain", config_of(budget, FeedForwardConfig(64), OnlineConfig(slots=10, replay=False))),
        Row(BEST, "held-sg", config_of(budget, memory, replace(HELD, feedback=SYNTHETIC))),
        Row(WITHOUT, "held", config_of(budget, memory, HELD)),
        Row(f"{WITHOUT}, one step", "held-one-step", config_of(budget, memory, replace(HELD, steps=1))),
        Row(f"{WITHOUT}, not learned again", "held-no-replay", config_of(budget, memory, replace(HELD, replay=False))),
        Row(f"{WITHOUT}, the last ones", "held-last", config_of(budget, memory, replace(HELD, keep="least-used"))),
        Row(f"{PLAIN}, ten held examples", "plain-held", config_of(budget, FeedForwardConfig(64), HELD)),
    ]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows, and draws both figures."""
    results = []
    for row in rows(budget):
        found, trained = run_row(NAME, row, out, resume=resume, watch=watch, episodes=BLOCKS)
        results += with_series(out / row.folder, found) + gradient_rows(out / row.folder, row, found)
        if row.name == PLAIN:
            results += [each for answer in READ_OUT for each in read_out(out, row, answer, trained, resume=resume)]
    draw(out, budget)
    return results


def read_out(out: Path, row: Row, answer: Readout, trained: Trained | None, *, resume: bool) -> list[ResultRow]:
    """The same training, answered by others."""
    file = out / row.folder / f"result-{answer}.json"
    config = replace(row.config, learner=replace(row.config.learner, answer=answer))
    if resume and file.is_file():
        results = read_rows(file)
        if results and all(is_result_of(result, config, BLOCKS) for result in results):
            return results
    trained = trained_before(out / row.folder) if trained is None else trained
    there = replace(trained, config=config, learner=config.build())
    results = measure(there, experiment=NAME, row=READ_OUT[answer], episodes=BLOCKS)
    write_rows(file, results)
    return results


def with_series(folder: Path, found: list[ResultRow]) -> list[ResultRow]:
    """The rows, with the accuracy on held-out images before and after each rare batch."""
    names = tuple(f"validation_accuracy, digits {group}" for group in GROUPS.labels)
    series = series_of(read_metrics(folder / "metrics.jsonl"), names)
    return [replace(row, series=series) for row in found]


def gradient_rows(folder: Path, row: Row, found: list[ResultRow]) -> list[ResultRow]:
    """How steady the gradient at the output controller is, and how many of the largest are those of rare batches.

    Of the predictors where there are some, else of backpropagation.
    """
    if row.name not in (LITERAL, BASELINE) or len(found[0].seeds) < 2:
        return []
    kind = "synthetic" if row.name == LITERAL else "true"
    curve = read_curve(folder / "metrics.jsonl", f"{kind}_gradient_output")
    rare = curve.steps % row.config.task.every == 0
    frequent = curve.values[~rare]
    spread = frequent.std(axis=0) / frequent.mean(axis=0)
    largest = np.argsort(-curve.values, axis=0)[:LARGEST]
    peaks = rare[largest].mean(axis=0)
    return [
        one_number(found[0], "gradient spread", "1", spread),
        one_number(found[0], "rare among the largest gradients", "share", peaks),
    ]


def draw(out: Path, budget: Budget) -> None:
    """Figure 6, the gradients at the output controller; Figure 7, accuracy on unseen images; attention over slots."""
    planned = {row.name: row for row in rows(budget)}
    every = planned[BASELINE].config.task.every
    norms = {}
    for name, kind in ((LITERAL, "synthetic"), (BASELINE, "true")):
        file = out / planned[name].folder / "metrics.jsonl"
        norms[f"{name}: {kind} gradient"] = read_curve(file, f"{kind}_gradient_output")
    save(gradient_norms(norms, every), out / "figures" / "gradients.png")
    panels = {
        group: {
            name: read_curve(out / planned[name].folder / "metrics.jsonl", f"validation_accuracy, digits {group}")
            for name in DRAWN
            if name in planned
        }
        for group in map(str, GROUPS.labels)
    }
    save(accuracies(panels, every), out / "figures" / "accuracy.png")
    seen = {name: attended(trained_before(out / planned[name].folder)) for name in ATTENDING if name in planned}
    save(attention(seen), out / "figures" / "attention.png")


EXPERIMENT = Experiment(
    name=NAME,
    summary="Figures 6 and 7: MNIST with rare digits, NMN + SG and its rivals, and gradients at the rare batches",
    expected={"smoke": "10 minutes", "laptop": "6 hours", "paper": "30 hours"},
    run=run,
)
