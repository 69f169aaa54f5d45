"""Which gradients reach the controllers, by which protocol a task is met: the choices, and which go together."""

from dataclasses import dataclass
from typing import Literal

from .._checks import UserError, bad, check_choice, check_positive
from ..synthetic.predictors import PredictorKind

Protocol = Literal["bind", "fine-tune"]
Regime = Literal["true", "both", "synthetic", "meta"]
Reach = Literal["local", "through"]
SlowStep = Literal["own", "summed"]
SupportOrder = Literal["stream", "independent"]
QueryMemory = Literal["post-support", "initial"]
Statistics = Literal["running", "support", "episode"]


@dataclass(frozen=True)
class FeedbackConfig:
    """The secondary feedback path (fast-slow section 3.2)."""

    regime: Regime = "meta"
    """What controllers learn from. true: backpropagation; both: backpropagation and synthetic gradients; synthetic:
    synthetic gradients alone, predictors trained by eq. 11; meta: synthetic gradients on the support set, predictors
    trained by the query loss."""
    reach: Reach = "local"
    """How far a synthetic gradient goes. local: into its own controller's weights; through: on into all that comes
    before, as backpropagation would."""
    alpha: float = 1.0
    """α of eq. 10, the weight of a synthetic gradient."""
    step: SlowStep = "own"
    """How a local synthetic gradient makes the slow step of bind. own: a step of its own of size α beside the
    optimiser's, as eq. 10 has it; summed: added to what the optimiser gets, which may hide its size (Adam does)."""
    predictor: PredictorKind = "mlp"
    """lstm: the paper's recurrent predictor; mlp: one hidden layer, step by step."""
    hidden: int = 128
    """Hidden units of each predictor."""
    regression: float = 0.0
    """Weight of the predictors' regression on the true gradient, eq. 11. Above 0 wherever it alone trains them."""


@dataclass(frozen=True)
class AdaptConfig:
    """How a trained network meets a new task."""

    protocol: Protocol = "fine-tune"
    """bind: the support set is streamed into the memory and no weight changes; fine-tune: gradient steps on it."""
    steps: int = 5
    """Fast steps on the support set (fine-tune)."""
    rate: float = 0.4
    """Rate of a fast step before training; each tensor and each step then learns its own (fine-tune)."""
    support_order: SupportOrder = "independent"
    """During fast steps. stream: one item after the other through one memory; independent: each from the initial
    memory and fresh controllers (fine-tune)."""
    query_memory: QueryMemory = "initial"
    """The memory a query is read from. post-support: after the support set was streamed through the adapted network;
    initial: as it was before (fine-tune; bind always reads post-support)."""
    statistics: Statistics = "running"
    """What batch normalisation uses at evaluation. running: averages tracked in training; support: those of the
    support set; episode: those of support and queries together, which is transductive."""


def check_combination(feedback: FeedbackConfig, adapt: AdaptConfig, label_input: str) -> None:
    """Refuses what makes no sense.

    Raises:
        UserError: one sentence that says why, and what to type instead.
    """
    check_choice("regime", feedback.regime, ("true", "both", "synthetic", "meta"))
    check_choice("reach", feedback.reach, ("local", "through"))
    check_choice("step", feedback.step, ("own", "summed"))
    check_choice("protocol", adapt.protocol, ("bind", "fine-tune"))
    check_choice("support_order", adapt.support_order, ("stream", "independent"))
    check_choice("query_memory", adapt.query_memory, ("post-support", "initial"))
    check_choice("statistics", adapt.statistics, ("running", "support", "episode"))
    check_positive("alpha", feedback.alpha)
    check_positive("hidden", feedback.hidden)
    check_positive("steps", adapt.steps)
    if not adapt.rate >= 0:
        raise bad("rate", came=adapt.rate, wanted="a number that is 0 or above")
    if adapt.protocol == "bind":
        _check_bind(feedback, adapt, label_input)
    else:
        _check_fine_tune(adapt, label_input)
    if feedback.regime == "meta" and feedback.reach == "through":
        raise UserError(
            "regime meta with reach through: its fast steps run no backward pass through the network; "
            "use reach local, or regime both or synthetic with reach through."
        )
    _check_idle(feedback, adapt)
    _check_regression(feedback)


def _check_idle(feedback: FeedbackConfig, adapt: AdaptConfig) -> None:
    """Refuses choices that would do nothing."""
    if feedback.regime == "true" and feedback.reach == "through":
        raise UserError(
            "reach through with regime true: there is no synthetic gradient to reach anywhere; use reach local."
        )
    local = feedback.reach == "local" and feedback.regime in ("both", "synthetic")
    if feedback.step == "summed" and not (adapt.protocol == "bind" and local):
        raise UserError(
            "step summed: it changes the slow step of protocol bind in regimes both and synthetic with reach local, "
            "and nothing else; use step own."
        )


def _check_fine_tune(adapt: AdaptConfig, label_input: str) -> None:
    if label_input == "input":
        raise UserError(
            "protocol fine-tune with label input input: the fast steps would be scored on answers they are shown; "
            "use label input none or write."
        )
    if label_input == "write" and adapt.support_order == "independent" and adapt.query_memory == "initial":
        raise UserError(
            "label input write with support order independent and query memory initial: what is written is never "
            "read; use label input none, or query memory post-support."
        )


def _check_regression(feedback: FeedbackConfig) -> None:
    if not feedback.regression >= 0:
        raise bad("regression", came=feedback.regression, wanted="a number that is 0 or above")
    if feedback.regime in ("both", "synthetic") and not feedback.regression > 0:
        raise bad(
            "regression",
            came=feedback.regression,
            wanted=f"a number above 0 in regime {feedback.regime}, where eq. 11 alone trains the predictors",
            remedy="use regression 1.0",
        )
    if feedback.regime == "true" and feedback.regression > 0:
        raise bad(
            "regression",
            came=feedback.regression,
            wanted="0 in regime true, which has no predictors",
            remedy="use regression 0, or another regime",
        )


def _check_bind(feedback: FeedbackConfig, adapt: AdaptConfig, label_input: str) -> None:
    if feedback.regime == "meta":
        raise UserError(
            "regime meta with protocol bind: meta takes fast steps on weights and bind changes none; "
            "use protocol fine-tune, or regime true, both or synthetic."
        )
    if label_input == "none":
        raise UserError(
            "protocol bind with label input none: without labels the memory cannot learn which class is which; "
            "use label input write or input, or protocol fine-tune."
        )
    if adapt.query_memory == "initial":
        raise UserError(
            "protocol bind with query memory initial: the queries would be read from a memory that never saw the "
            "support set; use query memory post-support."
        )


__all__ = [
    "AdaptConfig",
    "FeedbackConfig",
    "Protocol",
    "QueryMemory",
    "Reach",
    "Regime",
    "Statistics",
    "SupportOrder",
    "check_combination",
]
