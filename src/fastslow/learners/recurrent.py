"""The learner of neural memory networks: every protocol and every feedback regime, over few-shot episodes."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num

from .._checks import bad
from .._typing import Key, Scalar
from ..cells.context import Forked
from ..cells.nmn import PerController
from ..models.embed import Statistics, blend
from ..models.heads import accuracy, cross_entropy
from ..models.sequence import FastWeights, Network
from ..synthetic.predictors import SyntheticGradients
from ..tasks.base import Examples, FewShotEpisode
from .adapting import Fitted, fit_support, read_queries
from .base import AbstractLearner, LearnerState, Metrics
from .gradients import Feedback, Lesson, feedback, together
from .regimes import AdaptConfig, FeedbackConfig

MOMENTUM = 0.99
"""Weight of the past in running statistics."""


class Parameters(eqx.Module):
    """All that is learned slowly.

    Attributes:
        network: embedding, cell with its initial memory, decoder.
        predictors: synthetic gradients; `None` in regime `true`.
        rates: of the fast steps; `None` for bind.
    """

    network: Network
    predictors: SyntheticGradients | None
    rates: FastWeights | None


class Adapted(eqx.Module):
    """A learner that has met a support set. Attributes: `fitted`; `statistics`, what normalises its queries."""

    fitted: Fitted
    statistics: Statistics


class RecurrentLearner(AbstractLearner[FewShotEpisode]):
    """Trains a neural memory network over episodes and adapts it within one.

    The regime governs the gradient steps that protocol and paper speak of: for fine-tune the fast steps on the
    support set, through which the query loss is then backpropagated (the slow path); for bind, which takes no fast
    steps, the slow update itself.

    Attributes:
        build: `key → Parameters`, the network as configured.
        optimiser: the slow optimiser.
        adaptation: protocol.
        path: feedback regime.
        way: classes of an episode.
    """

    build: Any = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)
    adaptation: AdaptConfig = eqx.field(static=True)
    path: FeedbackConfig = eqx.field(static=True)
    way: int = eqx.field(static=True)

    def init(self, *, key: Key) -> LearnerState:
        params = self.build(key)
        return LearnerState(
            params=params, optimiser=self.optimiser.init(params), running=params.network.embed.neutral()
        )

    def update(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> tuple[LearnerState, Metrics]:
        gradients, own, (metrics, statistics) = (self._bind if self._binds else self._fine_tune)(state.params, episodes)
        updates, optimiser = self.optimiser.update(cast(Any, gradients), state.optimiser, state.params)
        params = cast(Parameters, optax.apply_updates(state.params, updates))
        if own is not None:
            # θ_C ← θ_C − α · SG_C · ∂c/∂θ_C, a step of its own            (fast-slow eq. 10)
            controllers = jax.tree.map(jnp.subtract, params.network.cell.controllers, own)
            params = eqx.tree_at(lambda p: p.network.cell.controllers, params, controllers)
        metrics["gradient_norm"] = optax.tree.norm(gradients)
        running = blend(state.running, statistics, MOMENTUM)
        return LearnerState(params=params, optimiser=optimiser, running=running), metrics

    def adapt(self, state: LearnerState, support: Examples, *, key: Key) -> Adapted:
        """Learns one support set.

        Raises:
            UserError: statistics of whole episodes, which need the queries beside the support set: `evaluate` alone
                has both.
        """
        if self.adaptation.statistics == "episode":
            raise bad(
                "statistics",
                came="episode",
                wanted="running or support, where the queries are not known while adapting",
                remedy="use evaluate for the transductive figure",
            )
        given = state.running if self.adaptation.statistics == "running" else None
        features, statistics = state.params.network.embed(support.inputs, given)
        fitted = self._fit(state.params, features, self._one_hot(support.labels))
        return Adapted(fitted=fitted, statistics=statistics)

    def predict(self, adapted: Adapted, inputs: Num[Array, "query ..."]) -> Float[Array, "query way"]:
        features, _ = adapted.fitted.network.embed(inputs, adapted.statistics)
        return jax.nn.log_softmax(read_queries(adapted.fitted, features))

    def evaluate(self, state: LearnerState, episodes: FewShotEpisode, *, key: Key) -> dict[str, Float[Array, " batch"]]:
        params = state.params
        support, query, _ = self.embed(params.network, state.running, episodes)
        one_hot = self._one_hot(episodes.support.labels)
        fitted = jax.vmap(lambda x, y: self._fit(params, x, y))(support, one_hot)
        logits = jax.vmap(read_queries)(fitted, query)
        loss = jax.vmap(cross_entropy)(logits, self._one_hot(episodes.query.labels))
        return {"accuracy": jax.vmap(accuracy)(logits, episodes.query.labels), "loss": loss}

    @property
    def _binds(self) -> bool:
        return self.adaptation.protocol == "bind"

    def _one_hot(self, labels: Array) -> Array:
        return jax.nn.one_hot(labels, self.way)

    def _fit(self, params: Parameters, features: Array, labels: Array) -> Fitted:
        return fit_support(
            params.network, params.predictors, params.rates, features, labels, self.adaptation, self.path
        )

    def embed(
        self, network: Network, running: Statistics | None, episodes: FewShotEpisode
    ) -> tuple[Array, Array, Statistics]:
        """Features of support and queries; `running=None` is training: statistics of the whole batch."""
        support, query = episodes.support.inputs, episodes.query.inputs
        if running is None or self.adaptation.statistics == "running":
            return _embed_together(network, running, support, query)

        def alone(support: Array, query: Array) -> tuple[Array, Array, Statistics]:
            if self.adaptation.statistics == "episode":
                s, q, used = _embed_together(network, None, support[None], query[None])
                return s[0], q[0], used
            features, used = network.embed(support, None)
            return features, network.embed(query, used)[0], used

        return jax.vmap(alone)(support, query)

    def _fine_tune(self, params: Parameters, episodes: FewShotEpisode) -> tuple[Parameters, None, Any]:
        def loss_of(params: Parameters) -> tuple[Scalar, Any]:
            support, query, statistics = self.embed(params.network, None, episodes)
            one_hot = self._one_hot(episodes.support.labels)
            fitted = jax.vmap(lambda x, y: self._fit(params, x, y))(support, one_hot)
            logits = jax.vmap(read_queries)(fitted, query)
            loss = jnp.mean(jax.vmap(cross_entropy)(logits, self._one_hot(episodes.query.labels)))
            regression = jnp.mean(fitted.regression)
            metrics = {
                "loss": loss,
                "accuracy": jnp.mean(jax.vmap(accuracy)(logits, episodes.query.labels)),
                "support_loss": jnp.mean(fitted.loss),
                "regression": regression,
            }
            return loss + self.path.regression * regression, (metrics, statistics)

        gradients, aux = eqx.filter_grad(loss_of, has_aux=True)(params)
        return gradients, None, aux

    def _bind(self, params: Parameters, episodes: FewShotEpisode) -> tuple[Parameters, PerController | None, Any]:
        """The optimiser's gradients, and the controllers' step of its own where there is one."""
        network = params.network

        def embed(weights: Any) -> tuple[tuple[Array, Array], Statistics]:
            support, query, statistics = self.embed(eqx.tree_at(lambda n: n.embed, network, weights), None, episodes)
            return (support, query), statistics

        (support, query), pull, statistics = jax.vjp(embed, network.embed, has_aux=True)
        labels = self._one_hot(episodes.support.labels), self._one_hot(episodes.query.labels)
        taught, predictor_gradients = jax.vmap(lambda s, q, ys, yq: self._bind_one(params, s, q, ys, yq))(
            support, query, *labels
        )
        summed = self.path.step == "summed"
        given = together(taught) if summed else taught.gradients
        mean = jax.tree.map(lambda g: jnp.mean(g, 0), (given, predictor_gradients))
        own = None if summed else jax.tree.map(lambda g: jnp.mean(g, 0), taught.own)
        batch = support.shape[0]
        rows = taught.gradients.inputs
        features = network.cell.features
        cotangent = (rows.trunk[..., :features] / batch, rows.branches[..., :features] / batch)
        embed_gradient = pull(cotangent)[0]
        gradient_network = eqx.tree_at(
            lambda n: (n.embed, n.cell, n.head), network, (embed_gradient, mean[0].cell, mean[0].head)
        )
        metrics = {
            "loss": jnp.mean(taught.loss),
            "accuracy": jnp.mean(jax.vmap(accuracy)(taught.logits, episodes.query.labels)),
            "support_loss": jnp.zeros(()),
            "regression": jnp.mean(taught.regression),
        }
        return Parameters(gradient_network, mean[1], None), own, (metrics, statistics)

    def _bind_one(
        self, params: Parameters, support: Array, query: Array, support_y: Array, query_y: Array
    ) -> tuple[Feedback, SyntheticGradients | None]:
        network = params.network
        lesson = Lesson(
            inputs=Forked(network.cell_inputs(support, support_y), network.cell_inputs(query, None)),
            labels=Forked(support_y, query_y),
            scored="branches",
        )
        if params.predictors is None:
            return feedback(network.cell, network.head, None, lesson, self.path), None

        def regression(predictors: SyntheticGradients) -> tuple[Scalar, Feedback]:
            taught = feedback(network.cell, network.head, predictors, lesson, self.path)
            return self.path.regression * taught.regression, taught

        gradients, taught = eqx.filter_grad(regression, has_aux=True)(params.predictors)
        return taught, gradients


def _embed_together(
    network: Network, given: Statistics | None, support: Array, query: Array
) -> tuple[Array, Array, Statistics]:
    """Embeds support and queries of several episodes in one call, so that they share their statistics."""
    episodes, shots = support.shape[:2]
    images = jnp.concatenate([support, query], axis=1)
    features, used = network.embed(images.reshape(-1, *images.shape[2:]), given)
    features = features.reshape(episodes, images.shape[1], -1)
    return features[:, :shots], features[:, shots:], used
