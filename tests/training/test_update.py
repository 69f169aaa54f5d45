"""One compiled update: sharing among devices and seeds changes no number, nor does a seed that diverged."""

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import PyTree
from tests.training.toy import Softmax, blobs, softmax

from fastslow._checks import UserError
from fastslow.training.config import TrainingConfig
from fastslow.training.parallel import copy_to, episode_mesh
from fastslow.training.state import TrainState, chosen_state, initial_state, one_seed
from fastslow.training.update import Update, compile_update, keep_best

CONFIG = TrainingConfig(steps=10, batch=8, log_every=4)
TWO_SEEDS = replace(CONFIG, seed=2, seeds=2)


def start(
    config: TrainingConfig, learner: Softmax | None = None, devices: Sequence | None = None
) -> tuple[Update, TrainState]:
    learner, task = learner or softmax(), blobs()
    mesh, _ = episode_mesh(config.batch, devices)
    return compile_update(learner, task, config, mesh), copy_to(initial_state(learner, task, config), mesh)


def after(
    config: TrainingConfig, updates: int = 10, learner: Softmax | None = None, devices: Sequence | None = None
) -> TrainState:
    update, state = start(config, learner, devices)
    for _ in range(updates):
        state, _ = update(state)
    return state


def assert_close(a: PyTree, b: PyTree, rtol: float = 1e-4) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=1e-6)


def test_it_learns() -> None:
    update, state = start(CONFIG)
    losses = []
    for _ in range(40):
        state, loss = update(state)
        losses.append(float(loss[0]))
    assert np.mean(losses[-10:]) < 0.7 * losses[0]


def test_two_devices_give_the_numbers_of_one() -> None:
    one, two = after(CONFIG, devices=jax.devices()[:1]), after(CONFIG, devices=jax.devices())
    assert len(jax.tree.leaves(one)[0].devices()) == 1
    assert len(jax.tree.leaves(two)[0].devices()) == 2
    assert_close(one, two)


def test_seventeen_episodes_on_two_devices() -> None:
    config = replace(CONFIG, batch=17)
    mesh, notices = episode_mesh(17)
    assert mesh.size == 1
    assert notices == (
        "A batch of 17 episodes does not divide by 2 devices: it runs on 1; a multiple of 2 would use all.",
    )
    assert_close(after(config), after(config, devices=jax.devices()[:1]), rtol=0)


@pytest.mark.parametrize("how", ["vmap", "unroll"])
def test_seeds_side_by_side_are_the_single_runs(how: str) -> None:
    together = after(replace(TWO_SEEDS, over_seeds=how))
    for index, seed in enumerate((2, 3)):
        alone = after(replace(CONFIG, seed=seed))
        assert_close(one_seed(together.learner, index), one_seed(alone.learner, 0))
        np.testing.assert_allclose(together.totals["loss"].total[index], alone.totals["loss"].total[0], rtol=1e-4)
    assert not np.allclose(together.learner.params["weight"][0], together.learner.params["weight"][1])


def test_vmap_and_unroll_agree() -> None:
    assert_close(*(after(replace(TWO_SEEDS, over_seeds=how)) for how in ("vmap", "unroll")))


class Watching(Softmax):
    """Shows the host the episodes that it learns from."""

    shown: list = eqx.field(static=True, default_factory=list)

    def update(self, state, episodes, *, key):
        jax.debug.callback(lambda inputs: self.shown.append(np.asarray(inputs)), episodes.query.inputs)
        return Softmax.update(self, state, episodes, key=key)


def test_an_episode_depends_on_seed_step_and_number_alone() -> None:
    two, three = softmax(Watching), softmax(Watching)
    for learner, batch in ((two, 2), (three, 3)):
        after(replace(CONFIG, batch=batch), 2, learner, jax.devices()[:1])
        jax.effects_barrier()
    np.testing.assert_array_equal(two.shown[1], three.shown[1][:2])
    assert not np.allclose(three.shown[0][0], three.shown[0][1]), "two episodes of a batch are alike"
    assert not np.allclose(three.shown[0], three.shown[1]), "two updates are alike"


def test_one_trace_and_no_copy() -> None:
    learner = softmax()
    update, first = start(CONFIG, learner)
    learner.traces.clear()
    state, _ = update(first)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first)), "the state's memory was not taken over"
    for _ in range(3):
        state, _ = update(keep_best(state, jnp.ones(1), True))
    assert len(learner.traces) == 1


def test_data_are_arguments_not_constants() -> None:
    task = eqx.tree_at(lambda task: task.centres, blobs(), jnp.tile(jnp.eye(3, 4), (10_000, 1)))
    learner = softmax()
    mesh, _ = episode_mesh(CONFIG.batch)
    state = copy_to(initial_state(learner, task, CONFIG), mesh)
    before = jax.config.values["jax_captured_constants_warn_bytes"]
    jax.config.update("jax_captured_constants_warn_bytes", 10_000)
    try:
        compile_update(learner, task, CONFIG, mesh)(state)
        with pytest.warns(UserWarning, match="constants"):  # the test would see one
            jax.jit(lambda x: x + task.centres.sum())(1.0)
    finally:
        jax.config.update("jax_captured_constants_warn_bytes", before)


@pytest.mark.parametrize("what", ["loss_diverges", "params_diverge"])
@pytest.mark.parametrize("how", ["vmap", "unroll"])
def test_a_seed_that_is_not_finite_stops_alone(what: str, how: str) -> None:
    config = replace(TWO_SEEDS, over_seeds=how)
    kinds = initial_state(softmax(), blobs(), config).learner.model_state
    np.testing.assert_array_equal(kinds, [1, 0])
    state = after(config, 10, softmax(**{what: (-1, 7)}))
    healthy, before_it = after(config, 10), after(config, 6)
    np.testing.assert_array_equal(state.diverged, [True, False])
    np.testing.assert_array_equal(state.diverged_at, [7, -1])
    assert_close(one_seed(state.learner, 0), one_seed(before_it.learner, 0), rtol=0)
    assert_close(one_seed(state.learner, 1), one_seed(healthy.learner, 1), rtol=0)
    told = (state.learner, state.totals, state.best.params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(told))


def test_the_best_parameters_are_remembered() -> None:
    update, state = start(TWO_SEEDS)
    weights = []
    for accuracy in ([0.5, 0.5], [0.4, 0.6], [0.5, jnp.nan]):
        state, _ = update(state)
        weights.append(np.array(state.learner.params["weight"]))
        if len(weights) == 1:
            np.testing.assert_array_equal(chosen_state(state).params["weight"], weights[0])
        state = keep_best(state, jnp.asarray(accuracy), True)
    state, _ = update(state)
    np.testing.assert_array_equal(state.best.step, [1, 2])
    np.testing.assert_allclose(state.best.value, [0.5, 0.6])
    np.testing.assert_array_equal(chosen_state(state).params["weight"], [weights[0][0], weights[1][1]])


class Silent(Softmax):
    def update(self, state, episodes, *, key):
        changed, metrics = Softmax.update(self, state, episodes, key=key)
        return changed, {"accuracy": metrics["accuracy"]}


def test_a_learner_without_a_loss_is_refused() -> None:
    with pytest.raises(UserError, match=r"got \['accuracy'\], expected also loss"):
        initial_state(softmax(Silent), blobs(), CONFIG)


class Weak(Softmax):
    def init(self, *, key):
        return eqx.tree_at(lambda s: s.params["bias"], Softmax.init(self, key=key), jnp.full(3, 0.0))


def test_weak_types_do_not_compile_twice() -> None:
    learner = softmax(Weak)
    assert learner.init(key=jax.random.key(0)).params["bias"].weak_type, "the test needs a weak type"
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(initial_state(learner, blobs(), CONFIG)))
