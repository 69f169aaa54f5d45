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
from tests.reference.ntm import TapeMemory

from fastslow._checks import UserError
from fastslow.cells.base import unroll
from fastslow.cells.lstm import LSTM
from fastslow.cells.mann import MANN
from fastslow.memory.base import AbstractAccess
from fastslow.memory.least_used import LeastUsed
from fastslow.memory.ntm import Tape

pytestmark = pytest.mark.usefixtures("double")

FEATURES, HIDDEN, SLOTS, WIDTH, HEADS, STEPS = 3, 4, 5, 3, 2, 6
MEMORIES: dict[str, AbstractAccess] = {"least-used": LeastUsed(SLOTS, WIDTH, HEADS), "tape": Tape(SLOTS, WIDTH, HEADS)}
KINDS = list(itertools.product(("lstm", "feed-forward"), MEMORIES))
every_kind = pytest.mark.parametrize(("controller", "memory"), KINDS)
RUN = eqx.filter_jit(unroll)


def mann(controller: str, memory: str, key_source: str = "cell", seed: int = 0) -> MANN:
    """A network whose weights are large enough for every path to matter."""
    options = {"controller": controller, "key_source": key_source}
    cell = MANN(FEATURES, HIDDEN, MEMORIES[memory], **options, key=jax.random.key(seed))
    return jax.tree.map(lambda w: 2 * w, cell)


def inputs(seed: int = 1, steps: int = STEPS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, FEATURES))


def twin_of(cell: MANN) -> Network:
    first = cell.memory.init_state()
    arrays = [np.array(part, np.float64) for part in jax.tree.leaves(first)]
    if isinstance(cell.memory, LeastUsed):
        choices = (cell.memory.decay, cell.memory.share, cell.memory.order, cell.memory.written, cell.memory.strength)
        memory = LeastUsedMemory(*arrays, *choices, NORM_FLOOR)
    else:
        memory = TapeMemory(*arrays, NORM_FLOOR)
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
@pytest.mark.parametrize("kind", [LeastUsed, Tape])
def test_steps_are_the_twin_with_one_read_and_with_four(kind: type, heads: int) -> None:
    cell = MANN(FEATURES, HIDDEN, kind(SLOTS, WIDTH, heads), key=jax.random.key(0))
    ys, twin = RUN(cell, cell.init_state(), jnp.asarray(inputs()))[1], twin_of(cell)
    assert ys.shape == (STEPS, HIDDEN + heads * WIDTH)
    for x, y in zip(inputs(), ys, strict=True):
        np.testing.assert_allclose(y, twin.step(x), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("controller", "memory"), [("lstm", "least-used"), ("feed-forward", "tape")])
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


def test_the_key_source_says_what_steers_the_memory() -> None:
    for key_source in ("cell", "hidden"):
        cell = mann("lstm", "least-used", key_source)
        state = cell.init_state()
        halfway = cell.begin(state, cell.project(jnp.asarray(inputs()[0])))
        assert (halfway.source == getattr(halfway.half.controller, key_source)).all()
        assert (halfway.half.hidden == halfway.half.controller.hidden).all()
    assert (halfway.half.controller.cell != halfway.half.controller.hidden).all()
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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"controller": "gru"}, "controller: got 'gru', wanted one of lstm, feed-forward."),
        ({"key_source": "input"}, "key_source: got 'input', wanted one of cell, hidden."),
        ({"features": 0}, "features: got 0, wanted a number above 0."),
        ({"features": -1}, "features: got -1, wanted a number above 0."),
        ({"hidden": 0}, "hidden_size: got 0, wanted a number above 0."),
    ],
    ids=str,
)
def test_wrong_choices_are_refused_in_one_sentence(options: dict, said: str) -> None:
    arguments = {"features": FEATURES, "hidden": HIDDEN, "memory": MEMORIES["tape"]} | options
    with as_users_come(), pytest.raises(UserError) as raised:
        MANN(**arguments, key=jax.random.key(0))
    assert str(raised.value) == said


def test_a_memory_with_something_to_train_is_refused() -> None:
    """Walked back, it would get no gradient, and nobody would be told."""

    class Biased(Tape):
        bias: jax.Array = eqx.field(default_factory=lambda: jnp.zeros(3))

    said = "memory: got 'Biased', wanted one without arrays to train: what is trained stands in the contr"
    with as_users_come(), pytest.raises(UserError, match=said):
        MANN(FEATURES, HIDDEN, Biased(SLOTS, WIDTH, HEADS), key=jax.random.key(0))


def test_an_input_of_the_wrong_size_is_not_cut_to_fit() -> None:
    cell = mann("lstm", "tape")
    for size in (FEATURES - 1, FEATURES + 1):
        with pytest.raises((TypeError, ValueError)):
            cell(cell.init_state(), jnp.ones(size))
