"""Flags that choose a member of a union, such as `--task omniglot` or `--model.cell mann`.

They are read before all others, since the members say which other flags there are. Outer ones are read before inner
ones, whatever their order.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from .._checks import UserError, bad
from ..configs.members import MEMBERS
from .naming import flag_of


@dataclass(frozen=True)
class Choice:
    """One union of a configuration.

    Attributes:
        path: its field, as in `model.cell`.
        members: the classes by the names that are typed.
        chosen: the name of the member that is there.
    """

    path: str
    members: dict[str, type]
    chosen: str


def choices(config: Any, path: str = "") -> Iterator[Choice]:
    """Every union of a configuration and of the members chosen in it, outer ones first."""
    hints = get_type_hints(type(config))
    for field in fields(config):
        value, name = getattr(config, field.name), f"{path}{field.name}"
        if not is_dataclass(value):
            continue
        union = MEMBERS.get(hints[field.name]) or get_args(hints[field.name])
        members = {_kind(member): member for member in union if hasattr(member, "kind")}
        if members:
            yield Choice(name, members, _kind(value))
        yield from choices(value, f"{name}.")


def _kind(member: Any) -> str:
    """The name of a member: the default of its field `kind`, which the class has, too."""
    return str(member.kind)


def choose(config: Any, argv: Sequence[str]) -> tuple[Any, list[str]]:
    """Puts the members that were typed into a configuration, each with its own defaults.

    A member that is there already stays as it is.

    Args:
        config: the configuration to start from.
        argv: what was typed.

    Returns:
        The configuration, and what else was typed.

    Raises:
        UserError: a name that no member has.
    """
    rest = list(argv)
    while typed := next(((c, at) for c in choices(config) if (at := _typed(c.path, rest)) is not None), None):
        choice, at = typed
        flag, is_joined, value = rest.pop(at).partition("=")
        if not is_joined:
            value = rest.pop(at) if at < len(rest) else ""
        if value not in choice.members:
            raise bad(flag, got=value, expected=f"one of {', '.join(choice.members)}")
        if value != choice.chosen:
            config = _replaced(config, choice.path.split("."), choice.members[value]())
    return config, rest


def _typed(path: str, argv: Sequence[str]) -> int | None:
    """Where the flag of a path stands."""
    return next((at for at, word in enumerate(argv) if word.partition("=")[0] == flag_of(path)), None)


def check_left(config: Any, argv: Sequence[str]) -> None:
    """Refuses a flag of a part that a chosen member does not have, and another one has.

    Raises:
        UserError: naming the member.
    """
    chosen = {flag_of(choice.path): choice for choice in choices(config)}
    for at, word in enumerate(argv):
        flag, is_joined, value = word.partition("=")
        path, _, part = flag.rpartition(".")
        outer, part = chosen.get(path), part.replace("-", "_").removeprefix("no_")
        if outer is None or part in _parts(outer.members.get(outer.chosen)):
            continue
        having = [name for name, member in outer.members.items() if part in _parts(member)]
        if having:
            got = value if is_joined else " ".join(argv[at + 1 : at + 2])
            expected = f"nothing, as {outer.path} {outer.chosen} has no {part}"
            raise bad(flag, got=got, expected=expected, hint=f"choose {path} {' or '.join(having)}")


@contextlib.contextmanager
def fitting(config: Any) -> Iterator[None]:
    """Lets an error about a part that does not fit the others name the ones that do, where there are any."""
    try:
        yield
    except UserError as error:
        part = "learner" if error.argument == "train_way" else error.argument
        choice = next((choice for choice in choices(config) if choice.path.rpartition(".")[2] == part), None)
        if choice is None:
            raise
        wrong = {name: _wrong(config, choice.path, member) for name, member in choice.members.items()}
        # where none fits at once, those that fit once another part is chosen, too
        fit = [name for name in wrong if wrong[name] is None]
        fit = fit or [name for name in wrong if wrong[name] not in (error.argument, part)]
        if not fit:
            raise
        sentence = f"{error}".removesuffix(".")
        raise UserError(f"{sentence}; choose {flag_of(choice.path)} {' or '.join(fit)}.", error.argument) from error


def _wrong(config: Any, path: str, member: type) -> str | None:
    """What does not fit where a part is exchanged for another; None where all of it can be built."""
    try:
        _replaced(config, path.split("."), member()).build()
    except UserError as error:
        return error.argument
    return None


def _parts(member: Any) -> set[str]:
    """Names of a member's settings."""
    return {field.name for field in fields(member)} if member is not None else set()


def _replaced(config: Any, path: list[str], member: Any) -> Any:
    first, *rest = path
    return replace(config, **{first: _replaced(getattr(config, first), rest, member) if rest else member})


def choices_help(config: Any) -> str:
    """The flags that choose, one a line, with the names they take; the one in use first."""
    lines = []
    for choice in choices(config):
        others = [name for name in choice.members if name != choice.chosen]
        lines.append(f"{flag_of(choice.path)} {'|'.join([choice.chosen, *others])}")
    return "\n\n".join(lines)


__all__ = ["Choice", "check_left", "choices", "choices_help", "choose", "fitting"]
