"""Errors for mistakes of the user: one sentence that says what came, what was wanted, what to do."""


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
    return UserError(f"{argument}: got {came!r}, wanted {wanted}{tail}.")


def check_positive(argument: str, value: int | float) -> None:
    """Raises `UserError` unless `value` is above zero."""
    if not value > 0:
        raise bad(argument, came=value, wanted="a number above 0")


def check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises `UserError` unless `value` is one of `choices`."""
    if value not in choices:
        raise bad(argument, came=value, wanted=f"one of {', '.join(choices)}")
