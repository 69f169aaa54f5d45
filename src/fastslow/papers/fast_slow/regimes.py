"""The four feedback regimes on one network, Omniglot 5-way 1-shot (fast-slow section 5.1, first claim).

The paper says of synthetic gradients: about 20 % more accuracy, all else equal. Here network, episodes, updates and
seeds are the same; predictors and α are those that each regime is meant for. The regime governs the inner steps on the
support set; every row learns its initial weights and inner learning rates by backpropagating the query loss through
those steps.
"""

from dataclasses import replace
from pathlib import Path

from ...configs.config import Config
from ...configs.presets import SMOKE, omniglot
from ...results.row import ResultRow
from ...synthetic.regimes import FeedbackConfig, Reach, Regime
from ..base import Budget, Experiment, Watch
from ..rows import Row, run_rows

NAME = "fast-slow/regimes"


def network(budget: Budget) -> Config:
    """The network and the amount of training that all rows share."""
    if budget == "smoke":
        return replace(SMOKE, training=replace(SMOKE.training, seeds=2))
    steps = 1000 if budget == "laptop" else 100_000
    config = omniglot(5, 1, batch=4, queries=3, steps=steps, warp=0.0)
    return replace(config, training=replace(config.training, seeds=3))


def feedback(base: FeedbackConfig, regime: Regime, reach: Reach = "local") -> FeedbackConfig:
    """A regime's feedback: predictors as the paper has them where eq. 11 trains them, none in regime `true`."""
    if regime == "true":
        return replace(base, regime="true", regression=0.0, reach="local", alpha=1.0)
    if regime == "meta":
        return base
    return replace(base, regime=regime, reach=reach, alpha=1.0, predictor="lstm", regression=1.0)


def with_regime(config: Config, regime: Regime, reach: Reach = "local") -> Config:
    """The same training with another regime of its inner steps."""
    learner = config.learner
    return replace(config, learner=replace(learner, feedback=feedback(learner.feedback, regime, reach)))


def rows(budget: Budget) -> list[Row]:
    """The rows of the table."""
    base = network(budget)
    streamed = replace(base, learner=replace(base.learner, support_order="stream", query_memory="post-support"))
    return [
        Row("true: backpropagation", "true", with_regime(base, "true")),
        Row("both, local", "both-local", with_regime(base, "both")),
        Row("both, through", "both-through", with_regime(base, "both", "through")),
        Row("synthetic, local", "synthetic", with_regime(base, "synthetic")),
        Row("meta", "meta", base),
        Row("meta, support set streamed through the memory", "meta-stream", streamed),
    ]


def run(out: Path, budget: Budget, *, resume: bool, watch: Watch) -> list[ResultRow]:
    """Trains and measures all rows."""
    episodes = 20 if budget == "smoke" else 1000
    return run_rows(NAME, rows(budget), out, resume=resume, watch=watch, episodes=episodes)


EXPERIMENT = Experiment(
    name=NAME,
    summary="What controllers learn from: backpropagation, synthetic gradients, both, or meta-learned ones",
    expected={"smoke": "4 minutes", "laptop": "40 minutes", "paper": "3 days"},
    run=run,
)
