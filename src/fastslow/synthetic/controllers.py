"""One thing for each controller of a cell, in a module with a field for each."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any


def for_each(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Applies a function to each controller's part of some modules with the same fields.

    Args:
        function: takes one part of each module.
        first: gives the fields, and the type of the result.
        others: more modules with these fields.
    """
    parts = {field.name: function(*(getattr(m, field.name) for m in (first, *others))) for field in fields(first)}
    return type(first)(**parts)


def each(module: Any) -> dict[str, Any]:
    """The parts by their controllers' names."""
    return {field.name: getattr(module, field.name) for field in fields(module)}
