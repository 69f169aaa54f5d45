"""The one sentence about a bad argument, whatever the value is."""

import numpy as np
import pytest

from fastslow._checks import LARGEST_SIZE, MOST_SHOWN, Described, UserError, bad, check_size


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ("a\nb", r"'a\nb'"),
        ((1, "x"), "(1, 'x')"),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
        ("x" * 5000, f"'{'x' * (MOST_SHOWN // 2 - 1)}… (5,002 characters)"),
        (10**5000, "an integer of about 5001 digits"),
        (-(10**18), "an integer of about 19 digits"),
        (10**18 - 1, "999999999999999999"),
        ([10**5000], "list too long to show"),
        (Described("two images\nof 3 pixels"), "two images of 3 pixels"),
    ],
    ids=["line", "pair", "array", "text", "number", "negative", "short number", "list", "description"],
)
def test_a_value_is_shown_on_one_short_line(came: object, shown: str) -> None:
    assert str(bad("x", got=came, expected="less")) == f"x: got {shown}, expected less."


@pytest.mark.parametrize("value", [0, -(10**30), LARGEST_SIZE + 1, 10**30])
def test_a_size_is_above_zero_and_fits_into_memory(value: int) -> None:
    with pytest.raises(UserError, match=r"slots: got .*, expected (a number above 0|at most 65536, as larger arrays)"):
        check_size("slots", value)
    check_size("slots", 1)
    check_size("slots", LARGEST_SIZE)
