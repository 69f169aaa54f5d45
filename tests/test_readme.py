"""The documents' code runs, their commands are those that are checked, and their links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<code>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
TRY_IT = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/fastslow train"
TEST_IT = 'python3 -m venv .venv && .venv/bin/pip install -e ".[dev]" && .venv/bin/pytest'


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, info string and code of every fenced block."""
    for match in FENCE.finditer(text):
        yield text[: match.start("code")].count("\n") + 1, match["info"].strip(), match["code"]


def runnable() -> Iterator[object]:
    for document in DOCUMENTS:
        for line, info, code in blocks(document.read_text(encoding="utf-8")):
            if info == "python":
                where = f"{document.relative_to(ROOT).as_posix()}:{line}"
                # the blank lines make a traceback show the document's own line numbers
                yield pytest.param(where, "\n" * (line - 1) + code, id=where)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("where", "code"), list(runnable()))
def test_code_runs(where: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, where.rpartition(":")[0], "exec"), {"__name__": "__main__"})  # noqa: S102 – our own documents


def test_python_blocks_are_run_or_say_why_not() -> None:
    odd = [
        f"{document.name}:{line}: {info}"
        for document in DOCUMENTS
        for line, info, _ in blocks(document.read_text(encoding="utf-8"))
        if info.lower().startswith("py") and info not in {"python", "python no-run"}
    ]
    assert odd == []


def test_paths_in_documents_lead_somewhere() -> None:
    path = re.compile(r"`((?:src|tests|docs|examples|scripts|benchmarks)/[\w./-]+)`")
    named = {found for document in DOCUMENTS for found in path.findall(document.read_text(encoding="utf-8"))}
    assert named
    assert sorted(found for found in named if not (ROOT / found).exists()) == []


def test_readme_shows_code_that_is_run() -> None:
    infos = [info for _, info, _ in blocks((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert "python" in infos


@pytest.mark.parametrize("command", [TRY_IT, TEST_IT])
def test_readme_gives_each_command_on_one_line(command: str) -> None:
    lines = [
        line
        for _, info, code in blocks((ROOT / "README.md").read_text(encoding="utf-8"))
        if info == "sh"
        for line in code.splitlines()
    ]
    assert lines.count(command) == 1


def test_continuous_check_runs_the_test_command_as_it_stands() -> None:
    assert TEST_IT in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("document", [pytest.param(path, id=path.name) for path in DOCUMENTS])
def test_links_within_the_repository_lead_somewhere(document: Path) -> None:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text)
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("line", [1, 4])
def test_blocks_are_found_with_their_lines(line: int) -> None:
    text = "\n" * (line - 1) + "```python\nx = 1\n```\n\n```python no-run\ny\n```\n"
    assert list(blocks(text)) == [(line + 1, "python", "x = 1\n"), (line + 5, "python no-run", "y\n")]
