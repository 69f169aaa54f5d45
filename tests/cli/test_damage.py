"""Files of a run folder that were changed or deleted: one sentence, and nothing else is changed."""

import json
import shutil

import pytest


@pytest.mark.parametrize(
    "noted",
    [
        None,
        "",
        "[]",
        '{"preset": "smoke"}',
        '{"preset": "smoke", "episodes": 20}',
        '{"preset": "main", "episodes": 600}',
        '{"preset": "smoke", "episodes": true, "sha256": ""}',
        {"preset": "main"},
        {"episodes": 600},
        {"sha256": "0" * 64},
    ],
    ids=str,
)
def test_a_run_whose_notes_are_not_its_own_is_not_resumed(noted, copy, call):
    """Another preset or another number of test episodes would give another result without a word."""
    path = copy / "preset.json"
    whole = json.loads(path.read_text())
    path.unlink()
    if noted is not None:
        path.write_text(noted if isinstance(noted, str) else json.dumps({**whole, **noted}))
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    for words in (), ("smoke",), ("--episodes", 20):
        ended = call("train", *words, "--resume", "--out", copy)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
        assert "preset" in ended.err
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_the_newest_checkpoint_is_not_replaced_by_an_older_one_without_a_word(copy, call, toy):
    shutil.rmtree(copy / "checkpoints" / "4")
    for verb in "evaluate", "plot":
        ended = call(verb, copy)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
        assert "the checkpoint of step 4, which was saved last, is missing" in ended.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"junk", "line 1 is no report"),
        (b'{"step": 1}', "its seconds are no number"),
        (b'{"step": null, "seconds": 1}', "its step is no number"),
        (b'{"step": 1, "seconds": 1, "loss": ["x"]}', "its loss holds something else"),
        (b'{"step": 1, "seconds": 1, "loss": NaN}', "NaN is no JSON number"),
        (b"\xff\xfe", "line 1 is no report"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=["junk", "seconds", "step", "text", "nan", "bytes", "deep"],
)
@pytest.mark.parametrize("words", [("plot",), ("train", "--resume", "--steps", 6, "--out")], ids=["plot", "resume"])
def test_metrics_that_are_none_are_named(words, line, said, copy, call, toy):
    path = copy / "metrics.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    ended = call(*words, copy)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
