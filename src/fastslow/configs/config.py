"""One configuration for every training: a task, a model, a learner, an optimizer, and how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..learners.base import AbstractLearnerConfig, Trainable
from ..learners.fine_tune import FineTuneConfig
from ..models.base import AbstractModelConfig
from ..models.network import NetworkConfig
from ..optim.config import AdamConfig, OptimizerConfig
from ..tasks.base import AbstractTaskConfig
from ..tasks.glyphs import GlyphsConfig
from ..training.config import TrainingConfig
from .json import from_json


@dataclass(frozen=True)
class Config:
    """One training, whole; a run folder holds it as JSON and can be rebuilt from it.

    Members of your own do as well as the library's; to be read from JSON or named on the command line they need a row
    in `configs.members`.
    """

    task: AbstractTaskConfig = field(default_factory=GlyphsConfig)
    """What is learned."""
    model: AbstractModelConfig = field(default_factory=NetworkConfig)
    """What learns."""
    learner: AbstractLearnerConfig = field(default_factory=FineTuneConfig)
    """How it learns, over episodes and within one."""
    optimizer: OptimizerConfig = field(default_factory=AdamConfig)
    """The outer loop's steps."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How long and how often."""

    def build(self) -> Trainable:
        """Builds the learner; no data set is needed.

        Raises:
            UserError: parts that do not fit together, in one sentence of the part that knows why.
        """
        optimizer = self.optimizer.build(self.training.steps)
        return self.learner.build(self.model, self.task.spec, optimizer, batch=self.training.batch)

    def describe(self) -> str:
        """What the configuration is, in a few words: its cell or model, its learner, its regime."""
        part = getattr(self.model, "cell", self.model)
        regime = self.learner.facts.get("regime")
        return ", ".join([part.kind, self.learner.kind, *([f"regime {regime}"] if regime else [])])


def read_config(data: Mapping[str, Any]) -> Config:
    """Rebuilds a configuration from what `to_json` gave.

    Raises:
        UserError: a field that is unknown, missing, or of the wrong type.
    """
    return from_json(Config, data)
