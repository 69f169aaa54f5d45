"""Flags derived from configurations, and the mistakes one can make with them."""

import contextlib
import re
import warnings
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from fastslow._checks import Notice
from fastslow.cli import listing, mistakes
from fastslow.cli.choices import check_left, choose
from fastslow.cli.flags import _DESCRIPTION, read_flags, read_place, with_data
from fastslow.configs.json import to_json
from fastslow.configs.presets import PRESETS, SMOKE


def leaves(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        elif name != "kind":
            yield f"{prefix}{name}"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_a_learner(name):
    learner = PRESETS[name].config.build()
    state = jax.eval_shape(lambda: learner.init(key=jax.random.key(0)))
    network = getattr(state.params, "network", getattr(state.params, "model", state.params))
    outputs = {
        "maml-plus-plus-20way-1shot": 20,
        "maml-plus-plus-20way-5shot": 20,
        "gaussian-process": 2,
        "smoke-stream": 2,
        "paths": 100,
        "omniglot-stream": 25,
        "omniglot-20way-1shot": 20,
        "omniglot-20way-5shot": 20,
    }
    # decoders for any number of classes, and networks whose layers all take fast weights
    headless = {"main", "characters", "metanet-5way-5shot", "metanet-20way-1shot", "metanet-20way-5shot"}
    assert hasattr(network, "head") == (name not in headless)
    if name not in headless:
        assert network.head.linear.weight.shape[0] == outputs.get(name, 5)


@pytest.mark.parametrize("name", PRESETS)
def test_without_flags_a_preset_is_what_it_is(name):
    flags = read_flags([], name, PRESETS[name].config)
    assert flags.run_config(PRESETS[name].config) == PRESETS[name].config


@pytest.mark.parametrize("name", ["smoke", "omniglot-5way-1shot"])
def test_every_field_is_a_flag_and_the_kind_is_none(name, capsys):
    with pytest.raises(SystemExit) as end:
        read_flags(["--help"], name, PRESETS[name].config)
    told = capsys.readouterr().out
    assert end.value.code in (0, None)
    for field in leaves(to_json(PRESETS[name].config)):
        assert f"--{field.replace('_', '-')} " in told or f"--{field.replace('_', '-')}," in told
    assert "kind" not in told
    assert "[PRESET]" in told


def test_flags_change_what_they_name():
    config = PRESETS["omniglot-5way-1shot"].config
    flags = read_flags(
        [
            "--task.no-rotations",
            "--data",
            "there",
            "--optimizer.learning-rate",
            "5e-6",
            "--learner.statistics",
            "support",
        ],
        "omniglot-5way-1shot",
        config,
    )
    changed = replace(
        config,
        task=replace(config.task, rotations=False, data="there"),
        optimizer=replace(config.optimizer, learning_rate=5e-6),
        learner=replace(config.learner, statistics="support"),
    )
    assert flags.run_config(config) == changed


TYPED = re.findall(r"`(fastslow train --task[^`]*)`", (Path(__file__).parents[2] / "README.md").read_text())
TYPED += [line for line in _DESCRIPTION.splitlines() if line.startswith("fastslow train ") and "--resume" not in line]


@pytest.mark.parametrize("line", TYPED)
def test_what_the_help_and_the_readme_show_fits_together(line):
    place = read_place(line.split()[2:])
    config, left = choose(PRESETS[place.preset or "main"].config, place.flags)
    check_left(config, left)
    read_flags(left, place.preset or "main", config).run_config(config).build()


def test_a_short_flag_beside_another_value_of_its_long_form_is_refused():
    flags = read_flags(["--steps", "5", "--training.steps", "6"], "smoke", SMOKE)
    with pytest.raises(ValueError, match=r"--steps or --training.steps \(6\), but not both"):
        flags.run_config(SMOKE)


def test_data_for_generated_characters_is_refused():
    with pytest.raises(ValueError, match=r"^--data: got 'there', expected nothing"):
        with_data(SMOKE, Path("there"))


def test_the_place_is_read_among_other_flags():
    place = read_place(["smoke", "--task.way", "3", "--out", "x", "--json", "--resume"])
    assert (place.preset, place.out, place.resume, place.asks_for_help) == ("smoke", Path("x"), True, False)
    place = read_place(["--steps", "3", "-h"])
    assert (place.preset, place.out, place.resume, place.asks_for_help) == (None, None, False, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["frobnicate"], "verb: got 'frobnicate'"),
        (["train", "nothing"], "preset: got 'nothing', expected one of main"),
        (["train", "smoke", "--task.wya", "4"], "got '--task.wya', expected a flag of `fastslow train`; perhaps you"),
        (["train", "smoke", "--task.wya", "4"], "mean --task.way."),
        (["train", "smoke", "--regime=both"], "got '--regime', expected a flag of `fastslow train`; perhaps you mean"),
        (["plot", "run", "--quick"], "got '--quick', expected a flag of `fastslow plot`; see `fastslow plot --help`."),
        (["list", "all"], "got 'all', expected no further word there; see `fastslow list --help`."),
        (["train", "smoke", "--task.way", "many"], "--task.way: got 'many', expected an integer; see `fastslow train"),
        (
            ["train", "smoke", "--optimizer.learning_rate=0,1"],
            "--optimizer.learning-rate: got '0,1', expected a number",
        ),
        (["train", "--episodes", "x"], "--episodes: got 'x', expected an integer"),
        (["evaluate", "characters", "--classes", "5", "x"], "--classes: got '5 x', expected integers"),
        (["train", "smoke", "--steps"], "--steps: got nothing, expected an integer"),
        (["train", "smoke", "--out"], "--out: got nothing, expected a path"),
        (
            ["train", "smoke", "--learner.feedback.regime", "best"],
            "--learner.feedback.regime: got 'best', expected one",
        ),
        (["train", "smoke", "--steps", "0"], "fastslow: --steps: got 0"),
        (["train", "smoke", "--training.batch", "0"], "fastslow: --training.batch: got 0"),
        (["train", "smoke", "--optimizer.warmup", "9"], "fastslow: --optimizer.warmup: got 9, expected fewer updates"),
        (["train", "smoke", "--learner.feedback.regime", "both"], "fastslow: --learner.feedback.regression: got 0.0"),
        (["train", "--steps", "3", "smoke"], "got 'smoke', expected a preset only as the first word after `fastslow"),
        (["train", "omniglot-5way-1shot", "--data", "nowhere"], "fastslow: --data: got 'nowhere', expected a folder"),
        (["evaluate", "characters", "--data", "nowhere"], "fastslow: --data: got 'nowhere', expected a folder that"),
        (["train", "smoke", "--resume", "--out", "no"], "--out: got 'no', expected the folder of a run, which holds"),
        (["reproduce", "fast-slow/main", "--resume", "--out", "no"], "--out: got 'no', expected a folder that exists"),
        (["train", "smoke", "--data", "here"], "--data: got 'here'"),
        (["train", "gaussian-process", "--data", "here"], "--data: got 'here', expected nothing, as task gaussian-"),
        (
            ["train", "smoke", "--learner", "in-context", "--learner.feedback.regime", "meta"],
            "regime meta with learner in-",
        ),
        (["evaluate"], "RUN|RELEASE: got nothing, expected a value; type `fastslow evaluate RUN|RELEASE`."),
        (["evaluate", "nowhere"], "nowhere"),
        (["plot", "nowhere"], "nowhere"),
        (["reproduce", "nothing"], "experiment: got 'nothing'"),
        (["reproduce", "fast-slow/main", "--budget", "huge"], "--budget"),
        (["report", "--root", "nowhere"], "fastslow: --root: got 'nowhere'"),
    ],
)
def test_a_mistake_is_told_and_ends_with_2(words, told, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call(*words)
    assert ended.code == 2
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert (ended.out, len(ended.err.splitlines())) == ("", 1)
    assert not any(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("verb", ["train", "evaluate", "reproduce", "results", "report", "list", "plot"])
def test_every_verb_explains_itself(verb, call):
    ended = call(verb, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"usage: fastslow {verb}" in ended.out
    assert "Example" in ended.out or verb == "list"
    assert verb in call("--help").out


def test_without_the_hook_of_tyro_its_box_is_printed(call, monkeypatch):
    """The hook is private: another release of tyro may not have it."""
    monkeypatch.setattr(mistakes, "_errors", None)
    ended = call("list", "all")
    assert (ended.code, ended.out) == (2, "")
    assert "all" in ended.err


@pytest.mark.parametrize("category", [Notice, UserWarning])
def test_a_notice_is_a_sentence_and_a_warning_is_one(category, call, monkeypatch):
    def run(argv):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("The cache is full.", category, stacklevel=1)
        return 0

    monkeypatch.setattr(listing, "run", run)
    with contextlib.nullcontext() if category is Notice else pytest.warns(UserWarning, match="The cache is full."):
        ended = call("list")
    assert ended.err == ("The cache is full.\n" if category is Notice else "")
