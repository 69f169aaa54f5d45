import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastslow.cells.base import AbstractCell, select
from fastslow.cells.unroll import unroll

STEPS = 5


class Sum(AbstractCell):
    """Adds up what it is given; starts from `start`."""

    start: jax.Array

    @property
    def out_size(self):
        return 1

    def init_state(self):
        return self.start

    def __call__(self, state, x):
        return state + x, 2 * (state + x)


CELL = Sum(jnp.asarray([10.0]))
XS = jnp.arange(1.0, STEPS + 1)[:, None]
RUN = eqx.filter_jit(unroll)


def test_outputs_and_last_state() -> None:
    after, ys = RUN(CELL, jnp.asarray([0.0]), XS)
    assert after.tolist() == [15.0]
    assert ys[:, 0].tolist() == [2.0, 6.0, 12.0, 20.0, 30.0]


def test_a_reset_starts_from_the_initial_state_before_its_step() -> None:
    reset = jnp.asarray([False, False, True, False, False])
    after, ys = RUN(CELL, jnp.asarray([0.0]), XS, reset=reset)
    assert ys[:, 0].tolist() == [2.0, 6.0, 26.0, 34.0, 44.0]
    assert after.tolist() == [22.0]


def test_a_masked_step_changes_no_state_and_says_zero() -> None:
    mask = jnp.asarray([True, False, True, False, True])
    after, ys = RUN(CELL, jnp.asarray([0.0]), XS, mask=mask)
    assert ys[:, 0].tolist() == [2.0, 0.0, 8.0, 0.0, 18.0]
    assert after.tolist() == [9.0]


def test_a_masked_reset_does_not_happen() -> None:
    reset = mask = jnp.asarray([True, True, False, True, True])
    reset = ~reset
    after, _ = RUN(CELL, jnp.asarray([0.0]), XS, reset=reset, mask=mask)
    assert after.tolist() == [12.0]


@pytest.mark.parametrize("poison", [np.inf, np.nan])
def test_what_is_not_chosen_leaves_no_trace(poison: float) -> None:
    chosen = select(jnp.asarray(True), jnp.ones(2), jnp.full(2, poison))
    assert (chosen == 1).all()
    xs = XS.at[1].set(poison)
    reset = jnp.asarray([False, False, True, False, False])
    ys = RUN(CELL, jnp.asarray([0.0]), xs, reset=reset)[1]
    assert ys[2:, 0].tolist() == [26.0, 34.0, 44.0]
    ys = RUN(CELL, jnp.asarray([0.0]), xs, mask=jnp.asarray([True, False, True, True, True]))[1]
    assert np.isfinite(ys).all()


def test_no_steps_change_nothing() -> None:
    after, ys = RUN(CELL, jnp.asarray([3.0]), XS[:0])
    assert after.tolist() == [3.0]
    assert ys.shape == (0, 1)
