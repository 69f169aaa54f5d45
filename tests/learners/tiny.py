"""A task small enough to train in a test, characters of four by four pixels, and small networks for it."""

from dataclasses import dataclass, replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.cells.nmn import NMNConfig
from fastslow.learners.base import AbstractLearnerConfig, Trainable
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.memory.slots import KeyValueSlotsConfig, SoftSlotsConfig
from fastslow.metrics import ACCURACY
from fastslow.models.conv import ConvConfig
from fastslow.models.network import Network, NetworkConfig
from fastslow.optim.config import AdamConfig
from fastslow.tasks.base import AbstractTask, AbstractTaskConfig, Examples, FewShotEpisode, TaskSpec, TaskSplits
from fastslow.tasks.targets import Categorical

WAY, FEATURES, WIDTH, SIZE = 3, 6, 5, 4
SPEC = TaskSpec("marks", "few-shot", (SIZE, SIZE), Categorical(WAY), label=WAY, metrics=(ACCURACY,))
NUMBERED = replace(SPEC, train_classes=WAY + 2)
CONV = ConvConfig(FEATURES, 4, 1)
WIDE = ConvConfig(8, 16, 1)
"""With so many channels learning hardly depends on the initial weights."""
LSTM = NetworkConfig(CONV, LSTMConfig(WIDTH))
FEED_FORWARD = NetworkConfig(CONV, FeedForwardConfig(WIDTH))
MANN = NetworkConfig(CONV, MANNConfig(LSTMConfig(WIDTH), LeastUsedConfig(slots=5, width=3, heads=2)))
SLOTS = {"soft": SoftSlotsConfig, "key-value": KeyValueSlotsConfig}


def nmn(label_input: str = "none", memory: str = "soft", conv: ConvConfig = CONV) -> NetworkConfig:
    return NetworkConfig(conv, NMNConfig(WIDTH, SLOTS[memory](WAY + 1), label_input=label_input))


def network(label_input: str = "none", memory: str = "soft", *, key: jax.Array) -> Network:
    return nmn(label_input, memory).build(SPEC, key=key)


def learner(
    config: AbstractLearnerConfig, model: NetworkConfig, optimizer: optax.GradientTransformation | None = None
) -> Trainable:
    # long enough that the schedule hardly falls within a test
    optimizer = AdamConfig(learning_rate=2e-2).build(1000) if optimizer is None else optimizer
    return config.build(model, SPEC, optimizer, batch=4)


class Marks(AbstractTask[FewShotEpisode]):
    """Characters told apart by which half is dark; which label each has changes from episode to episode.

    Attributes:
        noise: standard deviation of what is added to each pixel.
        shot, queries: drawings of each class in support and query set.
    """

    noise: float = eqx.field(static=True, default=0.1)
    shot: int = eqx.field(static=True, default=1)
    queries: int = eqx.field(static=True, default=2)

    def sample(self, key, step):
        key_labels, key_noise = jax.random.split(key)
        half = jnp.arange(SIZE) < SIZE // 2
        upper = jnp.broadcast_to(half[:, None], (SIZE, SIZE)).astype(float)
        characters = jnp.stack([upper, upper.T, upper * upper.T])[jax.random.permutation(key_labels, WAY)]
        count = self.shot + self.queries
        labels = jnp.tile(jnp.arange(WAY), count)
        images = characters[labels] + self.noise * jax.random.normal(key_noise, (WAY * count, SIZE, SIZE))
        cut = WAY * self.shot
        return FewShotEpisode(Examples(images[:cut], labels[:cut]), Examples(images[cut:], labels[cut:]))


@dataclass(frozen=True)
class MarksConfig(AbstractTaskConfig):
    """Marks as a task: its programs compile in a moment, those of glyphs in many."""

    kind: Literal["marks"] = "marks"

    @property
    def spec(self) -> TaskSpec:
        return SPEC

    def build(self) -> TaskSplits:
        return TaskSplits(Marks(), Marks(), Marks(), name="marks", split="none", digest="0" * 64, scheme="draws-sha256")


@eqx.filter_jit
def _drawn(task: Marks, keys: jax.Array) -> FewShotEpisode:
    return jax.vmap(lambda key: task.sample(key, jnp.zeros((), jnp.int32)))(keys)


def episodes(batch: int, seed: int = 0, **settings) -> FewShotEpisode:
    return _drawn(Marks(**settings), jax.random.split(jax.random.key(seed), batch))


def numbered(given: FewShotEpisode) -> FewShotEpisode:
    """The same episodes; the class under each label has another number in each of them."""
    labels = jnp.arange(WAY)
    classes = (labels[None] + jnp.arange(given.query.labels.shape[0])[:, None]) % (WAY + 2)
    return jax.vmap(FewShotEpisode)(given.support, given.query, classes.astype(given.query.labels.dtype))
