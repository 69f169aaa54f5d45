"""Settings by the flags that set them, so that an error names what the user types."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import tyro

from .._checks import UserError


def flag_of(path: str) -> str:
    """The flag of a field, such as `--model.label-input` of `model.label_input`."""
    return f"--{path.replace('_', '-')}"


def paths(config: Any, path: str = "") -> Iterator[str]:
    """Every field that a flag sets, as in `training.batch`; positional arguments are none."""
    for field in fields(config):
        value, name = getattr(config, field.name, None), f"{path}{field.name}"
        is_part = is_dataclass(value) and not isinstance(value, type)
        is_positional = tyro.conf.Positional in getattr(field.type, "__metadata__", ())
        if field.name != "kind" and not is_positional and (not is_part or hasattr(value, "kind")):
            yield name
        if is_part:
            yield from paths(value, f"{name}.")


def flags_by_name(config: Any) -> dict[str, str]:
    """The flag of each field, by its path, and by its name alone where no other field has that name."""
    known = list(paths(config))
    counted = Counter(path.rpartition(".")[2] for path in known)
    alone = {name: flag_of(path) for path in known if counted[name := path.rpartition(".")[2]] == 1}
    return alone | {path: flag_of(path) for path in known}


@contextlib.contextmanager
def naming(flags: Mapping[str, str]) -> Iterator[None]:
    """Lets an error about a setting begin with its flag.

    Args:
        flags: of settings, by their names.
    """
    try:
        yield
    except UserError as error:
        if error.argument not in flags:
            raise
        flag = flags[error.argument]
        raise UserError(f"{flag}{str(error).removeprefix(error.argument)}", flag) from error
