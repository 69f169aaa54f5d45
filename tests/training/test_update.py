"""One compiled update: what it shares among devices and seeds changes no number, and a dead seed harms no other."""

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
from fastslow.training.state import TrainState, best_learner, initial_state, one_seed
from fastslow.training.update import compile_update, keep_best

CONFIG = TrainingConfig(steps=10, batch=8, log_every=4)


def after(config: TrainingConfig, updates: int = 10, devices: Sequence | None = None, **settings: object) -> TrainState:
    learner = softmax(**settings)
    mesh, _ = episode_mesh(config.batch, devices)
    update = compile_update(learner, blobs(), config, mesh)
    state = copy_to(initial_state(learner, blobs(), config), mesh)
    for _ in range(updates):
        state, _ = update(state)
    return state


def assert_close(a: PyTree, b: PyTree, rtol: float = 1e-4) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=1e-6)


def test_it_learns() -> None:
    early, late = after(CONFIG, 4), after(CONFIG, 40)
    assert late.totals["loss"][0] < 0.8 * early.totals["loss"][0]


def test_two_devices_give_the_numbers_of_one() -> None:
    one, two = after(CONFIG, devices=jax.devices()[:1]), after(CONFIG, devices=jax.devices())
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
    together = after(replace(CONFIG, seed=3, seeds=3, over_seeds=how))
    for index, seed in enumerate((3, 4, 5)):
        alone = after(replace(CONFIG, seed=seed))
        assert_close(one_seed(together.learner, index), one_seed(alone.learner, 0))
        np.testing.assert_allclose(together.totals["loss"][index], alone.totals["loss"][0], rtol=1e-4)
    assert not np.allclose(together.learner.params["weight"][0], together.learner.params["weight"][1])


def test_vmap_and_unroll_agree() -> None:
    assert_close(*(after(replace(CONFIG, seeds=2, over_seeds=how)) for how in ("vmap", "unroll")))


def test_an_episode_depends_on_seed_step_and_number_alone() -> None:
    drawn = []

    class Watching(Softmax):
        def update(self, state, episodes, *, key):
            jax.debug.callback(lambda x: drawn.append(np.asarray(x)), episodes.query.inputs)
            return Softmax.update(self, state, episodes, key=key)

    for batch in (2, 3):
        config = replace(CONFIG, batch=batch)
        learner = Watching(rate=jnp.asarray(0.05))
        mesh, _ = episode_mesh(batch, jax.devices()[:1])
        state = copy_to(initial_state(learner, blobs(), config), mesh)
        compile_update(learner, blobs(), config, mesh)(state)
        jax.effects_barrier()
    two, three = drawn
    np.testing.assert_array_equal(two, three[:2])
    assert not np.allclose(three[0], three[1])


def test_one_trace_and_no_copy() -> None:
    learner = softmax()
    mesh, _ = episode_mesh(CONFIG.batch)
    first = copy_to(initial_state(learner, blobs(), CONFIG), mesh)
    update = compile_update(learner, blobs(), CONFIG, mesh)
    learner.traces.clear()
    state, _ = update(first)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first)), "the state's memory was not taken over"
    for _ in range(3):
        state, _ = update(keep_best(state, jnp.ones(1)))
    assert len(learner.traces) == 1


def test_data_are_arguments_not_constants() -> None:
    class Large(type(blobs())):
        pass

    task = Large(centres=jnp.tile(jnp.eye(3, 4), (20_000, 1)))
    learner = softmax()
    mesh, _ = episode_mesh(CONFIG.batch)
    state = copy_to(initial_state(learner, task, CONFIG), mesh)
    before = jax.config.jax_captured_constants_warn_bytes
    jax.config.update("jax_captured_constants_warn_bytes", 10_000)
    try:
        compile_update(learner, task, CONFIG, mesh)(state)
    finally:
        jax.config.update("jax_captured_constants_warn_bytes", before)


@pytest.mark.parametrize("poisons", ["loss", "params"])
@pytest.mark.parametrize("how", ["vmap", "unroll"])
def test_a_seed_that_is_not_finite_stops_alone(poisons: str, how: str) -> None:
    config = replace(CONFIG, seeds=4, over_seeds=how)
    luck = np.asarray(initial_state(softmax(), blobs(), config).learner.running)
    assert set(luck) == {0, 1}, "the test needs seeds of both kinds"
    state = after(config, 10, deadly=(-1, 7), poisons=poisons)
    healthy, before_it = after(config, 10), after(config, 6)
    np.testing.assert_array_equal(state.alive, luck == 0)
    np.testing.assert_array_equal(state.died_at, np.where(luck == 0, -1, 7))
    for index in range(4):
        expected = healthy if luck[index] == 0 else before_it
        assert_close(one_seed(state.learner, index), one_seed(expected.learner, index), rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_the_best_parameters_are_remembered() -> None:
    state = after(replace(CONFIG, seeds=2), 2)
    weights = [np.asarray(state.learner.params["weight"]).copy()]
    np.testing.assert_array_equal(best_learner(state).params["weight"], weights[0])
    mesh, _ = episode_mesh(CONFIG.batch)
    update = compile_update(softmax(), blobs(), replace(CONFIG, seeds=2), mesh)
    for accuracy in ([0.5, 0.5], [0.4, 0.6], [0.5, jnp.nan]):
        state = keep_best(state, jnp.asarray(accuracy))
        state, _ = update(state)
        weights.append(np.asarray(state.learner.params["weight"]).copy())
    np.testing.assert_array_equal(state.best.step, [2, 3])
    np.testing.assert_allclose(state.best.accuracy, [0.5, 0.6])
    np.testing.assert_array_equal(best_learner(state).params["weight"], [weights[0][0], weights[1][1]])


def test_a_learner_without_a_loss_is_refused() -> None:
    class Silent(Softmax):
        def update(self, state, episodes, *, key):
            after, metrics = Softmax.update(self, state, episodes, key=key)
            return after, {"accuracy": metrics["accuracy"]}

    with pytest.raises(UserError, match=r"got \['accuracy'\], wanted also loss"):
        initial_state(Silent(rate=jnp.asarray(0.05)), blobs(), CONFIG)


def test_weak_types_do_not_compile_twice() -> None:
    class Weak(Softmax):
        def init(self, *, key):
            state = Softmax.init(self, key=key)
            return eqx.tree_at(lambda s: s.params["bias"], state, jnp.full(3, 0.0))

    learner = Weak(rate=jnp.asarray(0.05))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(initial_state(learner, blobs(), CONFIG)))
