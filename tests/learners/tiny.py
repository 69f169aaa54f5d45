"""A recurrent learner and a task small enough to train in a test: characters of four by four pixels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from fastslow.learners.adapting import initial_rates
from fastslow.learners.recurrent import Parameters, RecurrentLearner
from fastslow.learners.regimes import AdaptConfig, FeedbackConfig
from fastslow.models.embed import ConvEmbedding
from fastslow.models.heads import Categorical
from fastslow.models.sequence import Network

from fastslow.cells.nmn import NMN
from fastslow.memory.slots import KeyValueSlots, SoftSlots
from fastslow.optim.config import OptimiserConfig, build_optimiser
from fastslow.synthetic.predictors import SyntheticGradients
from fastslow.tasks.base import AbstractTask, Examples, FewShotEpisode

WAY, FEATURES, WIDTH, SIZE = 3, 6, 5, 4


def network(label_input: str = "none", memory: str = "soft", *, key: jax.Array) -> Network:
    key_embed, key_memory, key_cell, key_head = jax.random.split(key, 4)
    slots = (SoftSlots if memory == "soft" else KeyValueSlots)(WAY + 1, WIDTH, "learned", key=key_memory)
    return Network(
        embed=ConvEmbedding(FEATURES, 4, 1, size=SIZE, key=key_embed),
        cell=NMN(FEATURES, WIDTH, slots, labels=WAY, label_input=label_input, key=key_cell),
        head=Categorical(WIDTH, WAY, key=key_head),
    )


def learner(
    adapt: AdaptConfig,
    path: FeedbackConfig,
    label_input: str = "none",
    memory: str = "soft",
    optimiser: optax.GradientTransformation | None = None,
) -> RecurrentLearner:
    def build(key: jax.Array) -> Parameters:
        key_network, key_predictors = jax.random.split(key)
        net = network(label_input, memory, key=key_network)
        said = None
        if path.regime != "true":
            said = SyntheticGradients(WIDTH, WAY, kind=path.predictor, hidden=path.hidden, key=key_predictors)
        return Parameters(net, said, initial_rates(net, adapt) if adapt.protocol == "fine-tune" else None)

    # long enough that the schedule hardly falls within a test
    optimiser = build_optimiser(OptimiserConfig(learning_rate=2e-2), 1000) if optimiser is None else optimiser
    return RecurrentLearner(build=build, optimiser=optimiser, adaptation=adapt, path=path, way=WAY)


class Marks(AbstractTask):
    """Characters told apart by which half is dark; their labels are dealt out anew in each episode.

    Attributes:
        noise: standard deviation of what is added to each pixel.
        shot, queries: drawings of each class in support and query set.
    """

    noise: float = eqx.field(static=True, default=0.1)
    shot: int = eqx.field(static=True, default=1)
    queries: int = eqx.field(static=True, default=2)

    def sample(self, key, step):
        key_deal, key_noise = jax.random.split(key)
        half = jnp.arange(SIZE) < SIZE // 2
        upper = jnp.broadcast_to(half[:, None], (SIZE, SIZE)).astype(float)
        characters = jnp.stack([upper, upper.T, upper * upper.T])[jax.random.permutation(key_deal, WAY)]
        count = self.shot + self.queries
        labels = jnp.tile(jnp.arange(WAY), count)
        images = characters[labels] + self.noise * jax.random.normal(key_noise, (WAY * count, SIZE, SIZE))
        cut = WAY * self.shot
        return FewShotEpisode(Examples(images[:cut], labels[:cut]), Examples(images[cut:], labels[cut:]))


@eqx.filter_jit
def _drawn(task: Marks, keys: jax.Array) -> FewShotEpisode:
    return jax.vmap(lambda key: task.sample(key, jnp.zeros((), jnp.int32)))(keys)


def episodes(batch: int, seed: int = 0, **settings) -> FewShotEpisode:
    return _drawn(Marks(**settings), jax.random.split(jax.random.key(seed), batch))
