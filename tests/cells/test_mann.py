import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.tiny import NORM_FLOOR, as_users_come, lstm_twin
from tests.reference.least_used import LeastUsedMemory
from tests.reference.mann import FeedForwardWeights, Network
from tests.reference.ntm import NTMMemory as NTMTwin

from fastslow._checks import UserError
from fastslow.cells.feedforward import FeedForward, FeedForwardConfig
from fastslow.cells.lstm import LSTM, LSTMConfig
from fastslow.cells.mann import MANN, MANNConfig
from fastslow.cells.operations import Forward, turned
from fastslow.cells.unroll import unroll
from fastslow.memory.base import AbstractMemory
from fastslow.memory.least_used import LeastUsed, LeastUsedConfig
from fastslow.memory.ntm import NTMConfig, NTMMemory

pytestmark = pytest.mark.usefixtures("double")

FEATURES, HIDDEN, SLOTS, WIDTH, HEADS, STEPS = 3, 4, 5, 3, 2, 6
CONTROLLERS = {"lstm": LSTM, "feed-forward": FeedForward}
MEMORIES: dict[str, AbstractMemory] = {
    "least-used": LeastUsed(SLOTS, WIDTH, HEADS),
    "ntm": NTMMemory(SLOTS, WIDTH, HEADS),
}
KINDS = list(itertools.product(("lstm", "feed-forward"), MEMORIES))
every_kind = pytest.mark.parametrize(("controller", "memory"), KINDS)
RUN = eqx.filter_jit(unroll)


def mann(controller: str, memory: str, key_source: str = "cell", seed: int = 0) -> MANN:
    """A network whose weights are large enough for every path to matter."""
    return jax.tree.map(lambda w: 2 * w, joined(controller, MEMORIES[memory], key_source, seed))


def joined(controller: str, memory: AbstractMemory, key_source: str = "cell", seed: int = 0) -> MANN:
    key_controller, key_interface = jax.random.split(jax.random.key(seed))
    built = CONTROLLERS[controller](FEATURES + memory.heads * memory.width, HIDDEN, key=key_controller)
    return MANN(built, memory, key_source=key_source, key=key_interface)


def inputs(seed: int = 1, steps: int = STEPS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, FEATURES))


def twin_of(cell: MANN) -> Network:
    first = cell.memory.init_state()
    arrays = [np.array(part, np.float64) for part in jax.tree.leaves(first)]
    if isinstance(cell.memory, LeastUsed):
        choices = (cell.memory.decay, cell.memory.written, cell.memory.strength)
        memory = LeastUsedMemory(*arrays, *choices, NORM_FLOOR)
    else:
        memory = NTMTwin(*arrays, NORM_FLOOR)
    if isinstance(cell.controller, LSTM):
        controller = lstm_twin(cell.controller)
    else:
        controller = FeedForwardWeights(np.array(cell.controller.input_weight), np.array(cell.controller.bias))
    maps = np.array(cell.controls.weight), np.array(cell.controls.bias)
    return Network(
        controller, *maps, memory, cell.key_source, np.zeros(HIDDEN), np.zeros(HIDDEN), np.array(cell.init_state().read)
    )


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize(("controller", "key_source"), [("lstm", "cell"), ("lstm", "hidden"), ("feed-forward", "cell")])
def test_steps_are_the_twin(controller: str, key_source: str, memory: str) -> None:
    cell = mann(controller, memory, key_source)
    after, ys = RUN(cell, cell.init_state(), jnp.asarray(inputs()))
    twin = twin_of(cell)
    for x, y in zip(inputs(), ys, strict=True):
        np.testing.assert_allclose(y, twin.step(x), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(after.read, twin.read, rtol=1e-8, atol=1e-12)
    if controller == "lstm":
        np.testing.assert_allclose(after.controller.hidden, twin.hidden, rtol=1e-8)
        np.testing.assert_allclose(after.controller.cell, twin.cell, rtol=1e-8)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("kind", [LeastUsed, NTMMemory])
def test_steps_are_the_twin_with_one_read_and_with_four(kind: type, heads: int) -> None:
    cell = joined("lstm", kind(SLOTS, WIDTH, heads))
    ys, twin = RUN(cell, cell.init_state(), jnp.asarray(inputs()))[1], twin_of(cell)
    assert ys.shape == (STEPS, HIDDEN + heads * WIDTH)
    for x, y in zip(inputs(), ys, strict=True):
        np.testing.assert_allclose(y, twin.step(x), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("controller", "memory"), [("lstm", "least-used"), ("feed-forward", "ntm")])
def test_gradients_are_finite_differences_through_time(controller: str, memory: str) -> None:
    """In all weights, the inputs, and the first read and controller; the conformance suite does other pairs."""
    cell, xs = mann(controller, memory), jnp.asarray(inputs())
    state = cell.init_state()

    def loss(cell, xs, parts):
        start = eqx.tree_at(lambda s: (s.controller, s.read), cell.init_state(), parts)
        ys = unroll(cell, start, xs)[1]
        return jnp.sum(ys**2 * jnp.arange(1.0, ys.size + 1).reshape(ys.shape))

    jitted = jax.jit(loss)
    parts = jax.tree.map(lambda leaf: leaf + 0.1, (state.controller, state.read))
    check_grads(jitted, (cell, xs, parts), order=1, modes=["rev"])
    gradient = jax.jit(jax.grad(loss, (0, 2)))(cell, xs, parts)
    quiet = [jax.tree_util.keystr(p) for p, g in jax.tree_util.tree_leaves_with_path(gradient) if not (g != 0).any()]
    assert quiet == [], "what nothing depends on was not checked"


@every_kind
def test_gradients_are_finite_at_nasty_points(controller: str, memory: str) -> None:
    """Nothing but zeros, so that keys are zero and usages tied, and numbers far too large; in single precision."""
    cell = mann(controller, memory)

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def squares(parts):
        cell, xs = parts
        state = jax.tree.map(lambda leaf: leaf.astype(np.float32), cell.init_state())
        return jnp.sum(unroll(cell, state, xs)[1] ** 2)

    for weights, scale in ((1.0, 0.0), (0.0, 1.0), (1.0, 1e6), (1e3, 1.0)):
        parts = jax.tree.map(lambda w, by=weights: by * w, cell), scale * jnp.asarray(inputs())
        value, gradients = squares(jax.tree.map(lambda leaf: leaf.astype(np.float32), parts))
        assert np.isfinite(value)
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


@every_kind
def test_ten_thousand_steps_on_zeros(controller: str, memory: str) -> None:
    cell = mann(controller, memory)
    cell, state, xs = jax.tree.map(
        lambda leaf: leaf.astype(np.float32), (cell, cell.init_state(), jnp.zeros((10_000, FEATURES)))
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(RUN(cell, state, xs)))


def test_the_interface_vector_comes_from_the_key_source() -> None:
    for key_source in ("cell", "hidden"):
        cell = mann("lstm", "least-used", key_source)
        operations = Forward(cell, turned(cell.maps()))
        after, _, _ = cell.step(cell.init_state(), cell.project(jnp.asarray(inputs()[0])), operations)
        assert (operations.inputs["interface"] == getattr(after.controller, key_source)).all()
    assert (after.controller.cell != after.controller.hidden).all()
    # a feed-forward controller has its output alone
    ys = [RUN(cell, cell.init_state(), jnp.asarray(inputs()))[1] for cell in map(feedforward_of, ("cell", "hidden"))]
    assert (ys[0] == ys[1]).all()


def feedforward_of(key_source: str) -> MANN:
    return mann("feed-forward", "least-used", key_source)


@every_kind
def test_the_output_is_the_controllers_and_what_was_read(controller: str, memory: str) -> None:
    cell = mann(controller, memory)
    after, y = eqx.filter_jit(cell)(cell.init_state(), jnp.asarray(inputs()[0]))
    assert y.shape == (cell.out_size,) == (HIDDEN + HEADS * WIDTH,)
    assert (y[HIDDEN:] == after.read.reshape(-1)).all()
    if controller == "lstm":
        assert (y[:HIDDEN] == after.controller.hidden).all()


@every_kind
def test_the_controller_sees_what_was_read_before(controller: str, memory: str) -> None:
    """And nothing else of the memory: with another memory and the same read its output is the same."""
    cell, x = mann(controller, memory), jnp.asarray(inputs()[0])
    step, state = eqx.filter_jit(cell), cell.init_state()
    plain = step(state, x)[1][:HIDDEN]
    other = eqx.tree_at(lambda s: s.memory.rows, state, replace_fn=lambda rows: rows + 1)
    assert (step(other, x)[1][:HIDDEN] == plain).all()
    assert (step(other, x)[1][HIDDEN:] != step(state, x)[1][HIDDEN:]).all()
    for head in range(HEADS):
        read = eqx.tree_at(lambda s: s.read, state, state.read.at[head].set(1.0))
        assert (step(read, x)[1][:HIDDEN] != plain).all()


def test_what_was_stored_comes_back_many_steps_later() -> None:
    """The memory is a path of its own: the controller is told nothing, the gradient arrives none the less."""
    cell = mann("feed-forward", "least-used")
    # no read enters the controller, so the only way through time is the memory
    cell = eqx.tree_at(lambda c: c.controller.input_weight, cell, replace_fn=lambda w: w.at[:, FEATURES:].set(0))
    last = lambda xs: jnp.sum(unroll(cell, cell.init_state(), xs)[1][-1])
    slopes = jax.jit(jax.grad(last))(jnp.asarray(inputs(steps=3)))
    assert (slopes != 0).all()


def test_a_controller_without_room_for_the_reads_or_a_wrong_choice_is_refused() -> None:
    memory = MEMORIES["ntm"]
    narrow = LSTM(HEADS * WIDTH, HIDDEN, key=jax.random.key(0))
    with pytest.raises(UserError, match="controller: got one of 6 inputs, expected more than the 6 of what is read"):
        MANN(narrow, memory, key=jax.random.key(0))
    with as_users_come(), pytest.raises(UserError, match="key_source: got 'input', expected one of cell, hidden"):
        MANN(narrow, memory, key_source="input", previous_read=False, key=jax.random.key(0))


SMALL = {"memory": LeastUsedConfig(SLOTS, WIDTH, HEADS)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"controller": LSTMConfig(0)}, "hidden_size: got 0, expected a number above 0."),
        ({"memory": NTMConfig(slots=0)}, "slots: got 0, expected a number above 0."),
        ({"key_source": "input"}, "key_source: got 'input', expected one of cell, hidden."),
        (
            {"controller": FeedForwardConfig(HIDDEN), "key_source": "hidden"},
            "key_source: got 'hidden', expected cell, as a feed-forward controller has its output alone.",
        ),
    ],
    ids=str,
)
def test_a_configuration_refuses_what_does_not_exist_or_has_no_effect(options: dict, said: str) -> None:
    with as_users_come(), pytest.raises(UserError) as raised:
        MANNConfig(**SMALL | options).build(FEATURES, 0, key=jax.random.key(0))
    assert str(raised.value) == said


@pytest.mark.parametrize("previous_read", [True, False])
@pytest.mark.parametrize("controller", [LSTMConfig(HIDDEN), FeedForwardConfig(HIDDEN)])
def test_a_configuration_builds_a_cell_for_features_and_label(controller: object, previous_read: bool) -> None:
    config = MANNConfig(controller, NTMConfig(SLOTS, WIDTH, HEADS, "in-order"), "cell", previous_read)
    cell = config.build(FEATURES - 1, 1, key=jax.random.key(0))
    assert (cell.features, cell.previous_read, cell.memory.write_start) == (FEATURES, previous_read, "in-order")
    state, y = cell(cell.init_state(), jnp.asarray(inputs()[0]))
    assert y.shape == (cell.out_size,)
    # what was read enters the next step, or does not
    moved = eqx.tree_at(lambda s: s.read, state, state.read + 1)
    outputs = [cell(start, jnp.asarray(inputs()[1]))[1][:HIDDEN] for start in (state, moved)]
    assert bool((outputs[0] == outputs[1]).all()) == (not previous_read)


def test_an_input_of_the_wrong_size_is_not_cut_to_fit() -> None:
    cell = mann("lstm", "ntm")
    for size in (FEATURES - 1, FEATURES + 1):
        with pytest.raises((TypeError, ValueError)):
            cell(cell.init_state(), jnp.ones(size))
