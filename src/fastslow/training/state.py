"""All that a run carries from one update to the next, as arrays: what is donated, saved and restored."""

from functools import partial
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from .._checks import bad
from .._typing import Key
from ..learners.base import LearnerState, Trainable
from ..metrics import Figure
from ..tasks.base import AbstractTask
from ..tasks.digest import QUICK
from .config import Select, TrainingConfig
from .fingerprint import is_data

NEVER = -1
"""Step that stands for "has not happened"."""

Tree = TypeVar("Tree")


class Best(eqx.Module):
    """The parameters that did best in validation, each array with a leading axis `seeds`.

    Attributes:
        params: parameters; zeros before the first validation.
        model_state: the model state that belongs to them.
        value: value of the monitored metric in validation; zero before the first.
        step: the update they were reached after; -1 before the first validation.
    """

    params: PyTree
    model_state: PyTree
    value: Float[Array, " seeds"]
    step: Int[Array, " seeds"]


class TrainState(eqx.Module):
    """State of a run. One checkpoint is one of these, so the last and the best parameters are saved as one.

    Attributes:
        learner: the learners' states, each array with a leading axis `seeds`.
        best: the parameters that did best in validation; None where the last ones are selected.
        totals: sums of the metrics over the updates since the last multiple of `log_every`.
        keys: data of each seed's random key.
        step: updates made.
        diverged_at: the update whose loss or parameters were not finite, -1 for a seed without one. The state of a
            diverged seed stays as it was before.
    """

    learner: LearnerState
    best: Best | None
    totals: dict[str, Figure]
    keys: UInt32[Array, "seeds words"]
    step: Int[Array, ""]
    diverged_at: Int[Array, " seeds"]

    @property
    def diverged(self) -> Bool[Array, " seeds"]:
        """Which seeds diverged."""
        return jnp.asarray(self.diverged_at) != NEVER


def draw(task: AbstractTask, key: Key, step: Int[Array, ""], numbers: Int[Array, " batch"]) -> PyTree:
    """Draws a batch; each episode depends on the key and its own number alone, not on the others or the batch."""
    return jax.vmap(lambda number: task.sample(jax.random.fold_in(key, number), step))(numbers)


def initial_state(learner: Trainable, task: AbstractTask, config: TrainingConfig) -> TrainState:
    """The state of a run before its first update.

    Args:
        learner: what learns.
        task: what it learns from; only the shapes of its episodes are used.
        config: gives the seeds, and whether the best parameters are kept.

    Returns:
        The state, with a leading axis over seeds; a seed starts the same whichever seeds are beside it.

    Raises:
        UserError: the learner's update gives no figure of the loss or the monitored metric, or one that is no scalar.
    """
    arrays, rest = eqx.partition(learner, is_data)

    @partial(jax.jit, compiler_options=QUICK)
    def start(arrays: PyTree, seed: Int[Array, ""]) -> tuple[LearnerState, UInt32[Array, " words"]]:
        initial_key, training_key = jax.random.split(jax.random.key(seed))
        return eqx.combine(arrays, rest).init(key=initial_key), jax.random.key_data(training_key)

    started = [start(arrays, jnp.asarray(seed, jnp.int32)) for seed in config.seed_numbers]
    learners, keys = jax.tree.map(lambda *leaves: jnp.stack(leaves), *started)
    seeds = len(started)
    state = TrainState(
        learner=learners,
        best=_nothing_yet(learners, seeds) if config.select == "best" else None,
        totals={name: Figure(jnp.zeros(seeds), jnp.zeros(seeds)) for name in _metric_keys(learner, task, config.batch)},
        keys=keys,
        step=jnp.zeros((), jnp.int32),
        diverged_at=jnp.full(seeds, NEVER, jnp.int32),
    )
    # Weakly typed arrays would become strongly typed in the first update, and the second would compile again.
    return jax.tree.map(lambda leaf: leaf.astype(leaf.dtype), state)


def stored_shapes(learner: Trainable, config: TrainingConfig) -> TrainState:
    """Shapes of what a checkpoint holds of the parameters: without the optimizer's state and the sums of the metrics.

    Args:
        learner: what was trained; its task is not needed.
        config: gives the seeds, and whether the best parameters were kept.
    """

    def build() -> TrainState:
        keys = jax.random.split(jax.random.key(0), config.seeds)
        states = jax.vmap(lambda key: learner.init(key=key))(keys)
        return TrainState(
            learner=LearnerState(params=states.params, opt_state=(), model_state=states.model_state),
            best=_nothing_yet(states, config.seeds) if config.select == "best" else None,
            totals={},
            keys=jax.random.key_data(keys),
            step=jnp.zeros((), jnp.int32),
            diverged_at=jnp.full(config.seeds, NEVER, jnp.int32),
        )

    return jax.eval_shape(build)


def _nothing_yet(states: LearnerState, seeds: int) -> Best:
    return Best(
        params=jax.tree.map(jnp.zeros_like, states.params),
        model_state=jax.tree.map(jnp.zeros_like, states.model_state),
        value=jnp.zeros(seeds),
        step=jnp.full(seeds, NEVER, jnp.int32),
    )


def _metric_keys(learner: Trainable, task: AbstractTask, batch: int) -> list[str]:
    """Keys of the figures that an update gives, found without computing one."""

    def update() -> dict[str, Figure]:
        key = jax.random.key(0)
        episodes = draw(task, key, jnp.zeros((), jnp.int32), jnp.arange(batch))
        return learner.update(learner.init(key=key), episodes, key=key)[1]

    figures = jax.eval_shape(update)
    keys = sorted(figures)
    if missing := {"loss", learner.monitor.key} - set(keys):
        raise bad("metrics of the learner's update", got=keys, expected=f"also {', '.join(sorted(missing))}")
    for key, figure in figures.items():
        if (figure.total.shape, figure.count.shape) != ((), ()):
            raise bad(f"metric {key} of the learner's update", got=figure.total.shape, expected="a scalar")
    return keys


def one_seed(tree: Tree, index: int) -> Tree:
    """One seed's part of arrays with a leading axis over seeds."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def chosen_state(state: TrainState, select: Select = "best") -> LearnerState:
    """The learners' states with the parameters that results use.

    Args:
        state: the state of a run.
        select: `best`, each seed's best parameters in validation, or its last ones where none were validated or kept;
            `last`, the last ones.
    """
    state = jax.tree.map(jnp.asarray, state)  # a loaded one is on the host
    if state.best is None or select == "last":
        return state.learner
    params, model_state = where_seed(
        state.best.step > NEVER,
        (state.best.params, state.best.model_state),
        (state.learner.params, state.learner.model_state),
    )
    return LearnerState(params=params, opt_state=state.learner.opt_state, model_state=model_state)


def where_seed(condition: Bool[Array, " seeds"], on_true: Tree, on_false: Tree) -> Tree:
    """Chooses between two states seed by seed."""

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, on_true, on_false)
