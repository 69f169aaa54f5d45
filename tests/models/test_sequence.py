import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from tests.learners.tiny import FEATURES, WAY, network


def test_fast_weights_are_the_controllers_and_the_decoder() -> None:
    net = network(key=jax.random.key(0))
    fast = net.fast()
    assert eqx.tree_equal(net.with_fast(fast), net)
    moved = net.with_fast(jax.tree.map(lambda w: w + 1, fast))
    assert eqx.tree_equal(moved.fast(), jax.tree.map(lambda w: w + 1, fast))
    assert eqx.tree_equal((moved.embed, moved.cell.memory), (net.embed, net.cell.memory))


@pytest.mark.parametrize("label_input", ["none", "input", "write"])
def test_a_query_shows_zeros_where_a_support_item_shows_its_label(label_input: str) -> None:
    net = network(label_input, key=jax.random.key(0))
    features, labels = jnp.ones((WAY, FEATURES)), jnp.eye(WAY)
    shown, asked = net.cell_inputs(features, labels), net.cell_inputs(features, None)
    assert (shown[:, :FEATURES] == features).all()
    assert (asked[:, :FEATURES] == features).all()
    if label_input == "none":
        assert shown.shape == asked.shape == features.shape
    else:
        assert (shown[:, FEATURES:] == labels).all()
        assert (asked[:, FEATURES:] == 0).all()
