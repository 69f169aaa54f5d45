import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.results.rows import ROW

from fastslow._checks import UserError
from fastslow.results.documents import check, render
from fastslow.results.row import write_rows
from fastslow.results.tables import table

PIXELS = replace(ROW, row="pixels", value=0.5, ci95=(0.49, 0.51), facts={"transductive": False})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository with one experiment and two documents that show it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# A\n\n<!-- table:main -->\n<!-- end:main -->\n\ntail\n")
    (tmp_path / "docs" / "b.md").write_text("x\n<!-- table:main -->\nold\n<!-- end:main -->\n")
    write_rows(tmp_path / "results" / "main" / "1.json", [ROW])
    write_rows(tmp_path / "results" / "main" / "2.json", [PIXELS])
    return tmp_path


def test_committed_tables_are_up_to_date(root: Path) -> None:
    assert check(root) == [], "run `fastslow report` and commit what it changes"


def test_render_fills_every_document_and_nothing_else(tree: Path) -> None:
    assert check(tree) == ["README.md: table:main", "docs/b.md: table:main"]
    assert render(tree) == [tree / "README.md", tree / "docs" / "b.md"]
    assert check(tree) == []
    assert render(tree) == []
    body = table([ROW, PIXELS])
    assert (tree / "README.md").read_text() == f"# A\n\n<!-- table:main -->\n{body}\n<!-- end:main -->\n\ntail\n"
    assert "old" not in (tree / "docs" / "b.md").read_text()


def test_a_table_typed_by_hand_is_stale(tree: Path) -> None:
    render(tree)
    path = tree / "README.md"
    path.write_text(path.read_text().replace("97.6", "99.6"))
    assert check(tree) == ["README.md: table:main"]


def test_a_new_result_makes_tables_stale(tree: Path) -> None:
    render(tree)
    write_rows(tree / "results" / "main" / "1.json", [replace(ROW, value=0.975)])
    assert check(tree) == ["README.md: table:main", "docs/b.md: table:main"]


def test_a_table_may_show_some_metrics_alone(tree: Path) -> None:
    other = replace(ROW, metric="loss", unit="nats", value=1.25, ci95=(1.2, 1.3), chance=None)
    write_rows(tree / "results" / "main" / "1.json", [ROW, other])
    marked = "<!-- table:main; loss -->\n<!-- end:main -->\n"
    (tree / "README.md").write_text(marked)
    assert "README.md: table:main; loss" in check(tree)
    render(tree)
    assert check(tree) == []
    assert (tree / "README.md").read_text() == marked.replace("\n", f"\n{table([other])}\n", 1)
    (tree / "README.md").write_text(marked.replace("loss", "loss, speed"))
    with pytest.raises(
        UserError, match="table:main; loss, speed: got 'speed', expected metrics that are measured: accuracy, loss"
    ):
        render(tree)


def test_order_is_that_of_file_names_then_of_rows(tree: Path) -> None:
    (tree / "results" / "main" / "1.json").unlink()
    write_rows(tree / "results" / "main" / "10.json", [replace(ROW, row="b"), replace(ROW, row="a")])
    render(tree)
    text = (tree / "README.md").read_text()
    assert text.index("| b |") < text.index("| a |") < text.index("| pixels |")


def test_no_results_are_said_to_be_missing(tree: Path) -> None:
    for path in (tree / "results" / "main").iterdir():
        path.unlink()
    render(tree)
    assert "fastslow reproduce main" in (tree / "README.md").read_text()
    assert check(tree) == []


def test_a_figure_in_a_sentence_is_rendered(tree: Path) -> None:
    render(tree)
    path = tree / "docs" / "b.md"
    shares = "({}<!-- value:main/1; NMN + SG; accuracy --> %, beside {}<!-- value:main/2; pixels; accuracy -->)"
    path.write_text(shares.format("99.9", "50.0"))
    assert check(tree) == ["docs/b.md: value:main/1; NMN + SG; accuracy"]
    assert render(tree) == [path]
    assert path.read_text() == shares.format("97.6", "50.0")


def test_a_figure_in_a_sentence_may_stand_on_an_axis(tree: Path) -> None:
    rows = [replace(ROW, axis={"instance": k}, value=k / 10, ci95=(0.0, 1.0)) for k in (1, 2)]
    write_rows(tree / "results" / "main" / "1.json", [*rows, replace(rows[0], unit="nats", metric="log likelihood")])
    render(tree)
    path = tree / "docs" / "b.md"
    path.write_text("0<!-- value:main/1; NMN + SG; accuracy, instance 2 -->")
    render(tree)
    assert path.read_text() == "20.0<!-- value:main/1; NMN + SG; accuracy, instance 2 -->"
    path.write_text("0<!-- value:main/1; NMN + SG; log likelihood, instance 1 -->")
    render(tree)
    assert path.read_text() == "0.100<!-- value:main/1; NMN + SG; log likelihood, instance 1 -->"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("main/1; NMN + SG; accuracy, instance 3", "there are 0"),
        ("main/1; NMN + SG; accuracy of instance 2", "there are 0"),
        ("main/2; nothing; accuracy", "there are 0"),
        ("main/2; pixels; loss", "there are 0"),
        ("main/3; pixels; accuracy", r"3\.json"),
    ],
)
def test_a_figure_without_a_result_is_refused(name: str, told: str, tree: Path) -> None:
    (tree / "docs" / "b.md").write_text(f"1<!-- value:{name} -->")
    with pytest.raises(UserError, match=told):
        check(tree)


@pytest.mark.parametrize(
    "comment",
    [
        "<!-- value:main/2; pixels; accuracy -->",
        "50.0 <!-- value:main/2; pixels; accuracy -->",
        "12.1-50.0<!-- value:main/2; pixels; accuracy -->",
        "50.0<!-- value:main/2;pixels; accuracy -->",
        "50.0<!-- value:main/2; pixels;\naccuracy -->",
    ],
    ids=["no number", "a space", "a range", "a space less", "two lines"],
)
def test_a_figure_s_comment_that_would_be_passed_over_is_refused(comment: str, tree: Path) -> None:
    (tree / "docs" / "b.md").write_text(f"about {comment} %")
    for act in (check, render):
        with pytest.raises(UserError, match=r"b\.md: got .*, expected 'NUMBER<!-- value:FILE; ROW; METRIC -->'"):
            act(tree)


def test_a_row_of_another_experiment_is_refused(tree: Path) -> None:
    write_rows(tree / "results" / "main" / "1.json", [replace(ROW, experiment="other")])
    with pytest.raises(UserError, match="'other'"):
        render(tree)


def test_a_torn_result_file_is_refused_and_no_document_changes(tree: Path) -> None:
    path = tree / "results" / "main" / "2.json"
    path.write_text(path.read_text()[:40])
    before = (tree / "README.md").read_text()
    with pytest.raises(UserError, match=r"2\.json"):
        render(tree)
    assert (tree / "README.md").read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "<!-- table:main -->\n",
        "<!-- end:main -->\n",
        "<!-- table:main -->\n<!-- end:other -->\n",
        "<!-- table:main -->\n<!-- end:main; accuracy -->\n",
        "<!-- file:README.md; accuracy -->\n<!-- end:README.md -->\n",
        "<!-- table:main -->\n<!-- table:main -->\n<!-- end:main -->\n<!-- end:main -->\n",
    ],
)
def test_markers_without_a_partner_are_refused(text: str, tree: Path) -> None:
    (tree / "docs" / "b.md").write_text(text)
    with pytest.raises(UserError, match=r"b\.md"):
        check(tree)


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"README\.md"):
        check(tmp_path)


def refused(tree: Path, path: Path) -> None:
    """Both verbs refuse a document in one sentence that names it, and leave the other as it is."""
    other = tree / "README.md" if path.name != "README.md" else tree / "docs" / "b.md"
    before = other.read_bytes()
    for act in (check, render):
        with pytest.raises(UserError) as caught:
            act(tree)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert other.read_bytes() == before


@pytest.mark.parametrize("name", ["README.md", "docs/b.md", "docs/deeper/c.md"])
def test_a_document_that_is_not_utf_8_is_refused(name: str, tree: Path) -> None:
    path = tree / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"# caf\xe9\n")
    refused(tree, path)


@pytest.mark.parametrize("name", ["README.md", "docs/b.md", "docs/c.md"])
def test_a_page_that_is_a_folder_is_refused(name: str, tree: Path) -> None:
    (tree / name).unlink(missing_ok=True)
    (tree / name).mkdir()
    refused(tree, tree / name)


@pytest.mark.parametrize("target", ["nowhere.md", "c.md"], ids=["dead", "to itself"])
def test_a_page_that_leads_nowhere_is_refused(target: str, tree: Path) -> None:
    (tree / "docs" / "c.md").symlink_to(target)
    refused(tree, tree / "docs" / "c.md")


def test_a_readme_that_leads_nowhere_is_refused(tree: Path) -> None:
    (tree / "README.md").unlink()
    (tree / "README.md").symlink_to("nowhere.md")
    refused(tree, tree / "README.md")


def test_a_document_that_cannot_be_read_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def forbidden(path: Path, *args: object, **kwargs: object) -> str:
        if path.name == "b.md":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", forbidden)
    refused(tree, tree / "docs" / "b.md")


def test_a_document_that_is_read_only_is_refused_and_none_is_changed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "b.md" and access(path, mode))
    before = (tree / "README.md").read_bytes()
    with pytest.raises(UserError, match=r"b\.md: got a document that is read-only"):
        render(tree)
    assert (tree / "README.md").read_bytes() == before


def test_a_linked_document_stays_a_link(tree: Path) -> None:
    (tree / "README.md").rename(tree / "elsewhere.md")
    (tree / "README.md").symlink_to("elsewhere.md")
    render(tree)
    assert (tree / "README.md").is_symlink()
    assert "97.6" in (tree / "elsewhere.md").read_text()


def test_a_folder_of_results_that_is_a_file_is_refused(tree: Path) -> None:
    shutil.rmtree(tree / "results" / "main")
    (tree / "results" / "main").write_text("")
    with pytest.raises(UserError, match="a folder of results"):
        render(tree)


def test_an_error_in_the_last_document_leaves_the_first(tree: Path) -> None:
    before = (tree / "README.md").read_bytes()
    (tree / "docs" / "b.md").write_text("<!-- table:main -->\n")
    with pytest.raises(UserError, match=r"b\.md"):
        render(tree)
    assert (tree / "README.md").read_bytes() == before
