"""Which gradients reach the controllers: the choices, and which of them go together (fast-slow section 3.2)."""

from dataclasses import dataclass
from typing import Literal

from .._checks import UserError, bad, check_choice, check_real, check_size
from .predictors import PredictorKind

Regime = Literal["true", "both", "synthetic", "meta"]
Reach = Literal["local", "through"]


@dataclass(frozen=True)
class FeedbackConfig:
    """The secondary feedback path."""

    regime: Regime = "true"
    """What controllers learn from. true: backpropagation; both: backpropagation and synthetic gradients; synthetic:
    synthetic gradients alone, predictors trained by eq. 11; meta: synthetic gradients on the support set, predictors
    trained by the query loss."""
    reach: Reach = "local"
    """How far a synthetic gradient goes. local: into its own controller's weights; through: on into all that comes
    before, as backpropagation would."""
    alpha: float = 1.0
    """α of eq. 10, by which a synthetic gradient is multiplied. A step of its own (learner in-context, outer step own)
    is as large as α says, with no other learning rate; in a sum with the gradient α is a weight."""
    predictor: PredictorKind = "mlp"
    """lstm: the paper's recurrent predictor; mlp: one hidden layer, step by step."""
    hidden: int = 128
    """Hidden units of each predictor."""
    regression: float = 0.0
    """Weight of the predictors' regression on the true gradient, eq. 11. Above 0 wherever it alone trains them."""
    only: tuple[str, ...] = ()
    """Controllers that are given synthetic gradients, such as write; none named: all. For regimes both and meta."""

    @property
    def predicts(self) -> bool:
        """Whether there are predictors."""
        return self.regime != "true"

    def check(self) -> None:
        """Refuses what makes no sense.

        Raises:
            UserError: one sentence that says why, and what to type instead.
        """
        check_choice("regime", self.regime, ("true", "both", "synthetic", "meta"))
        check_choice("reach", self.reach, ("local", "through"))
        check_choice("predictor", self.predictor, ("lstm", "mlp"))
        check_real("alpha", self.alpha)
        check_size("hidden", self.hidden)
        if self.regime == "meta" and self.reach == "through":
            raise UserError(
                "regime meta with reach through: its inner steps run no backward pass through the network; "
                "use reach local, or regime both or synthetic with reach through."
            )
        if self.only and self.regime not in ("both", "meta"):
            expected = f"no controller in regime {self.regime}, where each learns from what the regime says"
            raise bad("only", got=self.only[0], expected=expected, hint="use regime both or meta")
        if self.regime == "true" and self.reach == "through":
            raise UserError(
                "reach through with regime true: there is no synthetic gradient to reach anywhere; use reach local."
            )
        self._check_regression()

    def check_controllers(self, names: tuple[str, ...]) -> None:
        """Raises `UserError` where a controller is named that a cell with these does not have."""
        if unknown := [name for name in self.only if name not in names]:
            raise bad("only", got=unknown[0], expected=f"controllers of the cell: {', '.join(names)}")

    def weight_of(self, controller: str) -> float:
        """α, or 0 for a controller that is given none."""
        return self.alpha if not self.only or controller in self.only else 0.0

    def _check_regression(self) -> None:
        if not 0 <= self.regression < float("inf"):
            raise bad("regression", got=self.regression, expected="a finite number of at least 0")
        if self.regime in ("both", "synthetic") and self.regression == 0:
            expected = f"a number above 0 in regime {self.regime}, where eq. 11 alone trains the predictors"
            raise bad("regression", got=self.regression, expected=expected, hint="use regression 1.0")
        if self.regime == "true" and self.regression > 0:
            expected = "0 in regime true, which has no predictors"
            raise bad("regression", got=self.regression, expected=expected, hint="use regression 0, or another regime")


__all__ = ["FeedbackConfig", "Reach", "Regime"]
