"""Probe: loops whose next input depends on the output: a policy in an environment, a decoder on its own output."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int
from tests.probes.common import TRAINING, splits, trained_and_resumed

import fastslow as fs
from fastslow.cells.reversible import AbstractReversibleCell
from fastslow.learners.base import AbstractLearnerConfig, Figures, initial_state, norm, one, outer_step
from fastslow.tasks.base import AbstractTaskConfig

STEPS, CELLS = 5, 4
REWARD = fs.Metric("reward", "1", None, larger_is_better=True)


class Corridor(eqx.Module):
    """A toy environment. Attributes: `position` of the agent; `goal`."""

    position: Int[Array, ""]
    goal: Int[Array, ""]

    def seen(self) -> Float[Array, " 2"]:
        return jnp.stack([self.position, self.goal]).astype(jnp.float32)

    def act(self, action: Int[Array, ""]) -> tuple["Corridor", Float[Array, ""]]:
        position = jnp.clip(self.position + 2 * action - 1, 0, CELLS - 1)
        return Corridor(position, self.goal), (position == self.goal).astype(jnp.float32)


class CorridorTask(fs.AbstractTask[Corridor]):
    def sample(self, key: Any, step: Any) -> Corridor:
        position, goal = jax.random.randint(key, (2,), 0, CELLS)
        return Corridor(position, goal)


@dataclass(frozen=True)
class CorridorConfig(AbstractTaskConfig):
    kind: Literal["corridor"] = "corridor"

    @property
    def spec(self) -> fs.TaskSpec:
        return fs.TaskSpec(self.kind, "sequence", (2,), fs.Categorical(2), label=0, metrics=(REWARD,))

    def build(self) -> fs.TaskSplits:
        return splits(CorridorTask())


class PolicyGradient(fs.Trainable[Corridor]):
    """Rolls out without gradient, then replays the recorded inputs through `unroll`, which keeps little for it."""

    build: Any = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)

    @property
    def monitor(self) -> fs.Metric:
        return REWARD

    @property
    def metrics(self) -> tuple[fs.Metric, ...]:
        return (REWARD,)

    def init(self, *, key: Any) -> fs.LearnerState:
        return initial_state(self.optimizer, self.build(key=key), ())

    def update(self, state: fs.LearnerState, episodes: Corridor, *, key: Any) -> tuple[fs.LearnerState, Figures]:
        keys = jax.random.split(key, episodes.goal.shape[0])
        xs, actions, rewards = jax.vmap(partial(self._played, state.params))(episodes, keys)

        def loss_of(network: fs.Network) -> Array:
            def one_episode(xs: Array, actions: Array, returns: Array) -> Array:
                _, ys = fs.unroll(network.cell, network.cell.init_state(), xs)
                outputs = jax.vmap(network.head)(ys)
                return jnp.mean(jax.vmap(network.head.nll)(outputs, actions) * returns)

            return jnp.mean(jax.vmap(one_episode)(xs, actions, rewards - jnp.mean(rewards)))

        loss, gradients = eqx.filter_value_and_grad(loss_of)(state.params)
        figures = {"loss": one(loss), REWARD.key: one(jnp.mean(rewards)), "gradient_norm": norm(gradients)}
        return outer_step(self.optimizer, state, gradients, ()), figures

    def evaluate(self, state: fs.LearnerState, episodes: Corridor, *, key: Any) -> Figures:
        keys = jax.random.split(key, episodes.goal.shape[0])
        rewards = jax.vmap(partial(self._played, state.params))(episodes, keys)[2]
        return {REWARD.key: fs.Figure(jnp.sum(rewards, axis=1), jnp.full(rewards.shape[0], float(STEPS)))}

    def _played(self, network: fs.Network, start: Corridor, key: Any) -> tuple[Array, Array, Array]:
        def feed(carry: tuple[Corridor, Any], y: Array) -> tuple[tuple[Corridor, Any], Array, Any]:
            world, key = carry
            key, action_key = jax.random.split(key)
            action = jax.random.categorical(action_key, network.head(y))
            world, reward = world.act(action)
            return (world, key), world.seen(), (action, reward)

        played = fs.rollout(network.cell, network.cell.init_state(), feed, STEPS, x=start.seen(), carry=(start, key))
        return jax.lax.stop_gradient((played.xs, *played.info))


@dataclass(frozen=True)
class PolicyConfig(AbstractLearnerConfig):
    kind: Literal["policy"] = "policy"

    @property
    def facts(self) -> dict[str, Any]:
        return {"protocol": "policy gradient"}

    def build(self, model: Any, spec: fs.TaskSpec, optimizer: Any, *, batch: int) -> PolicyGradient:
        return PolicyGradient(partial(model.build, spec), optimizer)


MANN = fs.MANNConfig(fs.LSTMConfig(hidden=6), fs.LeastUsedConfig(slots=4, width=3, heads=1))


def test_a_policy_trains_in_a_closed_loop_and_resumes(tmp_path: Path) -> None:
    model = fs.NetworkConfig(embed=fs.FlattenConfig(), cell=MANN)
    trained = trained_and_resumed(fs.Config(CorridorConfig(), model, PolicyConfig(), training=TRAINING), tmp_path)
    assert isinstance(trained.states.params.cell, AbstractReversibleCell)
    (row,) = fs.evaluate(trained, episodes=8)
    assert 0 <= row.value <= 1


class Decoder(fs.Trainable[Array]):
    """Continues a sequence of numbers from its first one, on its own output; differentiated through the loop."""

    build: Any = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)

    @property
    def monitor(self) -> fs.Metric:
        return fs.LOSS

    @property
    def metrics(self) -> tuple[fs.Metric, ...]:
        return (fs.LOSS,)

    def init(self, *, key: Any) -> fs.LearnerState:
        return initial_state(self.optimizer, self.build(key=key), ())

    def update(self, state: fs.LearnerState, episodes: Array, *, key: Any) -> tuple[fs.LearnerState, Figures]:
        loss, gradients = eqx.filter_value_and_grad(lambda p: jnp.mean(self._losses(p, episodes)))(state.params)
        figures = {"loss": one(loss), "gradient_norm": norm(gradients)}
        return outer_step(self.optimizer, state, gradients, ()), figures

    def evaluate(self, state: fs.LearnerState, episodes: Array, *, key: Any) -> Figures:
        losses = self._losses(state.params, episodes)
        return {"loss": fs.Figure(losses, jnp.ones_like(losses))}

    def _losses(self, network: fs.Network, episodes: Float[Array, "batch time 1"]) -> Float[Array, " batch"]:
        def feed(_: None, y: Array) -> tuple[None, Array, Array]:
            said = network.head(y)[:1]
            return None, said, said

        def one_loss(xs: Array) -> Array:
            rolled = fs.rollout(network.cell, network.cell.init_state(), feed, xs.shape[0] - 1, x=xs[0])
            return jnp.mean((rolled.info - xs[1:]) ** 2)

        return jax.vmap(one_loss)(episodes)


class WaveTask(fs.AbstractTask[Array]):
    def sample(self, key: Any, step: Any) -> Float[Array, "time 1"]:
        return jnp.sin(jax.random.uniform(key) + jnp.arange(STEPS, dtype=jnp.float32))[:, None]


@dataclass(frozen=True)
class WaveConfig(AbstractTaskConfig):
    kind: Literal["wave"] = "wave"

    @property
    def spec(self) -> fs.TaskSpec:
        return fs.TaskSpec(self.kind, "sequence", (1,), fs.Gaussian(), label=0, metrics=(fs.LOSS,))

    def build(self) -> fs.TaskSplits:
        return splits(WaveTask())


@dataclass(frozen=True)
class DecoderConfig(AbstractLearnerConfig):
    kind: Literal["decoder"] = "decoder"

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def build(self, model: Any, spec: fs.TaskSpec, optimizer: Any, *, batch: int) -> Decoder:
        return Decoder(partial(model.build, spec), optimizer)


def test_a_decoder_trains_on_its_own_output_and_resumes(tmp_path: Path) -> None:
    model = fs.NetworkConfig(embed=fs.FlattenConfig(), cell=fs.LSTMConfig(hidden=6))
    trained = trained_and_resumed(fs.Config(WaveConfig(), model, DecoderConfig(), training=TRAINING), tmp_path)
    (row,) = fs.evaluate(trained, episodes=8)
    assert row.value > 0
