"""Schedules: their ends, their warm-up, and what they refuse."""

import numpy as np
import pytest

from fastslow._checks import UserError
from fastslow.optim.schedules import ConstantConfig, CosineConfig, ScheduleConfig, StepDecayConfig, build_schedule


def rates(config: ScheduleConfig, steps: int, warmup: int = 0, count: int | None = None) -> np.ndarray:
    schedule = build_schedule(config, 0.2, warmup, steps)
    return np.array([float(schedule(step)) for step in range(steps + 1 if count is None else count)])


def test_constant_stays() -> None:
    np.testing.assert_allclose(rates(ConstantConfig(), 5), 0.2)


def test_cosine_starts_at_the_learning_rate_and_ends_at_its_share(double: None) -> None:
    found = rates(CosineConfig(final=0.25), 8, count=12)
    angle = np.pi * np.minimum(np.arange(12), 8) / 8
    np.testing.assert_allclose(found, 0.05 + 0.15 * (1 + np.cos(angle)) / 2, rtol=1e-6)
    assert (found[0], found[8], found[11]) == pytest.approx((0.2, 0.05, 0.05))


def test_cosine_to_the_whole_share_is_constant() -> None:
    np.testing.assert_allclose(rates(CosineConfig(final=1.0), 8), 0.2, rtol=1e-6)


def test_step_decay_changes_at_multiples() -> None:
    np.testing.assert_allclose(rates(StepDecayConfig(factor=0.5, every=3), 7), [0.2] * 3 + [0.1] * 3 + [0.05] * 2)


@pytest.mark.parametrize("config", [ConstantConfig(), CosineConfig(), StepDecayConfig(factor=0.1, every=2)])
def test_the_warm_up_rises_to_where_the_schedule_starts(config: ScheduleConfig) -> None:
    found, plain = rates(config, 10, warmup=3), rates(config, 7)
    np.testing.assert_allclose(found[:3], [0.05, 0.1, 0.15], rtol=1e-6)
    np.testing.assert_allclose(found[3:], plain, rtol=1e-6)


@pytest.mark.parametrize("wrong", [0.0, -1.0, 1.5, float("inf"), float("nan"), 1e999])
@pytest.mark.parametrize(("kind", "field"), [(CosineConfig, "final"), (StepDecayConfig, "factor")])
def test_a_share_outside_of_its_range_is_refused(kind: type, field: str, wrong: float) -> None:
    with pytest.raises(UserError, match=rf"^{field}: got [^\n]*, expected a finite number above 0 and at most 1\.$"):
        kind(**{field: wrong})


@pytest.mark.parametrize("wrong", [0, -1, 2**31, 10**35])
def test_an_interval_outside_of_its_range_is_refused(wrong: int) -> None:
    with pytest.raises(UserError, match=r"^every: got .*, expected an integer from 1 to 2147483647, since"):
        StepDecayConfig(every=wrong)
