"""The one sentence about a bad argument, whatever the value is."""

import numpy as np
import pytest

from fastslow._checks import MOST_SHOWN, bad


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
    ],
    ids=["line", "pair", "array", "text", "number", "negative", "short number", "list"],
)
def test_a_value_is_shown_on_one_short_line(came: object, shown: str) -> None:
    assert str(bad("x", came=came, wanted="less")) == f"x: got {shown}, wanted less."
