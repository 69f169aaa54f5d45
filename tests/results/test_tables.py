from dataclasses import replace
from pathlib import Path

import pytest

from fastslow._checks import UserError
from fastslow.results.row import ResultRow, write_rows
from fastslow.results.tables import check, render, table

ROW = ResultRow(
    experiment="main",
    row="NMN + SG",
    metric="accuracy",
    value=0.97649,
    ci95=(0.9745, 0.9785),
    chance=0.2,
    episodes=1800,
    seeds=(0, 1, 2),
    protocol="fine-tune",
    regime="meta",
    transductive=False,
    paper_value=None,
    config={},
    params_sha256=("0" * 64, "1" * 64, "2" * 64),
    data={"name": "glyphs", "split": "test", "sha256": None},
    commit=None,
    versions={"jax": "0.10.1"},
    hardware={"cpu": "x"},
    seconds=1.0,
)
PIXELS = replace(ROW, row="pixels", value=0.5, ci95=(0.49, 0.51), protocol=None, regime=None)


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


def test_table_in_full() -> None:
    rows = [replace(ROW, paper_value=0.99), replace(ROW, row="MAML", paper_value=0.9, transductive=True), PIXELS]
    assert table(rows) == (
        "|  | protocol | regime | transductive | measured, 95 % interval | paper | difference |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| NMN + SG | fine-tune | meta | no | 97.6 ± 0.2 | 99.0 | −1.4 |\n"
        "| MAML | fine-tune | meta | yes | 97.6 ± 0.2 | 90.0 | +7.6 |\n"
        "| pixels | – | – | no | 50.0 ± 1.0 | – | – |\n"
        "\n"
        "metric: accuracy, %; chance: 20.0; episodes: 1,800; seeds: 3; data: glyphs, test."
    )


@pytest.mark.parametrize(
    ("change", "title", "cell"),
    [
        ({"episodes": 60}, "episodes", "60"),
        ({"seeds": (0,), "params_sha256": ("0" * 64,)}, "seeds", "1"),
        ({"chance": 0.05}, "chance", "5.0"),
        ({"protocol": "bind"}, "protocol", "bind"),
        ({"regime": "both"}, "regime", "both"),
        ({"transductive": True}, "transductive", "yes"),
    ],
)
def test_a_setting_that_varies_is_a_column(change: dict[str, object], title: str, cell: str) -> None:
    def header(text: str) -> str:
        return text.splitlines()[0]

    assert title not in header(table([ROW, ROW]))
    varied = table([ROW, replace(ROW, **change)])
    assert f"| {title} |" in header(varied)
    assert f"| {cell} |" in varied.splitlines()[3]


def test_other_metrics_keep_their_unit() -> None:
    text = table([replace(ROW, metric="mse", value=0.012345, ci95=(0.012, 0.013), paper_value=0.01, chance=None)])
    assert "| 0.0123 ± 0.0007 | 0.0100 | +0.0023 |" in text
    assert "chance" not in text
    assert "| 1234 ± 12 |" in table([replace(ROW, metric="steps", value=1234.4, ci95=(1222.5, 1246.3))])


def test_a_lopsided_interval_shows_its_longer_side() -> None:
    assert "99.0 ± 2.0" in table([replace(ROW, value=0.99, ci95=(0.97, 1.0))])


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


@pytest.mark.parametrize(
    ("name", "told"),
    [
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
        with pytest.raises(UserError, match=r"b\.md: got .*, wanted 'NUMBER<!-- value:FILE; ROW; METRIC -->'"):
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
