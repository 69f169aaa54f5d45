"""Probe: a memory that is a list of matrices, with a trained initial value and a loss of its own, reversible."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cells.toys import WIDTH, NetCell, net_cell
from tests.probes.common import TRAINING, trained_and_resumed

import fastslow as fs
from fastslow.cells.base import AbstractCellConfig

KEY = jax.random.key(0)


@dataclass(frozen=True)
class NetCellConfig(AbstractCellConfig):
    kind: Literal["net"] = "net"

    def build(self, features: int, label: int, *, key: Any) -> NetCell:
        enter = jax.random.normal(key, (WIDTH, features + label)) / np.sqrt(features + label)
        return eqx.tree_at(lambda cell: cell.enter, net_cell(), enter)


CONFIG = fs.Config(
    fs.GaussianProcessConfig(length=6),
    fs.NetworkConfig(fs.FlattenConfig(), NetCellConfig()),
    fs.SupervisedConfig(),
    training=TRAINING,
)


@pytest.mark.parametrize("persistent", [pytest.param(False, marks=pytest.mark.slow), True])
def test_it_trains_and_resumes(persistent: bool, tmp_path: Path) -> None:
    config = replace(CONFIG, learner=fs.SupervisedConfig(persistent=persistent))
    trained = trained_and_resumed(config, tmp_path)
    initial = config.build().init(key=KEY).params.cell.initial
    for matrix, at_first in zip(trained.states.params.cell.initial, initial, strict=True):
        assert matrix.shape[1:] == at_first.shape
        assert np.isfinite(matrix).all()
        learned = not np.allclose(matrix[0], at_first, rtol=0, atol=1e-4)
        assert learned != persistent  # episodes that go on from a memory that persists never see the initial one
    (row,) = (row for row in fs.evaluate(trained, episodes=8) if row.axis == {})
    assert np.isfinite(row.value)


def test_its_own_loss_is_learned_from() -> None:
    """An update's gradient is that of the task's loss and the cell's, with autodiff through every step."""
    learner = CONFIG.build()
    state = learner.init(key=KEY)
    task = CONFIG.task.build().train
    episodes = jax.jit(jax.vmap(lambda key: task.sample(key, jnp.asarray(0))))(jax.random.split(KEY, 2))

    def loss_of(network: fs.Network, own_scale: float) -> jax.Array:
        def of_one(episode: fs.SequenceEpisode) -> tuple[jax.Array, jax.Array]:
            features, _ = network.embed(episode.inputs.x, None)
            rows, state, losses = network.rows(features, episode.inputs.label), network.cell.init_state(), []
            for row, target in zip(rows, episode.targets, strict=True):
                state, y = network.cell(state, row)
                losses.append(network.head.nll(network.head(y), target))
            return jnp.mean(jnp.stack(losses)), state.loss

        tasks, own = zip(*(of_one(jax.tree.map(lambda leaf, i=i: leaf[i], episodes)) for i in range(2)), strict=True)
        return sum(tasks) / 2 + own_scale * sum(own) / 2

    _, figures = jax.jit(lambda state: learner.update(state, episodes, key=KEY))(state)
    norms = {}
    for scale in (1.0, 0.0):
        gradient = jax.jit(jax.grad(lambda params, scale=scale: loss_of(params, scale)))(state.params)
        norms[scale] = float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient))))
    assert float(figures["gradient_norm"].value) == pytest.approx(norms[1.0], rel=1e-4)
    assert norms[0.0] != pytest.approx(norms[1.0], rel=1e-2)
