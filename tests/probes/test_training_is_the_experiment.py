"""Probe: a stream without episodes, one memory that is carried on, and a series per update kept in the result file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int
from tests.probes.common import TRAINING, splits, trained_and_resumed

import fastslow as fs
from fastslow.learners.base import AbstractLearnerConfig, Figures, initial_state, norm, one, outer_step
from fastslow.results.measure import measure, series_of
from fastslow.results.row import read_rows, write_rows
from fastslow.tasks.base import AbstractTaskConfig
from fastslow.training.metrics import read_metrics

RARE_EVERY = 3


class Item(eqx.Module):
    """One item of the stream: a vector and its class, 1 in a rare batch."""

    x: Float[Array, " 3"]
    label: Int[Array, ""]


class StreamTask(fs.AbstractTask[Item]):
    """Class 0, and class 1 in every third batch; items of the test stream are of class 1 alone."""

    rare_alone: bool = eqx.field(static=True)

    def sample(self, key: Any, step: Any) -> Item:
        label = jnp.asarray(1) if self.rare_alone else (step % RARE_EVERY == RARE_EVERY - 1).astype(jnp.int32)
        return Item(jax.random.normal(key, (3,)) + label.astype(jnp.float32), label)


@dataclass(frozen=True)
class StreamConfig(AbstractTaskConfig):
    kind: Literal["rare-stream"] = "rare-stream"

    @property
    def spec(self) -> fs.TaskSpec:
        return fs.TaskSpec(self.kind, "sequence", (3,), fs.Categorical(2), label=0, metrics=(fs.ACCURACY,))

    def build(self) -> fs.TaskSplits:
        test = StreamTask(rare_alone=True)
        return replace(splits(StreamTask(rare_alone=False)), validation=test, test=test)


class StreamLearner(fs.Trainable[Item]):
    """The items of a batch pass one after the other through one memory, which goes on with the next batch."""

    model: Any = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)
    spec: fs.TaskSpec = eqx.field(static=True)

    @property
    def monitor(self) -> fs.Metric:
        return fs.ACCURACY

    @property
    def metrics(self) -> tuple[fs.Metric, ...]:
        return (fs.ACCURACY,)

    def init(self, *, key: Any) -> fs.LearnerState:
        network = self.model.build(self.spec, key=key)
        return initial_state(self.optimizer, network, network.cell.init_state())

    def update(self, state: fs.LearnerState, episodes: Item, *, key: Any) -> tuple[fs.LearnerState, Figures]:
        def loss_of(network: fs.Network) -> tuple[Array, tuple[Any, Array]]:
            memory, ys = fs.unroll(network.cell, state.model_state, episodes.x)
            outputs = jax.vmap(network.head)(ys)
            correct = jax.vmap(lambda o, t: network.head.scores(o, t)["accuracy"])(outputs, episodes.label)
            return jnp.mean(jax.vmap(network.head.nll)(outputs, episodes.label)), (memory, jnp.mean(correct))

        (loss, (memory, correct)), gradients = eqx.filter_value_and_grad(loss_of, has_aux=True)(state.params)
        figures = {"loss": one(loss), "accuracy": one(correct), "gradient_norm": norm(gradients)}
        return outer_step(self.optimizer, state, gradients, jax.lax.stop_gradient(memory)), figures

    def evaluate(self, state: fs.LearnerState, episodes: Item, *, key: Any) -> Figures:
        network = state.params
        ys = jax.vmap(lambda x: network.cell(state.model_state, x)[1])(episodes.x)  # reads, and writes nothing
        outputs = jax.vmap(network.head)(ys)
        correct = jax.vmap(lambda o, t: network.head.scores(o, t)["accuracy"])(outputs, episodes.label)
        return {"accuracy": fs.Figure(correct, jnp.ones_like(correct))}


@dataclass(frozen=True)
class StreamLearnerConfig(AbstractLearnerConfig):
    kind: Literal["stream"] = "stream"

    @property
    def facts(self) -> dict[str, Any]:
        return {"protocol": "stream"}

    def build(self, model: Any, spec: fs.TaskSpec, optimizer: Any, *, batch: int) -> StreamLearner:
        return StreamLearner(model, optimizer, spec)


def test_series_per_update_stand_in_the_result_file(tmp_path: Path) -> None:
    training = replace(TRAINING, steps=6, validate_every=0, validate_at=(1, 3), select="last")
    model = fs.NetworkConfig(embed=fs.FlattenConfig(), cell=fs.NMNConfig(width=4, memory=fs.SoftSlotsConfig(slots=2)))
    trained = trained_and_resumed(fs.Config(StreamConfig(), model, StreamLearnerConfig(), training=training), tmp_path)
    reports = read_metrics(tmp_path / "whole" / "metrics.jsonl")
    series = series_of(reports, ("gradient_norm", "validation_accuracy"))
    (row,) = measure(trained, experiment="probe", row="stream", episodes=8)
    write_rows(tmp_path / "result.json", [replace(row, series=series)])
    (read,) = read_rows(tmp_path / "result.json")
    assert read.series is not None
    assert list(read.series["gradient_norm"]["steps"]) == [1, 2, 3, 4, 5, 6]
    assert list(read.series["validation_accuracy"]["steps"]) == [1, 3]
    assert len(read.series["gradient_norm"]["values"]) == 1  # one seed
    assert all(value > 0 for value in read.series["gradient_norm"]["values"][0])
