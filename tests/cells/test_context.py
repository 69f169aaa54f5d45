import equinox as eqx
import jax.numpy as jnp

from fastslow.cells.context import Forked, joined, only_branches, only_trunk, walk

XS = jnp.arange(1.0, 6.0)


def add(state, x):
    return state + x, 10 * (state + x)


WALK = eqx.filter_jit(lambda state, inputs: walk(add, state, inputs))


def test_branches_leave_the_fork_and_do_not_see_each_other() -> None:
    fork, ys = WALK(jnp.asarray(0.0), Forked(XS[:3], XS[3:]))
    assert fork.item() == 6.0
    assert ys.trunk.tolist() == [10.0, 30.0, 60.0]
    assert ys.branches.tolist() == [100.0, 110.0]


def test_a_trunk_alone_and_branches_alone() -> None:
    fork, ys = WALK(jnp.asarray(0.0), only_trunk(XS))
    assert (fork.item(), ys.trunk.shape, ys.branches.shape) == (15.0, (5,), (0,))
    fork, ys = WALK(jnp.asarray(1.0), only_branches(XS))
    assert (fork.item(), ys.trunk.shape) == (1.0, (0,))
    assert ys.branches.tolist() == [20.0, 30.0, 40.0, 50.0, 60.0]


def test_joined_puts_the_trunk_first() -> None:
    assert joined(Forked({"a": XS[:2]}, {"a": XS[2:]}))["a"].tolist() == XS.tolist()
