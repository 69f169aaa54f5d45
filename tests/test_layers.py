"""The rooms of the package: imports go only up the list, and library code keeps out of the user's terminal."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "fastslow"
FILES = sorted(SOURCE.rglob("*.py"))

# A room may import the rooms named beside it, and itself. Files beside the rooms that begin with `_` are open to all.
MAY_IMPORT: dict[str, set[str]] = {
    "memory": set(),
    "cells": {"memory"},
    "feedback": {"memory", "cells"},
    "models": {"memory", "cells"},
    "datasets": set(),
    "tasks": {"datasets"},
    "learners": {"memory", "cells", "feedback", "models", "tasks"},
}
MAY_IMPORT["training"] = {"learners"} | MAY_IMPORT["learners"] | {"datasets"}
MAY_IMPORT["experiments"] = {"training"} | MAY_IMPORT["training"]
MAY_IMPORT["estimators"] = {"experiments"} | MAY_IMPORT["experiments"]
MAY_IMPORT["cli"] = {"estimators"} | MAY_IMPORT["estimators"]
MAY_IMPORT["app"] = {"estimators"} | MAY_IMPORT["estimators"]
SHELLS = {"cli", "app"}
SETTLED = {"memory", "cells", "feedback", "models", "datasets", "tasks", "learners", "training"}

# What an extra brings may be imported by the rooms that the extra is for, and by no other.
EXTRAS = {"sklearn": {"estimators"}, "starlette": {"app"}, "uvicorn": {"app"}, "torch": set()}
TESTS_ONLY = {"pytest", "hypothesis", "beartype"}


def room(path: Path) -> str:
    """The room a file lies in; files beside the rooms are rooms of their own, named as they are."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and absolute name of every import of a file, also of those inside functions and behind TYPE_CHECKING."""
    package = ("fastslow", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield node.lineno, (*module, alias.name)


def wrong_imports(path: Path) -> list[str]:
    """Imports of a file that go down the list of rooms, or aside."""
    here, wrong = room(path), []
    for line, name in imported(path):
        if name[0] == "fastslow" and len(name) > 1:
            there = name[1]
            is_room = there in MAY_IMPORT
            if is_room and here in MAY_IMPORT and there not in MAY_IMPORT[here] | {here}:
                wrong.append(f"line {line}: {here} imports {there}")
            if is_room and here.startswith("_") and here not in {"__init__", "__main__"}:
                wrong.append(f"line {line}: {here} is open to all rooms and imports the room {there}")
        elif name[0] in EXTRAS and here not in EXTRAS[name[0]]:
            wrong.append(f"line {line}: {here} imports {name[0]}, which its users need not have")
        elif name[0] in TESTS_ONLY:
            wrong.append(f"line {line}: {here} imports {name[0]}, which is for tests alone")
    return wrong


def loud_code(path: Path) -> list[str]:
    """Asserts, bare excepts and prints of a file."""
    wrong = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assert):
            wrong.append(f"line {node.lineno}: assert")
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            wrong.append(f"line {node.lineno}: bare except")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            wrong.append(f"line {node.lineno}: print")
    return wrong


def hands_names_on(tree: ast.Module) -> list[str]:
    """Statements of an `__init__.py` beside its docstring, relative imports, `__all__` and `__version__`."""
    wrong = []
    for number, node in enumerate(tree.body):
        is_docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_import = isinstance(node, ast.ImportFrom) and node.level > 0
        names = {t.id for t in node.targets if isinstance(t, ast.Name)} if isinstance(node, ast.Assign) else set()
        if not (is_docstring or is_import or (names and names <= {"__all__", "__version__"})):
            wrong.append(f"line {node.lineno}: {type(node).__name__}")
    return wrong


def long_functions(tree: ast.Module) -> list[str]:
    """Functions of 40 lines or more, their docstrings not counted."""
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = node.body[0] if ast.get_docstring(node) else None
            lines = (node.end_lineno or 0) - node.lineno + 1
            lines -= (told.end_lineno or 0) - told.lineno + 1 if told else 0
            if lines >= 40:
                wrong.append(f"line {node.lineno}: {node.name} has {lines} lines")
    return wrong


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=path.relative_to(SOURCE).as_posix()) for path in paths]


@pytest.mark.parametrize("path", named(FILES))
def test_imports_go_up(path: Path) -> None:
    assert wrong_imports(path) == []


@pytest.mark.parametrize("path", named([path for path in FILES if room(path) not in SHELLS]))
def test_library_code_is_quiet(path: Path) -> None:
    assert loud_code(path) == []


@pytest.mark.parametrize("path", named([path for path in FILES if path.name == "__init__.py"]))
def test_init_only_hands_names_on(path: Path) -> None:
    assert hands_names_on(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", named(FILES))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


@pytest.mark.parametrize("path", named(FILES))
def test_functions_are_short(path: Path) -> None:
    assert long_functions(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", named([path for path in FILES if room(path) in SETTLED]))
def test_papers_tables_are_known_to_experiments_alone(path: Path) -> None:
    words = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = {getattr(word, attribute, None) for word in words for attribute in ("id", "attr", "arg", "name")}
    assert "paper_value" not in names


def test_every_file_lies_in_a_known_room() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert folders <= set(MAY_IMPORT)
    assert [path.name for path in SOURCE.glob("*.py") if not path.name.startswith("_")] == []
    assert {"memory", "cells", "feedback", "datasets", "tasks", "learners", "training", "cli"} <= folders


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("cells/x.py", "from ..learners.base import AbstractLearner"),
        ("cells/x.py", "import fastslow.learners"),
        ("cells/x.py", "from .. import learners"),
        ("cells/x.py", "def f():\n    from ..training import loop"),
        ("memory/x.py", "from fastslow.cells.base import AbstractCell"),
        ("tasks/x.py", "from ..models import embed"),
        ("models/x.py", "from ..feedback.probes import probe"),
        ("training/x.py", "from ..experiments.results import ResultRow"),
        ("experiments/fast_slow/x.py", "from ...cli import main"),
        ("_trees.py", "from .memory import slots"),
        ("training/x.py", "import sklearn.base"),
        ("learners/x.py", "from hypothesis import given"),
    ],
)
def test_a_wrong_import_is_found(place: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    assert len(wrong_imports(path)) == 1


@pytest.mark.parametrize("code", ["assert x", "try:\n    f()\nexcept:\n    pass", "def f():\n    print(1)"])
def test_loud_code_is_found(code: str, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(code)
    assert len(loud_code(path)) == 1


@pytest.mark.parametrize("code", ["x = 1", "import os", "def f(): ...", "'''doc'''\n'more'", "from os import path"])
def test_an_init_that_does_more_is_found(code: str) -> None:
    assert len(hands_names_on(ast.parse(code))) == 1


@pytest.mark.parametrize(("lines", "told", "found"), [(38, 0, 0), (39, 0, 1), (38, 9, 0), (39, 9, 1)])
def test_a_long_function_is_found(lines: int, told: int, found: int) -> None:
    told_lines = ["    '''"] + ["    x"] * (told - 2) + ["    '''"] if told else []
    code = "\n".join(["def f():", *told_lines, *["    x = 1"] * lines])
    assert len(long_functions(ast.parse(code))) == found
