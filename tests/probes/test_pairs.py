"""Probe: two networks on two tasks share one set of predictors; a task that is absent leaves its network as it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool
from tests.probes.common import TRAINING, assert_equal, splits, trained_and_resumed

import fastslow as fs
from fastslow.cells.context import only_context
from fastslow.learners.base import AbstractLearnerConfig, Figures, norm, one
from fastslow.synthetic.feedback import feedback, together
from fastslow.synthetic.segment import with_mask
from fastslow.tasks.base import AbstractTaskConfig

LENGTH, EVERY = 4, 2
FEEDBACK = fs.FeedbackConfig(regime="both", regression=1.0, hidden=4)


class Pair(eqx.Module):
    """A sequence of each task, and whether the second task is there in this update."""

    first: fs.SequenceEpisode
    second: fs.SequenceEpisode
    present: Bool[Array, ""]


class PairTask(fs.AbstractTask[Pair]):
    def sample(self, key: Any, step: Any) -> Pair:
        keys = jax.random.split(key)
        first, second = (self._sequence(k, scale) for k, scale in zip(keys, (1.0, 2.0), strict=True))
        return Pair(first, second, step % EVERY == 0)

    def _sequence(self, key: Any, scale: float) -> fs.SequenceEpisode:
        x = scale * jax.random.normal(key, (LENGTH, 2))
        targets = jax.nn.one_hot((x[:, 0] > x[:, 1]).astype(jnp.int32), 2)
        inputs = fs.Inputs(x=x, label=jnp.zeros((LENGTH, 0)))
        return fs.SequenceEpisode(inputs, targets, jnp.ones(LENGTH, bool), jnp.arange(LENGTH))


@dataclass(frozen=True)
class PairConfig(AbstractTaskConfig):
    kind: Literal["pair"] = "pair"

    @property
    def spec(self) -> fs.TaskSpec:
        return fs.TaskSpec(self.kind, "sequence", (2,), fs.Categorical(2), label=0, metrics=(fs.LOSS,))

    def build(self) -> fs.TaskSplits:
        return splits(PairTask())


class Shared(eqx.Module):
    """Attributes: the two networks; the predictors of both."""

    first: fs.Network
    second: fs.Network
    predictors: fs.SyntheticGradients


class PairLearner(fs.Trainable[Pair]):
    """Each network has an optimizer state of its own, so that what is absent keeps its moments."""

    model: Any = eqx.field(static=True)
    optimizer: optax.GradientTransformation = eqx.field(static=True)
    spec: fs.TaskSpec = eqx.field(static=True)

    @property
    def monitor(self) -> fs.Metric:
        return fs.LOSS

    @property
    def metrics(self) -> tuple[fs.Metric, ...]:
        return (fs.LOSS,)

    def init(self, *, key: Any) -> fs.LearnerState:
        keys = jax.random.split(key, 3)
        first, second = (self.model.build(self.spec, key=k) for k in keys[:2])
        predictors = fs.SyntheticGradients(first.cell.controllers, 2, kind="mlp", hidden=4, key=keys[2])
        params = Shared(first, second, predictors)
        states = Shared(*(self.optimizer.init(eqx.filter(p, eqx.is_inexact_array)) for p in vars(params).values()))
        return fs.LearnerState(params, states, ())

    def update(self, state: fs.LearnerState, episodes: Pair, *, key: Any) -> tuple[fs.LearnerState, Figures]:
        predictors, found = state.params.predictors, {}
        for name in ("first", "second"):
            found[name] = self._learned(getattr(state.params, name), predictors, getattr(episodes, name))
        here = jnp.any(episodes.present)
        present = {"first": jnp.asarray(True), "second": here}
        both = [jax.tree.map(lambda g, p=present[name]: jnp.where(p, g, 0), found[name][2]) for name in found]
        gradients = {name: found[name][1] for name in found} | {"predictors": jax.tree.map(jnp.add, *both)}
        params, opt_states = {}, {}
        for name, gradient in gradients.items():
            old, old_state = getattr(state.params, name), getattr(state.opt_state, name)
            updates, new_state = self.optimizer.update(gradient, old_state, eqx.filter(old, eqx.is_inexact_array))
            new = eqx.apply_updates(old, updates)
            keep = present.get(name, jnp.asarray(True))
            choose = lambda a, b, keep=keep: jnp.where(keep, a, b)
            params[name] = jax.tree.map(choose, new, old)
            opt_states[name] = jax.tree.map(choose, new_state, old_state)
        loss = jnp.where(here, (found["first"][0] + found["second"][0]) / 2, found["first"][0])
        figures = {"loss": one(loss), "gradient_norm": norm(gradients)}
        return fs.LearnerState(Shared(**params), Shared(**opt_states), ()), figures

    def evaluate(self, state: fs.LearnerState, episodes: Pair, *, key: Any) -> Figures:
        losses = jax.vmap(lambda e: self._taught(state.params.first, state.params.predictors, e).loss)(episodes.first)
        return {"loss": fs.Figure(losses, jnp.ones_like(losses))}

    def _learned(self, network: fs.Network, predictors: fs.SyntheticGradients, episodes: Any) -> tuple[Array, Any, Any]:
        def regression(predictors: fs.SyntheticGradients) -> tuple[Array, Any]:
            taught = jax.vmap(lambda e: self._taught(network, predictors, e))(episodes)
            return jnp.mean(taught.regression), taught

        to_predictors, taught = eqx.filter_grad(regression, has_aux=True)(predictors)
        summed = jax.tree.map(lambda g: jnp.mean(g, axis=0), together(taught))
        trained = jax.tree.map(jnp.zeros_like, eqx.filter(network, eqx.is_inexact_array))
        gradient = eqx.tree_at(lambda n: (n.cell, n.head), trained, (summed.cell, summed.head))
        return jnp.mean(taught.loss), gradient, to_predictors

    def _taught(self, network: fs.Network, predictors: fs.SyntheticGradients, episode: Any) -> Any:
        rows = network.rows(network.embed(episode.inputs.x, None)[0])
        segment = with_mask(only_context(rows), only_context(episode.targets), context=True, queries=False)
        return feedback(network.cell, network.head, predictors, segment, FEEDBACK)


@dataclass(frozen=True)
class PairLearnerConfig(AbstractLearnerConfig):
    kind: Literal["pair"] = "pair"

    @property
    def facts(self) -> dict[str, Any]:
        return {"regime": FEEDBACK.regime}

    def build(self, model: Any, spec: fs.TaskSpec, optimizer: Any, *, batch: int) -> PairLearner:
        return PairLearner(model, optimizer, spec)


MODEL = fs.NetworkConfig(embed=fs.FlattenConfig(), cell=fs.NMNConfig(width=4, memory=fs.SoftSlotsConfig(slots=2)))
CONFIG = fs.Config(PairConfig(), MODEL, PairLearnerConfig(), training=TRAINING)


def test_pairs_train_and_resume(tmp_path: Path) -> None:
    trained = trained_and_resumed(CONFIG, tmp_path)
    (row,) = fs.evaluate(trained, episodes=8)
    assert row.metric == "loss"


def moved(before: Any, after: Any) -> bool:
    leaves = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(not np.array_equal(a, b) for a, b in leaves)


def test_an_absent_task_leaves_its_network_and_its_moments() -> None:
    learner = CONFIG.build()
    state = learner.init(key=jax.random.key(0))
    draw = jax.vmap(lambda key, step: PairTask().sample(key, step), (0, None))
    update = jax.jit(
        lambda state, step: learner.update(state, draw(jax.random.split(jax.random.key(1), 3), step), key=None)
    )
    with_both, _ = update(state, jnp.asarray(0))
    after, _ = update(with_both, jnp.asarray(1))
    assert_equal(after.params.second, with_both.params.second)
    assert_equal(after.opt_state.second, with_both.opt_state.second)
    moved = lambda a, b: any(
        not np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    assert moved(after.params.first, with_both.params.first)
    assert moved(after.params.predictors, with_both.params.predictors)
    assert moved(with_both.params.second, state.params.second)
