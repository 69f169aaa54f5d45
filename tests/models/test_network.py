"""Embed → cell → head: rows as cells read them, items as first steps, and what fits a task."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.specs import IMAGES, TOKENS, VECTORS, WAY, spec
from tests.reference.rounding import operations_of, rounding
from tests.sentences import refused

from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.cells.nmn import NMNConfig
from fastslow.memory.least_used import LeastUsedConfig
from fastslow.memory.slots import SoftSlotsConfig
from fastslow.models.conv import ConvConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.models.lookup import LookupConfig
from fastslow.models.network import Network, NetworkConfig, initial_states
from fastslow.tasks.targets import Gaussian, MultiCategorical

KEY = jax.random.key(0)
CELLS = {
    "nmn": NMNConfig(5, SoftSlotsConfig(4), label_input="write"),
    "mann": MANNConfig(LSTMConfig(5), LeastUsedConfig(slots=4, width=3, heads=2)),
    "lstm": LSTMConfig(5),
    "feed-forward": FeedForwardConfig(5),
}
CONV = ConvConfig(features=6, channels=2, blocks=1)
every_cell = pytest.mark.parametrize("cell", CELLS)


@cache
def network(cell: str = "nmn") -> Network:
    return NetworkConfig(CONV, CELLS[cell]).build(IMAGES, key=KEY)


def images(count: int = 4) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).random((count, *IMAGES.shape)), jnp.float32)


@every_cell
def test_a_network_is_its_parts(cell: str) -> None:
    built = network(cell)
    assert built.label == WAY
    assert built.embed.out_size == 6
    assert built.head.linear.weight.shape == (WAY, built.cell.out_size)
    assert eqx.tree_equal(NetworkConfig(CONV, CELLS[cell]).build(IMAGES, key=KEY), built)
    other = NetworkConfig(CONV, CELLS[cell]).build(IMAGES, key=jax.random.key(1))
    for part in ("embed", "cell", "head"):
        assert not eqx.tree_equal(getattr(other, part), getattr(built, part))


@every_cell
def test_a_cell_reads_features_and_the_label_beside_them(cell: str) -> None:
    """A query has zeros where a support item has its label, whatever the cell makes of labels."""
    built = network(cell)
    features, labels = jnp.ones((WAY, 6)), jnp.eye(WAY)
    np.testing.assert_array_equal(built.rows(features, labels), np.concatenate([features, labels], axis=1))
    np.testing.assert_array_equal(built.rows(features), np.concatenate([features, np.zeros((WAY, WAY))], axis=1))


@every_cell
def test_items_are_each_the_first_step_of_a_sequence(cell: str) -> None:
    built = network(cell)
    outputs, used = eqx.filter_jit(built.items)(images(), None)
    features, expected_used = built.embed(images(), None)
    rounded = rounding(operations_of(built), scale=10)
    for row, output in zip(features, outputs, strict=True):
        alone = built.head(built.cell(built.cell.init_state(), jnp.concatenate([row, jnp.zeros(WAY)]))[1])
        np.testing.assert_allclose(output, alone, rtol=rounded, atol=rounded)
    for ours, theirs in zip(jax.tree.leaves(used), jax.tree.leaves(expected_used), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rounded, atol=rounded)
    # with statistics given, an item does not depend on the others
    some, same = eqx.filter_jit(built.items)(images()[1:3], used)
    np.testing.assert_allclose(some, outputs[1:3], rtol=rounded, atol=rounded)
    assert eqx.tree_equal(same, used)


@every_cell
def test_first_states_are_the_cells_once_for_each_sequence(cell: str) -> None:
    built = network(cell)
    for one, batch in zip(
        jax.tree.leaves(built.cell.init_state()), jax.tree.leaves(initial_states(built.cell, 3)), strict=True
    ):
        np.testing.assert_array_equal(batch, np.stack([one] * 3))


def test_inputs_of_each_kind_have_an_embedding() -> None:
    for given, embed, features in ((IMAGES, CONV, 6), (VECTORS, FlattenConfig(), 5), (TOKENS, LookupConfig(3), 3)):
        built = NetworkConfig(embed, CELLS["lstm"]).build(given, key=KEY)
        assert built.cell.input_weight.shape[1] == features + WAY
        x = jnp.zeros((2, *given.shape), int if given.tokens else float)
        outputs, _ = jax.eval_shape(lambda x, built=built: built.items(x, built.embed.neutral()), x)
        assert outputs.shape == (2, WAY)


def test_a_task_may_have_no_label_to_show() -> None:
    built = NetworkConfig(FlattenConfig(), CELLS["lstm"]).build(spec((5,), label=0), key=KEY)
    assert built.cell.input_weight.shape[1] == 5
    features = jnp.ones((2, 5))
    np.testing.assert_array_equal(built.rows(features), features)


def test_the_head_is_of_the_tasks_target() -> None:
    for target in (Gaussian(), MultiCategorical(2, 5)):
        given = spec((5,), target=target, label=target.size)
        built = NetworkConfig(FlattenConfig(), CELLS["lstm"]).build(given, key=KEY)
        assert built.head.linear.weight.shape == (target.outputs, 5)
        assert built.head.target == target


@pytest.mark.parametrize(
    ("config", "given", "why"),
    [
        (NetworkConfig(CONV, CELLS["lstm"]), TOKENS, "embed: got 'conv', expected flatten or lookup"),
        (NetworkConfig(FlattenConfig(), CELLS["lstm"]), TOKENS, "embed: got 'flatten', expected lookup"),
        (NetworkConfig(LookupConfig(), CELLS["lstm"]), IMAGES, "embed: got 'lookup', expected conv or flatten"),
        (NetworkConfig(FlattenConfig(), NMNConfig(width=0)), IMAGES, "width: got 0"),
        (NetworkConfig(FlattenConfig(), LSTMConfig(0)), IMAGES, "hidden_size: got 0"),
        (
            NetworkConfig(FlattenConfig(), MANNConfig(FeedForwardConfig(5), key_source="hidden")),
            IMAGES,
            "key_source: got 'hidden', expected cell",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(config: NetworkConfig, given, why: str) -> None:
    with refused(why):
        config.build(given, key=KEY)
