import json
import math
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tests.results.rows import ROW

from fastslow._checks import UserError
from fastslow.results.row import ResultRow, read_rows, write_rows

CONTRACT = (
    "experiment row metric unit axis value ci95 chance episodes seeds paper_value facts config params_digest data "
    "commit versions hardware seconds"
)
DATA, DIGESTS = ROW.data, ["0" * 64, "1" * 64, "a" * 64]
SERIES = {"accuracy": {"steps": [10, 20], "values": [[0.1, 0.5], [None, 0.6], [0.2, 0.7]]}}


def nested(levels: int) -> Any:
    """A list within a list within …"""
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


def stored(path: Path, **changes: Any) -> Path:
    """A file with one row, as someone's editor may have left it."""
    write_rows(path, [ROW])
    (row,) = json.loads(path.read_text())
    path.write_text(json.dumps([row | changes]))
    return path


@pytest.mark.smoke
def test_fields_are_those_that_others_rely_on() -> None:
    assert [field.name for field in fields(ResultRow)] == [*CONTRACT.split(), "series"]


@pytest.mark.smoke
def test_rows_survive_the_file(tmp_path: Path) -> None:
    rows = [
        ROW,
        replace(ROW, row="pixels", facts={}, chance=None, commit=None, data={**DATA, "digest": None, "scheme": None}),
        replace(ROW, axis={"instance": 2, "task": "two facts"}, facts={"rate": 0.1, "steps": 5, "order": None}),
        replace(ROW, series=SERIES),
    ]
    write_rows(tmp_path / "new" / "main.json", rows)
    assert read_rows(tmp_path / "new" / "main.json") == rows


def test_file_is_plain_json_in_the_order_of_the_contract(tmp_path: Path) -> None:
    write_rows(tmp_path / "main.json", [ROW])
    (row,) = json.loads((tmp_path / "main.json").read_text())
    assert list(row) == CONTRACT.split()
    assert row["ci95"] == [0.9745, 0.9785]
    assert row["seeds"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("field", "came"),
    [
        ("experiment", ""),
        ("row", 3),
        ("metric", None),
        ("value", "0.976"),
        ("value", True),
        ("value", 97.6),
        ("value", 0.99),  # outside its interval
        ("ci95", [0.978, 0.974]),
        ("ci95", [0.974]),
        ("ci95", [0.974, None]),
        ("ci95", 0.974),
        ("chance", 20),
        ("episodes", 0),
        ("episodes", 600.0),
        ("seeds", []),
        ("seeds", [0, 0, 1]),
        ("seeds", 3),
        ("seeds", [0, 1]),  # three checksums
        ("unit", ""),
        ("axis", None),
        ("axis", {"instance": 1.5}),
        ("axis", {"instance": [1]}),
        ("axis", {"": 1}),
        ("facts", []),
        ("facts", {"protocol": ["fine-tune"]}),
        ("facts", {"learner": {"steps": 5}}),
        ("paper_value", 99.0),
        ("config", []),
        ("params_digest", ["0" * 64]),
        ("params_digest", {"scheme": "names-sha256", "values": []}),
        ("params_digest", {"scheme": "names-sha256", "values": ["0" * 64]}),  # three seeds
        ("params_digest", {"scheme": "names-sha256", "values": ["0" * 64, "1" * 64, "z" * 64]}),
        ("params_digest", {"scheme": "names", "values": DIGESTS}),
        ("params_digest", {"scheme": None, "values": DIGESTS}),
        ("params_digest", {"values": DIGESTS}),
        ("data", {"name": "omniglot", "split": "x"}),
        ("data", {**DATA, "digest": "f"}),
        ("data", {**DATA, "digest": None}),
        ("data", {**DATA, "scheme": None}),
        ("data", {**DATA, "licence": "MIT"}),
        ("series", {}),
        ("series", {"accuracy": [1, 2]}),
        ("series", {"accuracy": {"steps": [1, 2], "values": [[0, 1]]}}),  # three seeds
        ("series", {"accuracy": {"steps": [1, 2], "values": [[0, 1], [0, 1], [0]]}}),
        ("series", {"accuracy": {"steps": [2, 1], "values": [[0, 1], [0, 1], [0, 1]]}}),
        ("commit", "HEAD"),
        ("versions", {}),
        ("versions", {"jax": 10}),
        ("hardware", "laptop"),
        ("seconds", -1.0),
    ],
)
def test_a_wrong_field_is_named(field: str, came: Any, tmp_path: Path) -> None:
    path = stored(tmp_path / "main.json", **{field: came})
    with pytest.raises(UserError, match=r"main\.json, row 0: (\w+): got") as caught:
        read_rows(path)
    assert field in str(caught.value)


def test_whole_numbers_without_a_point_are_read(tmp_path: Path) -> None:
    path = stored(tmp_path / "main.json", value=1, ci95=[1, 1], chance=0, paper_value=1, seconds=3)
    assert read_rows(path)[0] == replace(ROW, value=1.0, ci95=(1.0, 1.0), chance=0.0, paper_value=1.0, seconds=3.0)


def test_an_unknown_and_a_missing_field_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="note"):
        read_rows(stored(tmp_path / "main.json", note="x"))
    path = tmp_path / "main.json"
    (row,) = json.loads(stored(path).read_text())
    del row["facts"]
    path.write_text(json.dumps([row]))
    with pytest.raises(UserError, match="'facts'"):
        read_rows(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "{}",
        "[1]",
        "\xff",
        "[" * 100_000,
        '[{"a": ' * 50_000,
        '[{"experiment": NaN}]',
        '[{"seconds": 1e999}]',
        '[{"seconds": 1' + 5000 * "0" + "}]",
        '[{"seconds": 1, "seconds": 2}]',
    ],
    ids=["empty", "torn", "object", "number", "latin-1", "deep", "deeper", "NaN", "1e999", "5,001 digits", "twice"],
)
def test_what_is_no_result_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "main.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"main\.json") as caught:
        read_rows(tmp_path / "main.json")
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


LARGE = [
    "value",
    "chance",
    "paper_value",
    "seconds",
    "episodes",
    "seeds",
    "ci95",
    "axis",
    "facts",
    "config",
    "hardware",
]


@pytest.mark.parametrize("field", LARGE)
def test_a_number_beyond_all_floats_is_refused_in_one_sentence(field: str, tmp_path: Path) -> None:
    large = 10**400
    wrong = {"seeds": [large, 0, 1], "ci95": [0.9, large]}.get(
        field, {"n": large} if field in ("axis", "facts", "config", "hardware") else large
    )
    path = stored(tmp_path / "main.json", **{field: wrong})
    with pytest.raises(UserError, match=rf"main\.json, row 0: {field}: got") as caught:
        read_rows(path)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("config", [nested(100), nested(900)], ids=["100 levels", "900 levels"])
def test_a_configuration_that_is_nested_deeply_is_refused(config: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config: got"):
        replace(ROW, config={"a": config})
    with pytest.raises(UserError, match=r"config: got"):
        read_rows(stored(tmp_path / "main.json", config={"a": config}))


@pytest.mark.parametrize(
    "text", ["a\nb", "half a pair \ud800", "\x00", "  "], ids=["lines", "surrogate", "null", "blank"]
)
@pytest.mark.parametrize("field", ["experiment", "row", "metric", "unit"])
def test_a_name_that_no_table_can_show_is_refused(field: str, text: str) -> None:
    with pytest.raises(UserError, match=f"{field}: got"):
        replace(ROW, **{field: text})


def test_text_that_no_file_can_hold_is_refused() -> None:
    for field in ("config", "hardware"):
        with pytest.raises(UserError, match=f"{field}: got"):
            replace(ROW, **{field: {"a": "half a pair \ud800"}})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_rows(tmp_path / "main.json")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_makes_no_row(value: float) -> None:
    with pytest.raises(UserError, match="value"):
        replace(ROW, value=value, unit="1")


def test_the_unit_alone_says_what_is_a_share() -> None:
    other = {"value": 3.2, "ci95": (3.0, 3.4), "chance": None, "paper_value": 5.0}
    assert replace(ROW, metric="accuracy", unit="1", **other).value == 3.2
    with pytest.raises(UserError, match=r"value: got 3\.2, expected a share"):
        replace(ROW, metric="mse", unit="share", **other)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "main.json"
    write_rows(path, [ROW])
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full"):
        write_rows(path, [ROW, ROW])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["main.json"]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_rows(tmp_path / "results" / "main.json", [ROW])
