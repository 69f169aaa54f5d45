"""The layers of the package: imports go only down the list, and library code does not write to the user's terminal."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "fastslow"
FILES = sorted(SOURCE.rglob("*.py"))

# From the top down. A layer may import itself and those below it; layers that share a line may not import each other.
LAYERS: list[set[str]] = [
    {"estimators", "cli"},
    {"papers"},
    {"zoo"},
    {"results"},
    {"configs"},
    {"plotting"},
    {"training"},
    {"learners"},
    {"baselines"},
    {"synthetic"},
    {"optim"},
    {"models"},
    {"tasks"},
    {"cells"},
    {"memory"},
    {"datasets"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
SHELLS = {"cli"}
# Files beside the folders; they are open to all layers.
OPEN = {"metrics", "_checks", "_typing"}
BELOW_PAPERS = {name for name, level in LEVEL.items() if level > LEVEL["papers"]}

# What an extra brings may be imported by the layers that the extra is for, and by no other.
EXTRAS = {"sklearn": {"estimators"}, "starlette": {"app"}, "uvicorn": {"app"}, "torch": set()}
# What an `__init__.py` says to import its names when they are first used.
LAZY = {"import lazy_loader", "__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)"}
TESTS_ONLY = {"pytest", "hypothesis", "beartype"}


def layer(path: Path) -> str:
    """The layer of a file: its folder, or the file's own name where it lies beside the folders."""
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
    """Imports of a file that go up the list of layers, or aside."""
    here, wrong = layer(path), []
    for line, name in imported(path):
        if name[0] == "fastslow" and len(name) > 1:
            there = name[1]
            if there in LEVEL and here in LEVEL and there != here and LEVEL[there] <= LEVEL[here]:
                wrong.append(f"line {line}: {here} imports {there}")
            if there in LEVEL and here in OPEN:
                wrong.append(f"line {line}: {here} is open to all layers and imports the layer {there}")
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


def more_than_names(tree: ast.Module) -> list[str]:
    """Statements of an `__init__.py` beside its docstring, relative imports, lazy ones, `__all__` and `__version__`."""
    wrong = []
    for number, node in enumerate(tree.body):
        is_docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_import = isinstance(node, ast.ImportFrom) and node.level > 0
        is_lazy = ast.unparse(node) in LAZY
        names = {t.id for t in node.targets if isinstance(t, ast.Name)} if isinstance(node, ast.Assign) else set()
        if not (is_docstring or is_import or is_lazy or (names and names <= {"__all__", "__version__"})):
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
def test_imports_go_down(path: Path) -> None:
    assert wrong_imports(path) == []


@pytest.mark.parametrize("path", named([path for path in FILES if layer(path) not in SHELLS]))
def test_library_code_is_quiet(path: Path) -> None:
    assert loud_code(path) == []


@pytest.mark.parametrize("path", named([path for path in FILES if path.name == "__init__.py"]))
def test_init_only_more_than_names(path: Path) -> None:
    assert more_than_names(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", named(FILES))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


@pytest.mark.parametrize("path", named(FILES))
def test_functions_are_short(path: Path) -> None:
    assert long_functions(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", named([path for path in FILES if layer(path) in BELOW_PAPERS - {"results"}]))
def test_papers_figures_are_known_to_papers_and_results_alone(path: Path) -> None:
    words = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = {getattr(word, attribute, None) for word in words for attribute in ("id", "attr", "arg", "name")}
    assert "paper_value" not in names


def test_every_file_lies_in_a_known_layer() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert folders <= set(LEVEL)
    assert {path.stem for path in SOURCE.glob("*.py")} == OPEN | {"__init__", "__main__"}


def test_loading_a_released_model_imports_no_paper() -> None:
    code = (
        "import sys, fastslow; fastslow.load('characters'); print([m for m in sys.modules if 'fastslow.papers' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_imports_no_jax() -> None:
    code = "import sys, fastslow; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


ASKS = re.compile(r"isinstance\(.*Config|case .*Config\(|(?<!dtype)(?<!region)\.kind (==|!=|in |not in )")
"""What asks which configuration it has; types of arrays and regions of a document have kinds, too."""


def test_no_code_asks_which_configuration_it_has() -> None:
    found = [f"{path}: {line}" for path in FILES for line in path.read_text().splitlines() if ASKS.search(line)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "if isinstance(config.task, OmniglotConfig):",
        "case MANNConfig(hidden=200):",
        'if config.model.cell.kind == "mann":',
        'if learner.kind not in ("supervised",):',
    ],
)
def test_code_that_asks_is_found(code: str) -> None:
    assert ASKS.search(code)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("cells/x.py", "from ..learners.base import Trainable"),
        ("cells/x.py", "import fastslow.learners"),
        ("cells/x.py", "from .. import learners"),
        ("cells/x.py", "def f():\n    from ..training import loop"),
        ("memory/x.py", "from fastslow.cells.base import AbstractCell"),
        ("tasks/x.py", "from ..models import conv"),
        ("models/x.py", "from ..synthetic.inject import injection"),
        ("training/x.py", "from ..results.row import ResultRow"),
        ("zoo/x.py", "from ..papers.rows import Row"),
        ("papers/fast_slow/x.py", "from ...cli import main"),
        ("estimators/x.py", "from ..cli import main"),
        ("metrics.py", "from .memory import slots"),
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
    assert len(more_than_names(ast.parse(code))) == 1


@pytest.mark.parametrize(("lines", "told", "found"), [(38, 0, 0), (39, 0, 1), (38, 9, 0), (39, 9, 1)])
def test_a_long_function_is_found(lines: int, told: int, found: int) -> None:
    told_lines = ["    '''"] + ["    x"] * (told - 2) + ["    '''"] if told else []
    code = "\n".join(["def f():", *told_lines, *["    x = 1"] * lines])
    assert len(long_functions(ast.parse(code))) == found
