from dataclasses import replace

import pytest
from tests.results.rows import ROW

from fastslow.results.row import ResultRow
from fastslow.results.tables import ordinal, table

PIXELS = replace(ROW, row="pixels", value=0.5, ci95=(0.49, 0.51), facts={"transductive": False})


def header(text: str) -> str:
    return text.splitlines()[0]


def at(axis: dict[str, int | str], value: float, row: ResultRow = ROW) -> ResultRow:
    """The row at a place of its axis, ± 1 point."""
    return replace(row, axis=axis, value=value, ci95=(value - 0.01, value + 0.01))


def test_table_in_full() -> None:
    maml = {**ROW.facts, "transductive": True}
    rows = [replace(ROW, paper_value=0.99), replace(ROW, row="MAML", paper_value=0.9, facts=maml), PIXELS]
    assert table(rows) == (
        "|  | transductive | measured, 95 % interval | paper | difference |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| NMN + SG | no | 97.6 ± 0.2 | 99.0 | −1.4 |\n"
        "| MAML | yes | 97.6 ± 0.2 | 90.0 | +7.6 |\n"
        "| pixels | no | 50.0 ± 1.0 | – | – |\n"
        "\n"
        "Metric: accuracy, %.\n"
        "All rows: chance: 20.0; episodes: 1,800; seeds: 3; data: omniglot, omniglot_1200_423.\n"
        "Where they apply: protocol: fine-tune; regime: meta."
    )


@pytest.mark.parametrize(
    ("change", "title", "cell"),
    [
        ({"episodes": 60}, "episodes", "60"),
        ({"seeds": (0,), "params_digest": {"scheme": "names-sha256", "values": ["0" * 64]}}, "seeds", "1"),
        ({"chance": 0.05}, "chance", "5.0"),
        ({"facts": {**ROW.facts, "protocol": "in-context"}}, "protocol", "in-context"),
        ({"facts": {**ROW.facts, "regime": "both"}}, "regime", "both"),
        ({"facts": {**ROW.facts, "transductive": True}}, "transductive", "yes"),
        ({"facts": {**ROW.facts, "protocol": "a|b"}}, "protocol", r"a\|b"),
        ({"data": {**ROW.data, "split": "other"}}, "data", "omniglot, other"),
    ],
)
def test_a_setting_that_varies_is_a_column(change: dict[str, object], title: str, cell: str) -> None:
    assert title not in header(table([ROW, ROW]))
    varied = table([ROW, replace(ROW, **change)])
    assert f"| {title} |" in header(varied)
    assert f"| {cell} |" in varied.splitlines()[3]
    assert f"{title}:" not in varied


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (False, "no"), (20_000, "20,000"), (0.1, "0.1"), ("in-context", "in-context")],
)
def test_a_fact_that_all_rows_share_is_said_once(value: str | float | bool, text: str) -> None:
    rows = [replace(ROW, row=name, facts={"fact": value}) for name in ("a", "b")]
    assert f"All rows: fact: {text}; chance: 20.0" in table(rows)
    assert "fact" not in header(table(rows))


def test_a_fact_that_is_null_is_no_fact() -> None:
    assert "order" not in table([replace(ROW, facts={"order": None})])
    assert "Where they apply: order: rising." in table(
        [replace(ROW, facts={"order": None}), replace(ROW, row="b", facts={"order": "rising"})]
    )


def test_other_units_keep_their_digits() -> None:
    mse = {"metric": "mse", "unit": "1", "chance": None}
    text = table([replace(ROW, value=0.012345, ci95=(0.012, 0.013), paper_value=0.01, **mse)])
    assert "| 0.0123 ± 0.0007 | 0.0100 | +0.0023 |" in text
    assert "Metric: mse." in text
    assert "chance" not in text
    nats = replace(ROW, value=1234.4, ci95=(1222.5, 1246.3), metric="loss", unit="nats", chance=None)
    assert "| 1234 ± 12 |" in table([nats])
    assert "Metric: loss, nats." in table([nats])


def test_the_unit_and_not_the_name_decides_on_percent() -> None:
    assert "| 97.6 ± 0.2 |" in table([replace(ROW, metric="overlap")])
    assert "| 0.976 ± 0.002 |" in table([replace(ROW, unit="1")])


def test_a_lopsided_interval_shows_its_longer_side() -> None:
    assert "99.0 ± 2.0" in table([replace(ROW, value=0.99, ci95=(0.97, 1.0))])


def test_instances_are_columns_under_ordinals() -> None:
    two = replace(ROW, row="LSTM", paper_value=0.5)
    rows = [at({"instance": 1}, 0.3), at({"instance": 10}, 0.9), at({"instance": 1}, 0.4, two)]
    assert table(rows) == (
        "|  | 1st | 10th |\n"
        "| --- | --- | --- |\n"
        "| NMN + SG | 30.0 ± 1.0 | 90.0 ± 1.0 |\n"
        "| LSTM | 40.0 ± 1.0 (paper 50.0, −10.0) | – |\n"
        "\n"
        "Metric: accuracy, %, by instance: the 1st instance of a class is its first example in an episode; "
        "in brackets the paper's value and the difference.\n"
        "All rows: protocol: fine-tune; regime: meta; transductive: no; chance: 20.0; episodes: 1,800; seeds: 3; "
        "data: omniglot, omniglot_1200_423."
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (10, "10th"), (11, "11th"), (12, "12th"), (21, "21st")],
)
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text


def test_an_axis_that_nobody_foresaw_heads_its_columns_by_name_and_label() -> None:
    rows = [at({"task": name}, value) for name, value in (("two facts", 0.5), ("counting", 0.6))]
    assert header(table(rows)) == "|  | task two facts | task counting |"
    assert "Metric: accuracy, %, by task." in table(rows)
    assert "Metric: accuracy, task counting, %." in table(rows[1:])


def test_a_metric_with_and_without_its_axis() -> None:
    rows = [at({}, 0.5), at({"seen": 0}, 0.1), at({"seen": 20}, 0.6)]
    assert header(table(rows)) == "|  | all | after 0 | after 20 |"
    assert "by how many values were seen before; all: over whole episodes." in table(rows)


def test_several_metrics_are_named_in_their_columns() -> None:
    loss = replace(ROW, metric="loss", unit="nats", value=1.0, ci95=(0.9, 1.1), chance=None)
    text = table([ROW, replace(loss, axis={"instance": 1})])
    assert header(text) == "|  | accuracy, % | loss, nats, 1st |"
    assert "| NMN + SG | 97.6 ± 0.2 | 1.00 ± 0.10 |" in text
    assert "chance: 20.0" in text  # of the one metric that has any


def test_what_is_measured_again_has_a_line_of_its_own() -> None:
    text = table([at({"instance": 1}, 0.3), at({"instance": 2}, 0.4), at({"instance": 1}, 0.5)])
    assert text.splitlines()[2:4] == ["| NMN + SG | 30.0 ± 1.0 | 40.0 ± 1.0 |", "| NMN + SG | 50.0 ± 1.0 | – |"]


def test_a_name_with_a_bar_stays_in_its_cell() -> None:
    assert r"| a \| b |" in table([replace(ROW, row="a | b")])
