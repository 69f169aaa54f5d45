"""`fastslow results`: what was recorded, and the tables of results in the terminal."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.results.rows import ROW

from fastslow.cli.console import show
from fastslow.cli.tables import results_table
from fastslow.results.row import read_rows, write_rows

LOG = replace(
    ROW,
    experiment="mann/figure6",
    row="MANN",
    metric="log likelihood",
    unit="nats",
    axis={"seen": 20},
    value=-0.5,
    ci95=(-0.6, -0.4),
    chance=None,
)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with the results of two experiments, one of them in two files."""
    write_rows(
        tmp_path / "results" / "main" / "laptop.json",
        [replace(ROW, paper_value=0.99, ci95=(0.971, 0.982)), replace(ROW, row="b")],
    )
    write_rows(tmp_path / "results" / "mann" / "figure6" / "laptop.json", [LOG])
    write_rows(tmp_path / "results" / "mann" / "figure6" / "earlier" / "short.json", [replace(LOG, row="before")])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(text):
    return " ".join(text.split())


def test_every_row_is_printed_with_all_that_is_recorded(checkout, call):
    ended = call("results")
    assert (ended.code, ended.err) == (0, "")
    shown = words(ended.out)
    assert "main, from results/main/laptop.json" in shown
    assert "NMN + SG 97.6 % 97.1 % … 98.2 % 20.0 % 1,800 3 99.0 % -1.4" in shown
    assert "All rows: metric accuracy, protocol fine-tune, regime meta, transductive no" in shown
    assert "MANN -0.5 -0.6 … -0.4 – 1,800 3" in shown
    assert "before -0.5" in shown
    assert "metric log likelihood, seen 20 (nats)" in shown


@pytest.mark.parametrize(
    ("experiment", "rows"), [("main", ["NMN + SG", "b"]), ("mann", ["before", "MANN"]), ("mann/figure6", 2)]
)
def test_one_experiment_or_all_of_a_paper(experiment, rows, checkout, call, tmp_path):
    ended = call("results", experiment, "--json")
    assert (ended.code, ended.err) == (0, "")
    found = [row["row"] for row in json.loads(ended.out)]
    assert found == rows or len(found) == rows
    (tmp_path / "again.json").write_text(ended.out, encoding="utf-8")
    assert [row.row for row in read_rows(tmp_path / "again.json")] == found


def test_all_rows_as_json(checkout, call):
    assert len(json.loads(call("results", "--json").out)) == 4
    assert call("results", "--json", "--root", checkout).out == call("results", "--json").out


def test_an_experiment_without_results_is_refused(checkout, call):
    ended = call("results", "ma")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "fastslow: EXPERIMENT: got 'ma', expected one of main, mann/figure6.\n"


def test_outside_of_a_checkout_it_says_where_results_are(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("results")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("fastslow: --root: got '.', expected the repository's folder, which holds results/;")
    (tmp_path / "results").mkdir()
    ended = call("results", "--root", tmp_path)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("text", ["[", "[" * 100_000, '[{"value": 1' + 400 * "0" + "}]"], ids=["torn", "deep", "long"])
def test_a_broken_file_is_named_in_one_sentence(text, checkout, call):
    (checkout / "results" / "main" / "x.json").write_text(text)
    ended = call("results")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "results/main/x.json" in ended.err


def test_the_recorded_results_can_all_be_printed(root, call):
    ended = call("results", "--root", root)
    assert (ended.code, ended.err) == (0, "")


def test_it_does_not_wait_for_the_compiler(root):
    """What only prints imports no learner and no task."""
    code = (
        "import sys; from fastslow.cli.main import main; main(sys.argv[1:]); "
        "sys.exit(any(name.startswith(('fastslow.learners', 'fastslow.tasks')) for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "results", "--root", str(root)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_facts_that_differ_are_shown_and_names_are_no_markup(capsys):
    rows = [replace(ROW, row="[bold]a[/bold]"), replace(ROW, row="b", facts={**ROW.facts, "transductive": True})]
    show(results_table(rows))
    out = words(capsys.readouterr().out)
    assert "[bold]a[/bold]" in out
    assert "seeds transductive" in out
    assert "1,800 3 no b" in out
    assert "1,800 3 yes" in out
    assert out.endswith("All rows: metric accuracy, protocol fine-tune, regime meta")


def test_several_facts_that_differ_share_a_column_and_some_rows_have_none(capsys):
    rows = [replace(ROW, facts={"regime": "meta", "updates": 4000, "protocol": "fine-tune"}), replace(ROW, row="b")]
    rows += [replace(ROW, row="c", facts={"regime": "true"})]
    show(results_table([*rows[:1], replace(rows[1], facts={"regime": "true", "updates": 20}), rows[2]]))
    out = words(capsys.readouterr().out)
    assert "seeds facts" in out
    assert "3 regime meta, updates 4,000" in out
    assert "3 regime true, updates 20 c" in out
    assert out.endswith("All rows: metric accuracy Where it applies: protocol fine-tune")


def test_a_column_says_which_metric_where_there_are_several(capsys):
    rows = [replace(ROW, axis={"instance": k}) for k in (1, 2)]
    show(results_table(rows))
    out = words(capsys.readouterr().out)
    assert "main accuracy measured" in out
    assert out.count("NMN + SG") == 1
    assert "NMN + SG instance 1 97.6 %" in out
    assert "instance 2 97.6 %" in out
    show(results_table([ROW, replace(LOG, axis={})]))
    out = words(capsys.readouterr().out)
    assert "metric measured" in out
    assert "NMN + SG accuracy 97.6 %" in out
    assert "MANN log likelihood (nats) -0.5" in out
