"""Which choices of the secondary feedback path go together."""

import pytest
from tests.sentences import refused

from fastslow.synthetic.regimes import FeedbackConfig

LEGAL = [
    ("true", "local"),
    ("both", "local"),
    ("both", "through"),
    ("synthetic", "local"),
    ("synthetic", "through"),
    ("meta", "local"),
]


def settings(regime: str, reach: str, **changes: object) -> FeedbackConfig:
    """A combination that makes sense, but for what is changed."""
    regression = 1.0 if regime in ("both", "synthetic") else 0.0
    return FeedbackConfig(**{"regime": regime, "reach": reach, "regression": regression} | changes)


@pytest.mark.parametrize("combination", LEGAL, ids="-".join)
def test_combinations_that_make_sense_pass(combination: tuple[str, str]) -> None:
    config = settings(*combination)
    config.check()
    assert config.predicts == (combination[0] != "true")


def test_a_regression_beside_meta_passes() -> None:
    settings("meta", "local", regression=0.5).check()


@pytest.mark.parametrize(
    ("regime", "reach", "changes", "why"),
    [
        ("meta", "through", {}, "regime meta with reach through: .* use reach local"),
        ("true", "through", {}, "reach through with regime true: .* use reach local"),
        ("both", "local", {"regression": 0.0}, "regression: got 0.0, .* use regression 1.0"),
        ("synthetic", "through", {"regression": 0.0}, "regression: got 0.0, .* use regression 1.0"),
        ("true", "local", {"regression": 1.0}, "regression: got 1.0, .* no predictors; use"),
        ("meta", "local", {"regression": -1.0}, "regression: got -1.0"),
        ("meta", "local", {"regression": float("nan")}, "regression: got nan"),
        ("meta", "local", {"regression": float("inf")}, "regression: got inf"),
        ("synthetic", "local", {"only": ("write",)}, "only: got 'write', .* use regime both or meta"),
        ("both", "local", {"alpha": 0.0}, "alpha: got 0.0"),
        ("both", "local", {"alpha": float("nan")}, "alpha: got nan"),
        ("meta", "local", {"hidden": 0}, "hidden: got 0"),
        ("sg", "local", {}, "regime: got 'sg', expected one of true, both, synthetic, meta"),
        ("true", "far", {}, "reach: got 'far', expected one of local, through"),
        ("both", "local", {"alpha": float("inf")}, "alpha: got inf"),
        ("both", "local", {"predictor": "gru"}, "predictor: got 'gru', expected one of lstm, mlp"),
    ],
)
def test_combinations_that_make_none_are_refused(regime: str, reach: str, changes: dict, why: str) -> None:
    with refused(why):
        settings(regime, reach, **changes).check()


def test_a_controller_that_there_is_not_is_named() -> None:
    config = settings("both", "local", only=("write", "read"))
    config.check()
    with refused("only: got 'read', expected controllers of the cell: input, output, write"):
        config.check_controllers(("input", "output", "write"))
    config.check_controllers(("write", "read"))
    assert [config.weight_of(name) for name in ("write", "input")] == [config.alpha, 0.0]
    assert settings("both", "local").weight_of("input") == config.alpha
