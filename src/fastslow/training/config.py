"""How long and how often: the settings of one training run."""

from dataclasses import dataclass
from typing import Literal

from .._checks import bad, check_choice, check_positive

OverSeeds = Literal["auto", "unroll", "vmap"]


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
    """Updates between two validations, after which the best parameters so far are remembered."""
    validation_episodes: int = 200
    """Episodes of one validation, the same ones each time and for each seed."""
    validation_seed: int = 20201112
    """Seed of the validation episodes; not one that is trained with, nor that of the test episodes."""
    checkpoint_every: int = 250
    """Updates between two checkpoints; one more is written at the end and on an interrupt."""
    over_seeds: OverSeeds = "auto"
    """How seeds run side by side: `unroll` (one after another in one program), `vmap` (as one more axis), or `auto`:
    `unroll` on CPU, where convolutions under `vmap` over weights are several times slower, and `vmap` elsewhere."""

    def __post_init__(self) -> None:
        positive = ("steps", "batch", "seeds", "log_every", "validate_every", "validation_episodes", "checkpoint_every")
        for name in positive:
            check_positive(name, getattr(self, name))
        for name in ("seed", "validation_seed"):
            if getattr(self, name) < 0:
                raise bad(name, came=getattr(self, name), wanted="0 or more")
        check_choice("over_seeds", self.over_seeds, ("auto", "unroll", "vmap"))

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        """The seeds of the run."""
        return tuple(range(self.seed, self.seed + self.seeds))
