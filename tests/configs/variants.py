"""Every member of every union, with every member of the unions within it, and episodes as a task's spec has them."""

from collections.abc import Iterator
from dataclasses import fields
from itertools import product
from typing import Any, get_args, get_type_hints

import jax
import jax.numpy as jnp

from fastslow.configs.members import MEMBERS
from fastslow.tasks.base import Examples, FewShotEpisode, Inputs, SequenceEpisode, TaskSpec

BATCH, TIME, ITEMS = 2, 3, 5


def members(annotation: Any) -> tuple[type, ...]:
    """The members of a union, open or not; none for any other annotation."""
    return MEMBERS.get(annotation) or tuple(kind for kind in get_args(annotation) if hasattr(kind, "kind"))


def variants(kind: type) -> Iterator[Any]:
    """A configuration with its defaults, once for each choice of the members within it."""
    hints = get_type_hints(kind)
    within = {field.name: members(hints[field.name]) for field in fields(kind) if members(hints[field.name])}
    choices = [[variant for member in union for variant in variants(member)] for union in within.values()]
    for chosen in product(*choices):
        yield kind(**dict(zip(within, chosen, strict=True)))


def named(config: Any) -> str:
    """The kinds of a configuration and of what is within it."""
    within = [
        named(getattr(config, field.name)) for field in fields(config) if hasattr(getattr(config, field.name), "kind")
    ]
    return f"{config.kind}({' '.join(within)})" if within else config.kind


def episodes(spec: TaskSpec) -> FewShotEpisode | SequenceEpisode:
    """A batch of empty episodes."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (BATCH, *leaf.shape)), _episode(spec))


def _episode(spec: TaskSpec) -> FewShotEpisode | SequenceEpisode:
    kind = jnp.float32 if spec.tokens is None else jnp.int32
    if spec.episode == "few-shot":
        numbers = spec.target.chance is None
        labels = jnp.zeros((ITEMS, spec.target.size)) if numbers else jnp.zeros(ITEMS, jnp.int32)
        one = Examples(jnp.zeros((ITEMS, *spec.shape), kind), labels)
        return FewShotEpisode(one, one)
    inputs = Inputs(jnp.zeros((TIME, *spec.shape), kind), jnp.zeros((TIME, spec.label)))
    targets, steps = jnp.zeros((TIME, spec.target.size)), jnp.ones(TIME, jnp.int32)
    return SequenceEpisode(inputs, targets, steps > 0, steps)


def check_shapes(learner: Any, spec: TaskSpec) -> None:
    """Traces a learner's start, update and evaluation, and compares what comes back; nothing is computed."""
    key, batch = jax.random.key(0), episodes(spec)

    def whole() -> tuple[Any, Any, Any, Any]:
        state = learner.init(key=key)
        after, figures = learner.update(state, batch, key=key)
        return state, after, figures, learner.evaluate(state, batch, key=key)

    state, after, updated, measured = jax.eval_shape(whole)
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert shapes(after) == shapes(state)
    assert {"loss", learner.monitor.key} <= set(updated)
    assert all(figure.total.shape == figure.count.shape == () for figure in updated.values())
    assert {metric.key for metric in (*learner.metrics, learner.monitor)} <= set(measured)
    for figure in measured.values():
        assert figure.total.shape == figure.count.shape
        assert figure.total.shape[0] == BATCH
