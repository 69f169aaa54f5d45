"""All that a run carries from one update to the next, as arrays: what is donated, saved and restored."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from .._checks import bad
from .._typing import Key
from ..learners.base import AbstractLearner, LearnerState
from ..tasks.base import AbstractTask
from .config import TrainingConfig
from .fingerprint import is_data

NEVER = -1
"""Step that stands for "has not happened"."""


class Best(eqx.Module):
    """The parameters that did best in validation, each array with a leading axis `seeds`.

    Attributes:
        params: parameters; zeros before the first validation.
        running: running statistics that belong to them.
        figure: what they are judged by, in validation; minus infinity before the first.
        step: the update they were reached after; -1 before the first validation.
    """

    params: PyTree
    running: PyTree
    figure: Float[Array, " seeds"]
    step: Int[Array, " seeds"]


class TrainState(eqx.Module):
    """State of a run. One checkpoint is one of these, so the last and the best parameters are saved as one.

    Attributes:
        learner: the learners' states, each array with a leading axis `seeds`.
        best: the parameters that did best in validation.
        totals: sums of the metrics over the updates since the last report.
        keys: data of each seed's random key.
        step: updates made.
        alive: false for a seed whose loss or parameters stopped being finite; its state stays as it was before.
        died_at: the update that it stopped at; -1 for the living.
    """

    learner: LearnerState
    best: Best
    totals: dict[str, Float[Array, " seeds"]]
    keys: UInt32[Array, "seeds words"]
    step: Int[Array, ""]
    alive: Bool[Array, " seeds"]
    died_at: Int[Array, " seeds"]


def draw(task: AbstractTask, key: Key, step: Int[Array, ""], numbers: Int[Array, " batch"]) -> PyTree:
    """Draws a batch; each episode depends on the key and its own number alone, not on the others or the batch."""
    return jax.vmap(lambda number: task.sample(jax.random.fold_in(key, number), step))(numbers)


def initial_state(learner: AbstractLearner, task: AbstractTask, config: TrainingConfig) -> TrainState:
    """The state of a run before its first update.

    Args:
        learner: what learns.
        task: what it learns from; only the shapes of its episodes are used.
        config: gives the seeds.

    Returns:
        The state, with a leading axis over seeds; a seed starts the same whichever seeds are beside it.
    """
    arrays, rest = eqx.partition(learner, is_data)

    @jax.jit
    def start(arrays: PyTree, seed: Int[Array, ""]) -> tuple[LearnerState, UInt32[Array, " words"]]:
        initial_key, training_key = jax.random.split(jax.random.key(seed))
        return eqx.combine(arrays, rest).init(key=initial_key), jax.random.key_data(training_key)

    started = [start(arrays, jnp.asarray(seed, jnp.int32)) for seed in config.seed_numbers]
    learners, keys = jax.tree.map(lambda *leaves: jnp.stack(leaves), *started)
    seeds = len(started)
    state = TrainState(
        learner=learners,
        best=Best(
            params=jax.tree.map(jnp.zeros_like, learners.params),
            running=jax.tree.map(jnp.zeros_like, learners.running),
            figure=jnp.full(seeds, -jnp.inf),
            step=jnp.full(seeds, NEVER, jnp.int32),
        ),
        totals={name: jnp.zeros(seeds) for name in _metric_names(learner, task, config.batch)},
        keys=keys,
        step=jnp.zeros((), jnp.int32),
        alive=jnp.ones(seeds, bool),
        died_at=jnp.full(seeds, NEVER, jnp.int32),
    )
    # Weakly typed arrays would become strongly typed in the first update, and the second would compile anew.
    return jax.tree.map(lambda leaf: leaf.astype(leaf.dtype), state)


def _metric_names(learner: AbstractLearner, task: AbstractTask, batch: int) -> list[str]:
    """Names of the figures that an update gives, found without computing one."""

    def update() -> dict[str, Array]:
        key = jax.random.key(0)
        episodes = draw(task, key, jnp.zeros((), jnp.int32), jnp.arange(batch))
        return learner.update(learner.init(key=key), episodes, key=key)[1]

    names = sorted(jax.eval_shape(update))
    if missing := {"loss", learner.judged_by} - set(names):
        raise bad("metrics of the learner's update", came=names, wanted=f"also {', '.join(sorted(missing))}")
    return names


def one_seed(tree: PyTree, index: int) -> PyTree:
    """One seed's part of arrays with a leading axis over seeds."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def best_learner(state: TrainState) -> LearnerState:
    """The learners' states with each seed's best parameters, or its last ones where none were validated."""
    validated = state.best.step > NEVER
    params, running = where_seed(
        validated, (state.best.params, state.best.running), (state.learner.params, state.learner.running)
    )
    return LearnerState(params=params, optimiser=state.learner.optimiser, running=running)


def where_seed(condition: Bool[Array, " seeds"], on_true: PyTree, on_false: PyTree) -> PyTree:
    """Chooses between two states seed by seed."""

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, on_true, on_false)
