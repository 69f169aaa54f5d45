"""What was typed after a verb, read by tyro into a dataclass of flags."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass, replace
from functools import partial
from typing import Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo

from .._checks import UserError
from .mistakes import one_sentence
from .naming import flag_of, paths

Flags = TypeVar("Flags")


def parse(kind: type[Flags], argv: Sequence[str], verb: str, description: str, default: Flags | None = None) -> Flags:
    """Reads the flags of a verb.

    Args:
        kind: dataclass of the flags.
        argv: what was typed after the verb.
        verb: its name.
        description: text above the flags in the help.
        default: values of what is not typed; None for those of the dataclass.

    Raises:
        UserError: a configuration refuses a value, or tyro cannot read what was typed.
        SystemExit: as tyro ends for `--help`.
    """
    given: dict[str, Any] = {} if default is None else {"default": default}
    flags = [flag_of(path.removeprefix("config.")) for path in paths(kind if default is None else default)]
    try:
        with one_sentence(verb, argv, flags):
            return tyro.cli(
                kind,
                args=argv,
                prog=f"fastslow {verb}",
                description=description,
                config=(tyro.conf.AvoidSubcommands,),
                registry=_registry(),
                **given,
            )
    except _Refused as refused:
        raise refused.error from None


class _Refused(BaseException):
    """Carries a configuration's own sentence past tyro, which would put it into a box of several lines."""

    def __init__(self, error: UserError) -> None:
        super().__init__()
        self.error = error


def _registry() -> ConstructorRegistry:
    """Reads dataclasses as tyro does, without the field `kind`, which has one value and tells stored JSON apart."""
    registry, inside = ConstructorRegistry(), False

    @contextlib.contextmanager
    def once() -> Iterator[None]:
        nonlocal inside
        inside = True
        try:
            yield
        finally:
            inside = False

    @registry.struct_rule
    def without_kind(info: StructTypeInfo) -> StructConstructorSpec | None:
        if inside or not is_dataclass(info.type):
            return None
        with once():
            spec = ConstructorRegistry.get_struct_spec(info)
        if not isinstance(spec, StructConstructorSpec):
            return None

        def built(*values: Any, **named: Any) -> Any:
            try:
                return spec.instantiate(*values, **named)
            except UserError as error:
                raise _Refused(error) from None

        fields = [field for field in spec.fields if field.name != "kind"]
        flowing = [replace(field, helptext=partial(_flowing, field.helptext)) for field in fields]
        return replace(spec, fields=tuple(flowing), instantiate=built)

    return registry


def _flowing(text: str | Callable[[], str | None] | None) -> str | None:
    """A help text in one paragraph, where the docstring that it is taken from has several lines."""
    text = text() if callable(text) else text
    return None if text is None else " ".join(text.split())
