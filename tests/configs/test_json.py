"""Configurations are the same after a way through JSON, and what is no configuration is refused."""

import json
from dataclasses import dataclass, field

import pytest

from fastslow._checks import UserError
from fastslow.configs.json import from_json, to_json
from fastslow.training.config import TrainingConfig


@dataclass(frozen=True)
class Whole:
    name: str
    sizes: tuple[int, ...] = (3, 5)
    rate: float = 0.1
    limit: int | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)


def test_json_and_back() -> None:
    config = Whole("x", sizes=(1,), rate=2.5, limit=7, training=TrainingConfig(steps=5, over_seeds="vmap"))
    assert from_json(Whole, json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"name": "x", "siezs": [1]}, "unknown field 'siezs'"),
        ({"name": "x", "training": {"stepz": 1}}, r"unknown field 'stepz' @ \$\.training"),
        ({}, "'name' is missing"),
        ({"name": "x", "sizes": [1.5]}, r"got 1.5, expected int @ \$\.sizes"),
        ({"name": "x", "limit": True}, r"got True, expected int"),
        ({"name": 3}, "got 3, expected str"),
        ({"name": "x", "rate": "1"}, "got '1', expected float"),
        ({"name": "x", "training": {"steps": 0}}, "steps: got 0"),
        (
            {"name": "x", "training": {"over_seeds": "map"}},
            r"expected one of auto, unroll, vmap @ \$\.training\.over_seeds",
        ),
    ],
)
def test_json_that_is_no_configuration_is_refused(data: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        from_json(Whole, data)


def test_a_whole_number_will_do_for_a_real_one() -> None:
    assert from_json(Whole, {"name": "x", "rate": 2}).rate == 2.0


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", "1e999", "1" + "0" * 400])
def test_a_number_that_is_not_finite_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^Whole: got [^\n]*, expected a finite number @ \$\.rate\.$"):
        from_json(Whole, json.loads(f'{{"name": "x", "rate": {text}}}'))


def test_a_listed_step_comes_back_as_a_tuple() -> None:
    config = Whole("x", training=TrainingConfig(validate_at=(3, 5), select="last"))
    assert from_json(Whole, json.loads(json.dumps(to_json(config)))) == config
