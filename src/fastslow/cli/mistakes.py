"""What tyro cannot read, as one sentence in place of its box of several lines."""

import contextlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from .._checks import Described, UserError, bad

try:
    from tyro import _errors
except ImportError:  # tyro calls this module private: without it tyro prints its boxes
    _errors: Any = None

_NOTHING = Described("nothing")
_TYPES = {"INT": "an integer", "FLOAT": "a number", "PATH": "a path", "STR": "text", "[INT [INT ...]]": "integers"}
"""What a user calls the types that tyro names in its help."""


@contextlib.contextmanager
def one_sentence(verb: str, argv: Sequence[str], flags: Sequence[str] = ()) -> Iterator[None]:
    """Raises `UserError` where tyro would print a box and exit.

    Args:
        verb: what is typed after `fastslow`.
        argv: what was typed after the verb.
        flags: those that the verb has, to name the one that was meant.
    """

    def refuse(event: Any) -> None:
        error = _error(event, f"fastslow {verb}", argv, flags)
        if error is not None:
            raise error

    with _errors.on_parse_error(refuse) if _errors else contextlib.nullcontext():
        yield


def _error(event: Any, command: str, argv: Sequence[str], flags: Sequence[str]) -> UserError | None:
    see = f"see `{command} --help`"
    match event:
        case _errors.UnrecognizedArgs(tokens=[word, *_]) if word.startswith("-"):
            flag = word.partition("=")[0]
            hint = f"perhaps you mean {found}" if (found := _like(flag, flags)) else see
            return bad("command line", got=flag, expected=f"a flag of `{command}`", hint=hint)
        case _errors.UnrecognizedArgs(tokens=[word, *_]):
            return bad("command line", got=word, expected="no further word there", hint=see)
        case _errors.MissingArgs(missing_arguments=[missing, *_]):
            name = missing.arg.lowered.metavar
            return bad(name, got=_NOTHING, expected="a value", hint=f"type `{command} {name}`")
        case _errors.BadValue(argument=argument):
            return bad(_name(argument), got=_NOTHING, expected=_expected(argument), hint=see)
        case _errors.InvalidChoice(argument=argument, value=value, choices=choices):
            return bad(_name(argument), got=value, expected=f"one of {', '.join(choices)}")
        case _errors.InstantiationFailure(argument=argument) if argument is not None:
            return bad(_name(argument), got=_typed(argument, argv), expected=_expected(argument), hint=see)
    return None


def _like(flag: str, flags: Sequence[str]) -> str:
    """Flags that may have been meant: those that end alike, else the most similar one."""
    ending = [known for known in flags if known.endswith(f".{flag.lstrip('-')}")]
    return " or ".join(ending or get_close_matches(flag, flags, n=1))


def _name(argument: Any) -> str:
    """A flag as it is typed."""
    return argument.lowered.name_or_flags[0]


def _expected(argument: Any) -> str:
    """What a flag takes."""
    named = str(argument.lowered.metavar).removeprefix("{None}|")
    return _TYPES.get(named, named)


def _typed(argument: Any, argv: Sequence[str]) -> str | Described:
    """What was typed after a flag, up to the next one."""
    for at, word in enumerate(argv):
        flag, is_joined, value = word.partition("=")
        if flag.replace("_", "-") == _name(argument):
            after = argv[at + 1 :]
            end = next((place for place, word in enumerate(after) if word.startswith("--")), len(after))
            return value if is_joined else " ".join(after[:end])
    return Described("something else")
