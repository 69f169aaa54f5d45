"""Errors for mistakes of the user: one sentence that says what it got, what was expected, what to type."""

from typing import Any

MOST_SHOWN = 400
"""Most characters of a value in a message; a path of a file is rarely longer."""


class UserError(ValueError):
    """A mistake that the user can correct. The command line prints it as one sentence and exits with 2.

    Attributes:
        argument: the name that the sentence begins with; empty where it begins with something else.
    """

    def __init__(self, sentence: str, argument: str = "") -> None:
        super().__init__(sentence)
        self.argument = argument


class Notice(UserWarning):
    """A sentence for a user who need not change anything. The command line prints it as it is."""


class Described(str):
    """A description of what was given, which a message shows without the quotes of a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def bad(argument: str, *, got: object, expected: str, hint: str = "") -> UserError:
    """Builds the error for a bad argument.

    Args:
        argument: the argument's name, as the user typed it.
        got: the given value, or `Described` in words.
        expected: the values that are accepted.
        hint: what to type instead.

    Returns:
        The error, to be raised by the caller.
    """
    tail = f"; {hint}" if hint else ""
    return UserError(f"{argument}: got {shown(got)}, expected {expected}{tail}.", argument)


def shown(value: object) -> str:
    """A value as a message shows it: as Python writes it, on one line, and shorter where that is long."""
    if isinstance(value, int) and abs(value) >= 10**18:
        return f"an integer of about {int(value.bit_length() * 0.30103) + 1} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a whole number of some thousand digits, or lists nested as deeply
        return f"{type(value).__name__} too long to show"
    text = " ".join(line.strip() for line in text.splitlines())
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN // 2]}… ({len(text):,} characters)"


def check_positive(argument: str, value: int | float) -> None:
    """Raises `UserError` unless `value` is above zero."""
    if not value > 0:
        raise bad(argument, got=value, expected="a number above 0")


def check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises `UserError` unless `value` is one of `choices`."""
    if value not in choices:
        raise bad(argument, got=value, expected=f"one of {', '.join(choices)}")


LARGEST_FLOAT = 3.4028234663852886e38
"""Largest number that 32 bits hold; beyond it a setting becomes infinity on the device."""
LARGEST_INT = 2**31 - 1
"""Largest integer that 32 bits hold; the device counts in them."""
LARGEST_SIZE = 2**16
"""Largest size of an array along one axis that a setting may ask for."""


def check_real(argument: str, value: Any, *, above: float = 0.0, most: float = LARGEST_FLOAT) -> None:
    """Raises `UserError` unless `value` is a finite number with `above < value <= most`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not above < value <= most:
        limit = "" if most == LARGEST_FLOAT else f" and at most {most:g}"
        raise bad(argument, got=value, expected=f"a finite number above {above:g}{limit}")


def check_integer(argument: str, value: Any, *, least: int = 1, most: int = LARGEST_INT, reason: str = "") -> None:
    """Raises `UserError` unless `value` is an integer from `least` to `most`; `reason` says what sets the upper end."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or not least <= value <= most:
        because = f", since {reason}" if reason else ""
        raise bad(argument, got=value, expected=f"an integer from {least} to {most}{because}")


def check_size(argument: str, value: int) -> None:
    """Raises `UserError` unless `value` can be the size of an array along one axis."""
    check_positive(argument, value)
    if value > LARGEST_SIZE:
        raise bad(argument, got=value, expected=f"at most {LARGEST_SIZE}, as larger arrays do not fit into memory")
