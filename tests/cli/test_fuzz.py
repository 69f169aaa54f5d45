"""Numbers, names and paths that nobody means: each is refused in one sentence, before anything is computed."""

from pathlib import Path

import pytest
from tests.papers.drawn import PLACE, drawn

from fastslow.cli import evaluate, train

LONG = "x" * 5000
HUGE = str(10**30)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def nothing_is_computed(monkeypatch):
    for module, name in ((train, "train"), (train, "run_main"), (train, "measure"), (evaluate, "measure")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("computed"))


@pytest.mark.parametrize("number", [HUGE, f"-{HUGE}", "0", "1"])
@pytest.mark.parametrize("words", [("train", "smoke"), ("train",), ("evaluate", "characters")], ids=" ".join)
def test_a_number_of_test_episodes_has_bounds(words, number, call, nothing_is_computed):
    ended = call(*words, "--episodes", number)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith("fastslow: --episodes: got ")


@pytest.mark.parametrize("number", [HUGE, f"-{HUGE}", "3000000000"])
@pytest.mark.parametrize(
    "flag", ["--steps", "--seeds", "--training.batch", "--training.log-every", "--optimizer.warmup"]
)
def test_a_number_of_a_training_has_bounds(flag, number, call, nothing_is_computed):
    ended = call("train", "smoke", flag, number)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(f"fastslow: {flag}: got ") or ended.err.startswith("fastslow: --training.steps: got ")


@pytest.mark.parametrize("number", [HUGE, "1000000000"])
@pytest.mark.parametrize("flag", ["--classes", "--examples"])
def test_numbers_of_other_streams_have_bounds(flag, number, call, nothing_is_computed, monkeypatch):
    monkeypatch.setattr(PLACE, drawn)
    ended = call("evaluate", "omniglot-stream", flag, number)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(f"fastslow: {flag}: got ")


@pytest.mark.parametrize(
    "words",
    [
        (LONG,),
        ("train", LONG),
        ("train", "smoke", "--out", LONG),
        ("train", "smoke", "--resume", "--out", LONG),
        ("train", "omniglot-5way-1shot", "--data", LONG),
        ("evaluate", LONG),
        ("plot", LONG),
        ("reproduce", LONG),
        ("reproduce", "fast-slow/main", "--out", LONG),
        ("report", "--root", LONG),
        ("results", "--root", LONG),
    ],
    ids=lambda words: " ".join(words).replace(LONG, "LONG"),
)
def test_a_name_of_five_thousand_letters_is_no_file(words, call):
    ended = call(*words)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert "Traceback" not in ended.err
    assert "xxx" in ended.err
    assert not any(Path().rglob("*.json"))


@pytest.mark.parametrize("text", ["a\0b", "a\udcffb"], ids=["NUL", "no UTF-8"])
@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "characters", "--row"),
        ("evaluate", "characters", "--experiment"),
        ("evaluate", "characters", "--out"),
        ("evaluate",),
        ("train", "smoke", "--out"),
        ("reproduce", "fast-slow/main", "--out"),
        ("plot",),
        (),
    ],
    ids=" ".join,
)
def test_text_that_no_file_can_hold_is_refused(words, text, call):
    ended = call(*words, text)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"fastslow: command line: got {text!r}, expected text in UTF-8 without the character NUL.\n"


@pytest.mark.parametrize("text", ["", "  ", "a\nb"])
@pytest.mark.parametrize("flag", ["--row", "--experiment"])
def test_names_of_rows_are_on_one_line(flag, text, call):
    ended = call("evaluate", "characters", flag, text)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(f"fastslow: {flag}: got {text!r}, expected a name on one line")


def test_a_word_in_another_script_is_readable(call):
    ended = call("train", "Größe-λ")
    assert ended.err.startswith("fastslow: preset: got 'Größe-λ', expected one of")
