"""Configurations: checked when made, and the same after a way through JSON."""

import json
from dataclasses import dataclass, field

import pytest

from fastslow._checks import UserError
from fastslow.training.config import TrainingConfig, from_json, to_json


@dataclass(frozen=True)
class Whole:
    name: str
    sizes: tuple[int, ...] = (3, 5)
    rate: float = 0.1
    limit: int | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)


def test_seeds_follow_the_first_one() -> None:
    assert TrainingConfig(seed=4, seeds=3).seed_numbers == (4, 5, 6)
    assert TrainingConfig(seeds=3).seed_numbers == (0, 1, 2)


@pytest.mark.parametrize(
    "wrong",
    ["steps", "batch", "seeds", "log_every", "checkpoint_every", "validate_every", "validation_episodes"],
)
def test_a_wrong_value_is_named(wrong: str) -> None:
    with pytest.raises(UserError, match=f"^{wrong}: got 0"):
        TrainingConfig(**{wrong: 0})


@pytest.mark.parametrize("wrong", ["seed", "validation_seed"])
def test_a_seed_may_be_zero_but_not_less(wrong: str) -> None:
    assert getattr(TrainingConfig(**{wrong: 0}), wrong) == 0
    with pytest.raises(UserError, match=f"^{wrong}: got -1"):
        TrainingConfig(**{wrong: -1})


def test_json_and_back() -> None:
    config = Whole("x", sizes=(1,), rate=2.5, limit=7, training=TrainingConfig(steps=5, over_seeds="vmap"))
    assert from_json(Whole, json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"name": "x", "siezs": [1]}, "unknown field 'siezs'"),
        ({"name": "x", "training": {"stepz": 1}}, r"unknown field 'stepz' @ \$\.training"),
        ({}, "'name' is missing"),
        ({"name": "x", "sizes": [1.5]}, r"got 1.5, wanted int @ \$\.sizes"),
        ({"name": "x", "limit": True}, r"got True, wanted int"),
        ({"name": 3}, "got 3, wanted str"),
        ({"name": "x", "rate": "1"}, "got '1', wanted float"),
        ({"name": "x", "training": {"steps": 0}}, "steps: got 0"),
        (
            {"name": "x", "training": {"over_seeds": "map"}},
            r"wanted one of auto, unroll, vmap @ \$\.training\.over_seeds",
        ),
    ],
)
def test_json_that_is_no_configuration_is_refused(data: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        from_json(Whole, data)


def test_a_whole_number_will_do_for_a_real_one() -> None:
    assert from_json(Whole, {"name": "x", "rate": 2}).rate == 2.0
