import equinox as eqx
import jax.numpy as jnp

from fastslow.cells.context import ContextAndQueries, joined, only_context, only_queries, walk

XS = jnp.arange(1.0, 6.0)


def add(state, x):
    return state + x, 10 * (state + x)


WALK = eqx.filter_jit(lambda state, inputs: walk(add, state, inputs))


def test_branches_leave_the_fork_and_do_not_see_each_other() -> None:
    fork, ys = WALK(jnp.asarray(0.0), ContextAndQueries(XS[:3], XS[3:]))
    assert fork.item() == 6.0
    assert ys.context.tolist() == [10.0, 30.0, 60.0]
    assert ys.queries.tolist() == [100.0, 110.0]


def test_a_trunk_alone_and_branches_alone() -> None:
    fork, ys = WALK(jnp.asarray(0.0), only_context(XS))
    assert (fork.item(), ys.context.shape, ys.queries.shape) == (15.0, (5,), (0,))
    fork, ys = WALK(jnp.asarray(1.0), only_queries(XS))
    assert (fork.item(), ys.context.shape) == (1.0, (0,))
    assert ys.queries.tolist() == [20.0, 30.0, 40.0, 50.0, 60.0]


def test_joined_puts_the_trunk_first() -> None:
    assert joined(ContextAndQueries({"a": XS[:2]}, {"a": XS[2:]}))["a"].tolist() == XS.tolist()
