"""The compiled parts of a run: one update of all seeds, the scores of a batch, the choice of the best."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from .._typing import Key
from ..learners.base import AbstractLearner, LearnerState, Metrics
from ..tasks.base import AbstractTask
from .config import OverSeeds, TrainingConfig
from .fingerprint import is_data
from .parallel import copied, copy_to, settle, spread
from .state import Best, TrainState, draw, one_seed, where_seed

Update = Callable[[TrainState], tuple[TrainState, Float[Array, " seeds"]]]
Score = Callable[[LearnerState, Key, int], dict[str, Float[Array, "seeds batch ..."]]]


def over_seeds(function: Callable[..., Any], how: OverSeeds, *trees: PyTree) -> Any:
    """Applies a function to each seed's part of `trees` and stacks what it returns.

    `vmap` over weights turns convolutions into grouped ones, which CPUs run several times slower; there the seeds are
    written one after another into the same program.
    """
    seeds = jax.tree.leaves(trees)[0].shape[0]
    mapped = how == "vmap" or (how == "auto" and jax.default_backend() != "cpu")
    # One seed alone is never mapped: it would pay for an axis of length one.
    if mapped and seeds > 1:
        return jax.vmap(function)(*trees)
    results = [function(*one_seed(trees, index)) for index in range(seeds)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every number of a tree is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]).all()


def compile_update(learner: AbstractLearner, task: AbstractTask, config: TrainingConfig, mesh: Mesh) -> Update:
    """Compiles one update of all seeds.

    Args:
        learner: what learns. Its arrays and the task's (a data set) are arguments of the compiled function, not
            constants inside it, and are put onto the devices once.
        task: draws the episodes, on the devices, from the seed's key, the step and the episode's number.
        config: batch, reporting interval, and how seeds run side by side.
        mesh: the devices that share the episodes.

    Returns:
        A function from a state to the next one and the losses of the update. It takes over the memory of the state
        that it is given; the losses are free to be waited for.
    """
    arrays, rest = eqx.partition((learner, task), is_data)
    placed = copy_to(arrays, mesh)

    @partial(jax.jit, donate_argnums=0)
    def update(state: TrainState, arrays: PyTree) -> tuple[TrainState, Float[Array, " seeds"]]:
        learner, task = eqx.combine(arrays, rest)
        change = partial(_change, learner, task, config.batch, mesh, state.step)
        after, metrics, finite = over_seeds(change, config.over_seeds, state.learner, state.keys)
        alive = state.alive & finite
        fresh = state.step % config.log_every == 0
        totals = {name: jnp.where(fresh, 0.0, total) + metrics[name] for name, total in state.totals.items()}
        state = TrainState(
            learner=where_seed(alive, after, state.learner),
            best=state.best,
            totals=where_seed(alive, totals, state.totals),
            keys=state.keys,
            step=state.step + 1,
            alive=alive,
            died_at=jnp.where(state.alive & ~finite, state.step + 1, state.died_at),
        )
        return copied((state, metrics["loss"]), mesh)

    return lambda state: settle(update(state, placed), mesh)


def _change(
    learner: AbstractLearner,
    task: AbstractTask,
    batch: int,
    mesh: Mesh,
    step: Int[Array, ""],
    state: LearnerState,
    key_data: UInt32[Array, " words"],
) -> tuple[LearnerState, Metrics, Bool[Array, ""]]:
    """One seed's update, its figures, and whether all of it is finite."""
    key = jax.random.fold_in(jax.random.wrap_key_data(key_data), step)
    sampling_key, update_key = jax.random.split(key)
    episodes = spread(draw(task, sampling_key, step, spread(jnp.arange(batch), mesh)), mesh)
    after, metrics = learner.update(state, episodes, key=update_key)
    metrics = {name: value.astype(jnp.float32) for name, value in metrics.items()}
    # The optimiser's state is not asked: some keep an infinity there on purpose (the best loss so far).
    return after, metrics, all_finite((metrics["loss"], after.params, after.running))


def compile_score(
    learner: AbstractLearner, task: AbstractTask, batch: int, mesh: Mesh, how: OverSeeds = "auto"
) -> Score:
    """Compiles the figures of a batch of episodes.

    Args:
        learner: what is measured.
        task: draws the episodes, at step 0.
        batch: episodes in one call, a multiple of the number of devices.
        mesh: the devices that share the episodes.
        how: how seeds run side by side.

    Returns:
        A function of the learners' states, the key of the evaluation and the number of its first episode, that gives
        what the learner's `evaluate` gives, for each seed. The episodes are the same for all seeds.
    """
    arrays, rest = eqx.partition((learner, task), is_data)
    placed = copy_to(arrays, mesh)

    @jax.jit
    def score(
        states: LearnerState, key: Key, first: Int[Array, ""], arrays: PyTree
    ) -> dict[str, Float[Array, "seeds batch ..."]]:
        learner, task = eqx.combine(arrays, rest)
        sampling_key, learner_key = jax.random.split(key)
        numbers = spread(first + jnp.arange(batch), mesh)
        episodes = spread(draw(task, sampling_key, jnp.zeros((), jnp.int32), numbers), mesh)
        key = jax.random.fold_in(learner_key, first)
        found = over_seeds(lambda state: learner.evaluate(state, episodes, key=key), how, states)
        return copied({name: figure.astype(jnp.float32) for name, figure in found.items()}, mesh)

    return lambda states, key, first: settle(score(states, key, jnp.asarray(first, jnp.int32), placed), mesh)


@partial(jax.jit, donate_argnums=0)
def keep_best(state: TrainState, figure: Float[Array, " seeds"]) -> TrainState:
    """Remembers the parameters of the seeds that did better in validation than ever before."""
    better = state.alive & (figure > state.best.figure)
    now = Best(state.learner.params, state.learner.running, figure, jnp.full_like(state.best.step, state.step))
    return eqx.tree_at(lambda s: s.best, state, where_seed(better, now, state.best))
