"""Configurations as JSON: frozen dataclasses to plain values and back, every field checked."""

import operator
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from cattrs import ClassValidationError, transform_error
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.preconf.json import make_converter

from .._checks import LARGEST_FLOAT, UserError, shown
from .members import MEMBERS

T = TypeVar("T")


def _one_of(members: Mapping[str, type], value: Any, _: Any) -> Any:
    """Reads the member of an open union whose `kind` the value names."""
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in members:
        raise ValueError(f"kind {shown(kind)}, expected one of {', '.join(members)}; see configs/members.py")
    return _converter.structure(value, members[kind])


def _by_kind(members: tuple[type, ...]) -> dict[str, type]:
    """The members by the one value of their field `kind`.

    Raises:
        TypeError: a member's `kind` is no literal, so that a run folder could not name it.
    """
    found = {}
    for member in members:
        hint = get_type_hints(member)["kind"]
        if get_origin(hint) is not Literal:
            raise TypeError(f"{member.__name__}: kind is of type {hint}; write kind: Literal[NAME] = NAME")
        found[get_args(hint)[0]] = member
    return found


def _exactly(kind: type) -> Any:
    """A reader that takes JSON values of one type as they are, where cattrs would convert `3.7` to 3."""
    accepted = (int, float) if kind is float else (kind,)

    def read(value: Any, _: Any) -> Any:
        if type(value) not in accepted:
            raise TypeError(f"got {shown(value)}, expected {kind.__name__}")
        if kind is float and not -LARGEST_FLOAT <= value <= LARGEST_FLOAT:
            raise ValueError(f"got {shown(value)}, expected a finite number")
        return kind(value)

    return read


_converter = make_converter(forbid_extra_keys=True)
for _base, _members in MEMBERS.items():
    _converter.register_structure_hook_func(partial(operator.is_, _base), partial(_one_of, _by_kind(_members)))
    _converter.register_unstructure_hook_func(partial(operator.is_, _base), lambda value: to_json(value))
for _kind in (bool, int, float, str):
    _converter.register_structure_hook(_kind, _exactly(_kind))


def to_json(config: Any) -> dict[str, Any]:
    """A configuration as plain values that `json.dumps` takes."""
    return _converter.unstructure(config, type(config))


def from_json(kind: type[T], data: Mapping[str, Any]) -> T:
    """Rebuilds a configuration from plain values; the inverse of `to_json`.

    Args:
        kind: dataclass of the configuration; its fields may be dataclasses again.
        data: what `to_json` gave.

    Returns:
        The configuration.

    Raises:
        UserError: where a field is unknown, missing, or holds a value of the wrong type; the field is named.
    """
    try:
        return _converter.structure(data, kind)
    except ClassValidationError as error:
        raise UserError(f"{kind.__name__}: {'; '.join(transform_error(error, format_exception=_reason))}.") from error


def _reason(error: BaseException, kind: Any) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown field {', '.join(sorted(map(repr, error.extra_fields)))}"
    if isinstance(error, KeyError):
        return f"field {error.args[0]!r} is missing"
    if get_origin(kind) is Literal:
        return f"expected one of {', '.join(map(str, get_args(kind)))}"
    return str(error).removesuffix(".")
