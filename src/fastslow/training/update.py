"""The compiled parts of a run: one update of all seeds, the figures of a batch, the choice of the best."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from .._typing import Key
from ..baselines.base import Baseline
from ..learners.base import Figures, LearnerState, Trainable
from ..tasks.base import AbstractTask
from .compiler import compiler_options
from .config import OverSeeds, TrainingConfig
from .fingerprint import is_data
from .parallel import block, copy_to, replicate, shard
from .state import NEVER, Best, TrainState, draw, one_seed, where_seed

Update = Callable[[TrainState], tuple[TrainState, Float[Array, " seeds"]]]
Score = Callable[[LearnerState | None, Key, int], Figures]


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


def compile_update(learner: Trainable, task: AbstractTask, config: TrainingConfig, mesh: Mesh) -> Update:
    """Compiles one update of all seeds.

    Args:
        learner: what learns. Its arrays and the task's (a data set) are arguments of the compiled function, not
            constants inside it, and are put onto the devices once.
        task: draws the episodes, on the devices, from the seed's key, the step and the episode's number.
        config: batch, reporting interval, and how seeds run side by side.
        mesh: the devices that share the episodes.

    Returns:
        A function from a state to the next one and the losses of the update. It takes over the memory of the state
        that it is given; the losses may be waited for.
    """
    arrays, rest = eqx.partition((learner, task), is_data)
    placed = copy_to(arrays, mesh)

    @partial(jax.jit, donate_argnums=0, compiler_options=compiler_options(task, mesh))
    def update(state: TrainState, arrays: PyTree) -> tuple[TrainState, Float[Array, " seeds"]]:
        learner, task = eqx.combine(arrays, rest)
        change = partial(_change, learner, task, config.batch, mesh, state.step)
        after, figures, finite = over_seeds(change, config.over_seeds, state.learner, state.keys)
        goes_on = ~state.diverged & finite
        is_first = state.step % config.log_every == 0
        totals = jax.tree.map(lambda sum_, new: jnp.where(is_first, 0.0, sum_) + new, state.totals, figures)
        now = TrainState(
            learner=where_seed(goes_on, after, state.learner),
            best=state.best,
            totals=where_seed(goes_on, totals, state.totals),
            keys=state.keys,
            step=state.step + 1,
            diverged_at=jnp.where(~state.diverged & ~finite, state.step + 1, state.diverged_at),
        )
        return replicate((now, figures["loss"].total), mesh)

    return lambda state: block(update(state, placed), mesh)


def _change(
    learner: Trainable,
    task: AbstractTask,
    batch: int,
    mesh: Mesh,
    step: Int[Array, ""],
    state: LearnerState,
    key_data: UInt32[Array, " words"],
) -> tuple[LearnerState, Figures, Bool[Array, ""]]:
    """One seed's update, its figures, and whether all of it is finite."""
    key = jax.random.fold_in(jax.random.wrap_key_data(key_data), step)
    sampling_key, update_key = jax.random.split(key)
    episodes = shard(draw(task, sampling_key, step, shard(jnp.arange(batch), mesh)), mesh)
    after, figures = learner.update(state, episodes, key=update_key)
    figures = jax.tree.map(lambda part: part.astype(jnp.float32), figures)
    # The optimizer's state is not asked: some keep an infinity there on purpose (the best loss so far).
    return after, figures, all_finite((figures["loss"].total, after.params, after.model_state))


def compile_score(
    scored: Trainable | Baseline, task: AbstractTask, batch: int, mesh: Mesh, how: OverSeeds = "auto"
) -> Score:
    """Compiles the figures of a batch of episodes.

    Args:
        scored: what is measured.
        task: draws the episodes, at step 0, or holds a finite number of them.
        batch: episodes in one call, a multiple of the number of devices.
        mesh: the devices that share the episodes.
        how: how seeds run side by side.

    Returns:
        A function of the learners' states (None for a baseline), the key of the evaluation and the number of its first
        episode, that gives what `evaluate` gives, for each seed (one for a baseline). The episodes are the same for all
        seeds. Where the data are finite, the last episode is repeated up to the end of the batch.
    """
    arrays, rest = eqx.partition((scored, task), is_data)
    placed = copy_to(arrays, mesh)

    @partial(jax.jit, compiler_options=compiler_options(task, mesh))
    def score(states: LearnerState | None, key: Key, first: Int[Array, ""], arrays: PyTree) -> Figures:
        scored, task = eqx.combine(arrays, rest)
        sampling_key, learner_key = jax.random.split(key)
        numbers = shard(first + jnp.arange(batch), mesh)
        episodes = shard(_numbered(task, sampling_key, numbers), mesh)
        key = jax.random.fold_in(learner_key, first)
        if states is None:
            found = jax.tree.map(lambda part: part[None], scored.evaluate(episodes, key=key))
        else:
            found = over_seeds(lambda state: scored.evaluate(state, episodes, key=key), how, states)
        return replicate(jax.tree.map(lambda part: part.astype(jnp.float32), found), mesh)

    return lambda states, key, first: block(score(states, key, jnp.asarray(first, jnp.int32), placed), mesh)


def _numbered(task: AbstractTask, key: Key, numbers: Int[Array, " batch"]) -> PyTree:
    """The episodes of some numbers: drawn, or those of finite data, the last one in the place of all after it."""
    size = task.size()
    if size is None:
        return draw(task, key, jnp.zeros((), jnp.int32), numbers)
    return jax.vmap(task.at)(jnp.minimum(numbers, size - 1))


@partial(jax.jit, donate_argnums=0, static_argnums=2)
def keep_best(state: TrainState, value: Float[Array, " seeds"], larger_is_better: bool) -> TrainState:
    """Keeps the parameters of the seeds that did better in validation than ever before.

    Args:
        state: the state of a run that keeps its best parameters.
        value: value of the monitored metric for each seed.
        larger_is_better: the metric's direction.
    """
    best = state.best
    if best is None:
        return state
    is_better = value > best.value if larger_is_better else value < best.value
    is_better = ~state.diverged & jnp.isfinite(value) & (is_better | (best.step == NEVER))
    now = Best(state.learner.params, state.learner.model_state, value, jnp.full_like(best.step, state.step))
    return eqx.tree_at(lambda s: s.best, state, where_seed(is_better, now, best))
