import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tests.cells.tiny import lstm_twin
from tests.reference.lstm import lstm_step

from fastslow._checks import UserError
from fastslow.cells.lstm import LSTM, LSTMState
from fastslow.cells.unroll import unroll

pytestmark = pytest.mark.usefixtures("double")

IN, HIDDEN, STEPS = 3, 5, 6


def inputs(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(STEPS, IN))


def test_steps_are_the_twin() -> None:
    cell = jax.tree.map(lambda w: 3 * w, LSTM(IN, HIDDEN, key=jax.random.key(0)))
    twin, hidden, inner = lstm_twin(cell), np.full(HIDDEN, 0.3), np.full(HIDDEN, -0.7)
    state = LSTMState(hidden=jnp.asarray(hidden), cell=jnp.asarray(inner))
    after, outputs = eqx.filter_jit(unroll)(cell, state, jnp.asarray(inputs()))
    for x, y in zip(inputs(), outputs, strict=True):
        hidden, inner = lstm_step(twin, hidden, inner, x)
        np.testing.assert_allclose(y, hidden, rtol=1e-10)
    np.testing.assert_allclose(after.hidden, hidden, rtol=1e-10)
    np.testing.assert_allclose(after.cell, inner, rtol=1e-10)


def test_projecting_first_is_the_same_step() -> None:
    cell = LSTM(IN, HIDDEN, key=jax.random.key(1))
    state, x = LSTMState(hidden=jnp.full(HIDDEN, 0.2), cell=jnp.full(HIDDEN, 0.4)), jnp.asarray(inputs()[0])
    after, y = cell(state, x)
    again, same = cell.advance(state, cell.project(x))
    assert eqx.tree_equal((after, y), (again, same))


def test_gradients_are_finite_differences() -> None:
    """In every weight, the inputs and the first state, through six steps."""
    cell = LSTM(IN, HIDDEN, key=jax.random.key(2))
    state = LSTMState(hidden=jnp.full(HIDDEN, 0.2), cell=jnp.full(HIDDEN, -0.4))

    def loss(cell, state, xs):
        after, ys = unroll(cell, state, xs)
        return jnp.sum(ys**2 * jnp.arange(1.0, HIDDEN + 1)[None]) + jnp.sum(after.cell**3)

    check_grads(jax.jit(loss), (cell, state, jnp.asarray(inputs())), order=1, modes=["rev"])


def saturated(enter: float, forget: float, out: float) -> LSTM:
    """A cell whose gates are pushed to 0 (−1e3) or 1 (1e3), and whose news are `tanh(1)`."""
    cell = jax.tree.map(jnp.zeros_like, LSTM(1, 2, key=jax.random.key(0)))
    bias = np.repeat([enter, forget, 1.0, out], 2)
    return eqx.tree_at(lambda c: c.bias, cell, jnp.asarray(bias))


@pytest.mark.parametrize(
    ("gates", "inner", "hidden"),
    [
        ((-1e3, 1e3, 1e3), 0.5, np.tanh(0.5)),
        ((1e3, -1e3, 1e3), np.tanh(1), np.tanh(np.tanh(1))),
        ((1e3, 1e3, 1e3), 0.5 + np.tanh(1), np.tanh(0.5 + np.tanh(1))),
        ((-1e3, -1e3, 1e3), 0.0, 0.0),
        ((1e3, 1e3, -1e3), 0.5 + np.tanh(1), 0.0),
    ],
    ids=["keeps", "overwrites", "adds", "forgets", "says nothing"],
)
def test_gates_at_their_limits(gates: tuple[float, float, float], inner: float, hidden: float) -> None:
    state = LSTMState(hidden=jnp.full(2, 0.1), cell=jnp.full(2, 0.5))
    after, y = saturated(*gates)(state, jnp.zeros(1))
    np.testing.assert_allclose(after.cell, inner, rtol=1e-15)
    np.testing.assert_allclose(y, hidden, rtol=1e-15)


def test_a_fresh_cell_remembers() -> None:
    """The forget gate's bias, and no other, starts at one."""
    bias = LSTM(IN, HIDDEN, key=jax.random.key(3)).bias
    assert (bias == jnp.repeat(jnp.asarray([0.0, 1.0, 0.0, 0.0]), HIDDEN)).all()


def test_weights_are_drawn_apart() -> None:
    cell = LSTM(HIDDEN, HIDDEN, key=jax.random.key(4))
    assert (cell.input_weight != cell.hidden_weight).any()
    assert (jnp.abs(cell.hidden_weight) <= HIDDEN**-0.5).all()


@pytest.mark.parametrize(("sizes", "named"), [((0, 3), "in_size"), ((3, 0), "hidden_size")])
def test_sizes_below_one_are_refused(sizes: tuple[int, int], named: str) -> None:
    with pytest.raises(UserError, match=f"{named}: got 0, expected a number above 0"):
        LSTM(*sizes, key=jax.random.key(0))
