"""Errors for mistakes of the user: one sentence that says what came, what was wanted, what to do."""

MOST_SHOWN = 400
"""Most characters of a value in a message; a path of a file is rarely longer."""


class UserError(ValueError):
    """A mistake the user can mend. The command line prints it as one sentence and exits with 2."""


def bad(argument: str, *, came: object, wanted: str, remedy: str = "") -> UserError:
    """Builds the error for a bad argument.

    Args:
        argument: the argument's name, as the user typed it.
        came: the value that was given.
        wanted: the values that are accepted.
        remedy: what to type instead.

    Returns:
        The error, to be raised by the caller.
    """
    tail = f"; {remedy}" if remedy else ""
    return UserError(f"{argument}: got {_shown(came)}, wanted {wanted}{tail}.")


def _shown(value: object) -> str:
    """A value as Python writes it, on one line and cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than some thousand digits
        return f"{type(value).__name__} too long to show"
    text = " ".join(line.strip() for line in text.splitlines())
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN // 2]}… ({len(text):,} characters)"


def check_positive(argument: str, value: int | float) -> None:
    """Raises `UserError` unless `value` is above zero."""
    if not value > 0:
        raise bad(argument, came=value, wanted="a number above 0")


def check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises `UserError` unless `value` is one of `choices`."""
    if value not in choices:
        raise bad(argument, came=value, wanted=f"one of {', '.join(choices)}")
