"""Settings of a training: checked when they are made."""

import pytest

from fastslow._checks import UserError
from fastslow.training.config import MOST_BATCH, MOST_EPISODES, MOST_SEEDS, TrainingConfig

COUNTS = {
    "steps": 2**31 - 1,
    "log_every": 2**31 - 1,
    "checkpoint_every": 2**31 - 1,
    "batch": MOST_BATCH,
    "seeds": MOST_SEEDS,
    "validation_episodes": MOST_EPISODES,
}


def test_seeds_follow_the_first_one() -> None:
    assert TrainingConfig(seed=4, seeds=3).seed_numbers == (4, 5, 6)
    assert TrainingConfig(seeds=3).seed_numbers == (0, 1, 2)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("wrong", [0, -3, 10**35])
def test_a_number_out_of_its_range_is_named(name: str, wrong: int) -> None:
    most = COUNTS[name]
    with pytest.raises(UserError, match=rf"^{name}: got [^\n]*, expected an integer from 1 to {most}, since [^\n]*\.$"):
        TrainingConfig(**{name: wrong})
    assert getattr(TrainingConfig(**{name: most}), name) == most
    with pytest.raises(UserError, match=f"^{name}: got {most + 1}"):
        TrainingConfig(**{name: most + 1})


@pytest.mark.parametrize("name", ["seed", "validation_seed"])
def test_a_seed_may_be_zero_but_not_less(name: str) -> None:
    assert getattr(TrainingConfig(**{name: 0}), name) == 0
    for wrong in (-1, 2**31, 10**40):
        with pytest.raises(UserError, match=f"^{name}: got .*, expected an integer from 0 to "):
            TrainingConfig(**{name: wrong})


def test_the_last_seed_has_32_bits_too() -> None:
    assert TrainingConfig(seed=2**31 - 4, seeds=4).seed_numbers[-1] == 2**31 - 1
    with pytest.raises(UserError, match=r"^seed: got 2147483645, expected an integer from 0 to 2147483644"):
        TrainingConfig(seed=2**31 - 3, seeds=4)


def test_validations_are_due_at_intervals_at_listed_steps_and_at_the_end() -> None:
    due = lambda config: [step for step in range(1, config.steps + 1) if config.validates_after(step)]
    assert due(TrainingConfig(steps=11, validate_every=4)) == [4, 8, 11]
    assert due(TrainingConfig(steps=11, validate_every=4, validate_at=(1, 8))) == [1, 4, 8, 11]
    assert due(TrainingConfig(steps=11, validate_every=0, validate_at=(2, 3))) == [2, 3]
    assert due(TrainingConfig(steps=11, validate_every=0, select="last")) == []


@pytest.mark.parametrize("wrong", [(0,), (3, 12), (-1,), (10**30,)])
def test_a_listed_step_that_is_no_update_is_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"^validate_at: got .*, expected an integer from 1 to 11"):
        TrainingConfig(steps=11, validate_at=wrong)


def test_the_best_without_a_validation_is_refused() -> None:
    with pytest.raises(UserError, match=r"^select: got 'best', expected last, as validate_every is 0"):
        TrainingConfig(validate_every=0)
    assert TrainingConfig(validate_every=0, validate_at=(5,)).select == "best"
