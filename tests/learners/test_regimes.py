import itertools

import pytest
from fastslow.learners.regimes import AdaptConfig, FeedbackConfig, check_combination
from tests.cells.tiny import as_users_come

from fastslow._checks import UserError

LEGAL = [
    *itertools.product(("bind",), ("true",), ("local",)),
    *itertools.product(("bind",), ("both", "synthetic"), ("local", "through")),
    *itertools.product(("fine-tune",), ("true",), ("local",)),
    *itertools.product(("fine-tune",), ("both", "synthetic"), ("local", "through")),
    ("fine-tune", "meta", "local"),
]


def settings(protocol: str, regime: str, reach: str, **changes: object) -> tuple[FeedbackConfig, AdaptConfig, str]:
    """A combination that makes sense, but for what is changed."""
    path = {"regime": regime, "reach": reach, "regression": 1.0 if regime in ("both", "synthetic") else 0.0}
    adapt = {"protocol": protocol, "query_memory": "post-support" if protocol == "bind" else "initial"}
    label_input = changes.pop("label_input", "write" if protocol == "bind" else "none")
    path |= {k: v for k, v in changes.items() if k in FeedbackConfig.__dataclass_fields__}
    adapt |= {k: v for k, v in changes.items() if k in AdaptConfig.__dataclass_fields__}
    return FeedbackConfig(**path), AdaptConfig(**adapt), label_input


@pytest.mark.parametrize("combination", LEGAL, ids="-".join)
def test_combinations_that_make_sense_pass(combination: tuple[str, str, str]) -> None:
    check_combination(*settings(*combination))


def test_a_regression_beside_meta_passes() -> None:
    check_combination(*settings("fine-tune", "meta", "local", regression=0.5))


@pytest.mark.parametrize(
    ("combination", "changes", "why"),
    [
        (("bind", "meta", "local"), {}, "regime meta with protocol bind: .* bind changes none; use protocol fine-tune"),
        (("bind", "true", "local"), {"label_input": "none"}, "protocol bind with label input none: .* use label input"),
        (("bind", "true", "local"), {"query_memory": "initial"}, "bind with query memory initial: .* use query memory"),
        (("fine-tune", "meta", "through"), {}, "regime meta with reach through: .* use reach local"),
        (("bind", "both", "local"), {"regression": 0.0}, "regression: got 0.0, .* use regression 1.0"),
        (("fine-tune", "synthetic", "through"), {"regression": 0.0}, "regression: got 0.0, .* use regression 1.0"),
        (
            ("fine-tune", "true", "local"),
            {"regression": 1.0},
            "regression: got 1.0, .* no predictors; use",
        ),
        (("fine-tune", "true", "through"), {}, "reach through with regime true: .* use reach local"),
        (("fine-tune", "both", "local"), {"step": "summed"}, "step summed: .* use step own"),
        (("bind", "both", "through"), {"step": "summed"}, "step summed: .* use step own"),
        (("bind", "both", "local"), {"step": "added"}, "step: got 'added', wanted one of own, summed"),
        (("fine-tune", "true", "local"), {"label_input": "input"}, "fine-tune with label input input: .* use label"),
        (("fine-tune", "true", "local"), {"label_input": "write"}, "label input write with support order .* use label"),
        (("fine-tune", "true", "local"), {"rate": -0.1}, "rate: got -0.1"),
        (("fine-tune", "meta", "local"), {"regression": -1.0}, "regression: got -1.0"),
        (("fine-tune", "meta", "local"), {"steps": 0}, "steps: got 0"),
        (("fine-tune", "both", "local"), {"alpha": 0.0}, "alpha: got 0.0"),
        (("fine-tune", "both", "local"), {"alpha": float("nan")}, "alpha: got nan"),
        (("fine-tune", "meta", "local"), {"hidden": 0}, "hidden: got 0"),
        (("fine-tune", "sg", "local"), {}, "regime: got 'sg', wanted one of true, both, synthetic, meta"),
        (("tune", "true", "local"), {}, "protocol: got 'tune', wanted one of bind, fine-tune"),
        (("fine-tune", "true", "far"), {}, "reach: got 'far', wanted one of local, through"),
        (("fine-tune", "true", "local"), {"support_order": "sorted"}, "support_order: got 'sorted'"),
        (("fine-tune", "true", "local"), {"query_memory": "none"}, "query_memory: got 'none'"),
        (("fine-tune", "true", "local"), {"statistics": "batch"}, "statistics: got 'batch'"),
    ],
)
def test_combinations_that_make_none_are_refused_in_one_sentence(
    combination: tuple[str, str, str], changes: dict, why: str
) -> None:
    with as_users_come(), pytest.raises(UserError, match=why) as refused:
        check_combination(*settings(*combination, **changes))
    told = str(refused.value)
    assert "\n" not in told
    assert told.endswith(".")
    assert told.replace("eq. ", "").count(". ") == 0
