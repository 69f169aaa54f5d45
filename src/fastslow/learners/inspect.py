"""What happened inside a network during one episode: for figures, and for eyes that want to know."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..cells.context import Forked, joined
from ..cells.nmn import PerController
from ..models.sequence import FastWeights, Network
from ..synthetic.perturbations import traced_walk, zero_taps
from ..synthetic.predictors import SyntheticGradients
from ..tasks.base import FewShotEpisode
from .adapting import fit_support, support_lesson
from .base import LearnerState
from .gradients import Learnable, Lesson, objective, predicted
from .recurrent import RecurrentLearner


class Inspection(eqx.Module):
    """One episode from inside. Steps are the support set, then the queries.

    Attributes:
        logits: of the queries, as they are answered.
        initial: the memory before the first step, `M_0`.
        scores: attention over the slots at each step, `z_t`.
        memory: the slots' values after each step, `M_t`; a query's own write is dropped after it.
        true: a `PerController` of `‖δL/δc_t‖`, `[fast items]`. For fine-tune, a row for each fast step over the
            support set; for bind, one row over support set and queries.
        synthetic: likewise the norm of the predictors' estimate of it; `None` without predictors.
        agreement: likewise the cosine between the two; 0 where one of them is zero.
        support: steps that belong to the support set.
        streamed: whether the support set was streamed through one memory that the queries are read from; if not,
            every step starts from `M_0`.
    """

    logits: Float[Array, "query way"]
    initial: Float[Array, "slots width"]
    scores: Float[Array, "steps slots"]
    memory: Float[Array, "steps slots width"]
    true: PerController
    synthetic: PerController | None
    agreement: PerController | None
    support: int = eqx.field(static=True)
    streamed: bool = eqx.field(static=True)


@eqx.filter_jit
def inspect_episode(learner: RecurrentLearner, state: LearnerState, episode: FewShotEpisode) -> Inspection:
    """Meets an episode as `evaluate` does, and tells what happened.

    Args:
        learner: what learned.
        state: its state, of one seed.
        episode: one episode, with no leading axis.
    """
    params, adapt = state.params, learner.adaptation
    # the learner's own way to normalise, which for whole episodes needs both sets at once
    one = jax.tree.map(lambda x: x[None], episode)
    support, query, _ = learner.embed(params.network, state.running, one)
    support, query = support[0], query[0]
    labels, query_labels = (jax.nn.one_hot(y, learner.way) for y in (episode.support.labels, episode.query.labels))
    fitted = fit_support(params.network, params.predictors, params.rates, support, labels, adapt, learner.path)
    streamed = adapt.query_memory == "post-support"
    given, asked = fitted.network.cell_inputs(support, labels), fitted.network.cell_inputs(query, None)
    passage = Forked(given, asked) if streamed else Forked(given[:0], jnp.concatenate([given, asked]))
    cell = fitted.network.cell
    record = joined(traced_walk(cell, cell.init_state(), passage)[1])
    logits = fitted.network.logits(record)[len(support) :]
    if adapt.protocol == "fine-tune":
        rows = _over_fast_steps(learner, params, support, labels)
    else:
        lesson = Lesson(inputs=passage, labels=Forked(labels, query_labels), scored="branches")
        rows = jax.tree.map(lambda x: x[None], _compared(params.network, params.predictors, lesson))
    true, synthetic, agreement = rows
    return Inspection(
        logits=logits,
        initial=cell.init_state().memory.values,
        scores=record.scores,
        memory=record.memory,
        true=true,
        synthetic=synthetic,
        agreement=agreement,
        support=len(support),
        streamed=streamed,
    )


def _over_fast_steps(
    learner: RecurrentLearner, params: PyTree, features: Float[Array, "support features"], labels: Array
) -> tuple[PerController, PerController | None, PerController | None]:
    """The gradients that each fast step meets, one row a step."""
    adapt = learner.adaptation

    def step(fast: FastWeights, rate: FastWeights) -> tuple[FastWeights, PyTree]:
        network = params.network.with_fast(fast)
        seen = _compared(network, params.predictors, support_lesson(network, features, labels, adapt.support_order))
        one_rate = jax.tree.map(lambda r: r[None], rate)
        moved = fit_support(network, params.predictors, one_rate, features, labels, adapt, learner.path)
        return moved.network.fast(), seen

    return jax.lax.scan(step, params.network.fast(), params.rates)[1]


def _compared(
    network: Network, predictors: SyntheticGradients | None, lesson: Lesson
) -> tuple[PerController, PerController | None, PerController | None]:
    """Norms of the true and of the synthetic gradient at every step of a lesson, and the cosine between them."""
    learnable = Learnable(cell=network.cell, head=network.head, inputs=lesson.inputs)

    def probed(probes: Forked) -> tuple[Array, tuple[Forked, Array]]:
        return objective(learnable, probes, lesson)

    probes = zero_taps(network.cell.width, lesson.inputs)
    true, (record, _) = jax.grad(probed, has_aux=True)(probes)
    true = joined(true)
    norms = jax.tree.map(_norm, true)
    if predictors is None:
        return norms, None, None
    outputs = Forked(trunk=record.trunk.outputs, branches=record.branches.outputs)
    synthetic = joined(predicted(predictors, outputs, lesson))
    return norms, jax.tree.map(_norm, synthetic), jax.tree.map(_cosine, true, synthetic)


def _norm(rows: Float[Array, "items width"]) -> Float[Array, " items"]:
    return jnp.linalg.norm(rows, axis=1)


def _cosine(a: Float[Array, "items width"], b: Float[Array, "items width"]) -> Float[Array, " items"]:
    product = _norm(a) * _norm(b)
    return jnp.where(product > 0, jnp.sum(a * b, axis=1) / jnp.where(product > 0, product, 1.0), 0.0)
