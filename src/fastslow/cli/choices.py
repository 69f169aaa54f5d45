"""Flags that choose a member of a union, such as `--task omniglot` or `--model.cell mann`.

They are read before all others, since the members say which other flags there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from .._checks import bad
from ..configs.members import MEMBERS


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
        members = {_kind(member): member for member in union if is_dataclass(member)}
        if members:
            yield Choice(name, members, _kind(type(value)))
        yield from choices(value, f"{name}.")


def _kind(member: Any) -> str:
    """The name that a member's field `kind` has."""
    return str(member.__dataclass_fields__["kind"].default)


def choose(config: Any, argv: Sequence[str]) -> tuple[Any, list[str]]:
    """Puts the members that were typed into a configuration, each with its own defaults.

    Args:
        config: the configuration to start from.
        argv: what was typed.

    Returns:
        The configuration, and what else was typed.

    Raises:
        UserError: a name that no member has.
    """
    rest = list(argv)
    while True:
        typed = {choice.path: choice for choice in choices(config)}
        found = next((place for place, word in enumerate(rest) if word.partition("=")[0][2:] in typed), None)
        if found is None:
            return config, rest
        flag, _, value = rest.pop(found).partition("=")
        if not value:
            value = rest.pop(found) if found < len(rest) else ""
        choice = typed[flag[2:]]
        if value not in choice.members:
            raise bad(flag, came=value[:80], wanted=f"one of {', '.join(choice.members)}")
        config = _replaced(config, choice.path.split("."), choice.members[value]())


def _replaced(config: Any, path: list[str], member: Any) -> Any:
    first, *rest = path
    return replace(config, **{first: _replaced(getattr(config, first), rest, member) if rest else member})


def choices_help(config: Any) -> str:
    """The flags that choose, one a line, with the names they take; the one in use first."""
    lines = []
    for choice in choices(config):
        others = [name for name in choice.members if name != choice.chosen]
        lines.append(f"--{choice.path} {'|'.join([choice.chosen, *others])}")
    return "\n\n".join(lines)


__all__ = ["Choice", "choices", "choices_help", "choose"]
