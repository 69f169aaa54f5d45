"""How long and how often: the settings of one training run."""

from dataclasses import dataclass
from typing import Literal

from .._checks import LARGEST_INT, bad, check_choice, check_integer

OverSeeds = Literal["auto", "unroll", "vmap"]
Select = Literal["best", "last"]

COUNTED = "updates are counted in 32 bits"
MOST_BATCH = 2**20
"""Most episodes of one batch."""
MOST_SEEDS = 1000
"""Most repetitions of one run."""
MOST_EPISODES = 10_000_000
"""Most episodes of one evaluation."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop, the same for every learner and task."""

    steps: int = 1000
    """Updates to make, counted from the start of the run. On `--resume` it may grow; a schedule over all updates then
    follows the larger number, so the run is not the one that had it from the start."""
    batch: int = 32
    """Episodes in one update."""
    seed: int = 0
    """First seed; a seed sets the initial parameters and all the episodes of one repetition."""
    seeds: int = 1
    """Repetitions: seeds `seed`, `seed + 1`, … are trained side by side."""
    log_every: int = 50
    """Updates between two reports; a report is the mean over the updates since the last multiple of this."""
    validate_every: int = 250
    """Updates between two validations, with one more at the end; 0 for none but those of `validate_at`."""
    validate_at: tuple[int, ...] = ()
    """Updates after which a validation takes place, in addition."""
    validation_episodes: int = 200
    """Episodes of one validation, the same ones each time and for each seed. Finite data are validated whole."""
    validation_seed: int = 20201112
    """Seed of the validation episodes; not one that is trained with, nor that of the test episodes."""
    select: Select = "best"
    """Parameters that results use: the best in validation, or the last. With `last`, no others are kept."""
    checkpoint_every: int = 250
    """Updates between two checkpoints; one more is written at the end and on an interrupt."""
    over_seeds: OverSeeds = "auto"
    """How seeds run side by side: `unroll` (one after another in one program), `vmap` (as one more axis), or `auto`:
    `unroll` on CPU, where convolutions under `vmap` over weights are several times slower, and `vmap` elsewhere."""

    def __post_init__(self) -> None:
        for name in ("steps", "log_every", "checkpoint_every"):
            check_integer(name, getattr(self, name), reason=COUNTED)
        check_integer("validate_every", self.validate_every, least=0, reason=COUNTED)
        check_integer("batch", self.batch, most=MOST_BATCH, reason="a device holds all episodes of a batch at once")
        check_integer("seeds", self.seeds, most=MOST_SEEDS, reason="all seeds are trained in one program")
        check_integer("seed", self.seed, least=0, most=LARGEST_INT - self.seeds + 1, reason="seeds have 32 bits")
        check_integer("validation_seed", self.validation_seed, least=0, reason="seeds have 32 bits")
        check_episodes("validation_episodes", self.validation_episodes)
        for step in self.validate_at:
            check_integer("validate_at", step, most=self.steps, reason="these are all updates of the run")
        check_choice("over_seeds", self.over_seeds, ("auto", "unroll", "vmap"))
        check_choice("select", self.select, ("best", "last"))
        if self.select == "best" and not self.validate_every and not self.validate_at:
            raise bad("select", got="best", expected="last, as validate_every is 0 and validate_at is empty")

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        """The seeds of the run."""
        return tuple(range(self.seed, self.seed + self.seeds))

    def validates_after(self, step: int) -> bool:
        """Whether a validation follows an update, counted from 1."""
        return step in self.validate_at or (self.validate_every > 0 and self.is_due(step, self.validate_every))

    def is_due(self, step: int, every: int) -> bool:
        """Whether what happens every so many updates, and at the end, follows an update, counted from 1."""
        return step % every == 0 or step == self.steps


def check_episodes(argument: str, value: int) -> None:
    """Raises `UserError` unless `value` is a possible number of episodes of an evaluation."""
    check_integer(argument, value, most=MOST_EPISODES, reason="the figures of all episodes are held in memory at once")
