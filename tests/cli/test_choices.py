"""Parts of a configuration chosen by name: `--task KIND`, `--model.cell KIND`, and the flags that they bring."""

import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from fastslow.cells.mann import MANNConfig
from fastslow.cli import train
from fastslow.cli.choices import choices, choose
from fastslow.configs.config import Config, read_config
from fastslow.configs.members import LEARNERS, MODELS, TASKS
from fastslow.configs.presets import PRESETS, SMOKE
from fastslow.learners.in_context import InContextConfig
from fastslow.memory.ntm import NTMConfig
from fastslow.models.network import NetworkConfig
from fastslow.results.row import read_rows
from fastslow.tasks.omniglot import OmniglotConfig
from fastslow.training.folder import read_json

NTM = Config(model=NetworkConfig(cell=MANNConfig(memory=NTMConfig())))


@pytest.mark.parametrize(
    ("argv", "chosen", "left"),
    [
        ("", Config(), ""),
        ("--task omniglot --steps 3", Config(task=OmniglotConfig()), "--steps 3"),
        ("--task=omniglot", Config(task=OmniglotConfig()), ""),
        ("--steps 3 --learner in-context --json", Config(learner=InContextConfig()), "--steps 3 --json"),
        ("--model.cell mann --model.cell.memory ntm", NTM, ""),
        ("--model.cell.memory ntm --model.cell mann", NTM, ""),
        ("--model.cell.memory=ntm --model.cell=mann", NTM, ""),
        ("--task omniglot --task glyphs", Config(), ""),
        ("--model network --learner fine-tune", Config(), ""),
        ("task omniglot xxtask omniglot", Config(), "task omniglot xxtask omniglot"),
    ],
)
def test_members_are_chosen_outer_ones_first(argv, chosen, left):
    assert choose(Config(), argv.split()) == (chosen, left.split())


def test_a_member_that_is_there_keeps_its_settings():
    assert choose(SMOKE, ["--model.cell", "nmn", "--task", "glyphs"]) == (SMOKE, [])
    assert choose(SMOKE, ["--task", "omniglot"])[0] == replace(SMOKE, task=OmniglotConfig())


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("--task nothing", "--task: got 'nothing', expected one of glyphs, omniglot"),
        ("--task", "--task: got '', expected one of glyphs"),
        ("--task= omniglot", "--task: got '', expected one of glyphs"),
        ("--model.cell.memory ntm", "--model.cell.memory: got 'ntm', expected one of soft, key-value"),
        (
            "--model.cell lstm --model.cell.memory ntm",
            "--model.cell.memory: got 'ntm', expected nothing, as model.cell lstm has no memory; choose --model.cell",
        ),
        (
            "--model.cell=lstm --model.cell.width=3",
            "--model.cell.width: got '3', expected nothing, as model.cell lstm has no width; choose --model.cell nmn.",
        ),
        (
            "--model classifier --model.cell nmn",
            "--model.cell: got 'nmn', expected nothing, as model classifier has no",
        ),
        (
            "--task.no-rotations",
            "--task.no-rotations: got '', expected nothing, as task glyphs has no rotations; choose",
        ),
        (
            "--task gaussian-process",
            (
                "--learner: got 'fine-tune', expected one for sequence episodes, which task gaussian-process has; "
                "choose --learner supervised or reconstruction or online."
            ),
        ),
        (
            "--task gaussian-process --learner supervised",
            (
                "--model.embed: got 'conv', expected flatten or lookup, as task gaussian-process has no square images; "
                "choose --model.embed flatten."
            ),
        ),
        ("--learner prototypes", "--model: got 'network', expected one such as embedder, as learner prototypes uses"),
        ("--model.cell mann", "--model.cell: got 'mann', expected a cell with controllers, such as nmn, for learner"),
        (
            "--task.train-way 3",
            (
                "--task.train-way: got 3, expected none for learner fine-tune, which is bound to one number of "
                "classes; choose --learner prototypes or fast-slow or matching."
            ),
        ),
    ],
)
def test_a_choice_that_there_is_not_is_named(argv, said, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("train", "smoke", *argv.split())
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(f"fastslow: {said}")
    assert not any(Path("runs").glob("*"))


@pytest.mark.parametrize(("union", "members"), [("task", TASKS), ("model", MODELS), ("learner", LEARNERS)])
def test_the_help_shows_the_flags_of_what_is_chosen(union, members, call):
    for member in members:
        ended = call("train", f"--{union}", member().kind, "--help")
        assert (ended.code, ended.err) == (0, "")
        flags = ended.out.partition("The flags below")[2]
        for other in members:
            for name in (field.name for field in fields(other)):
                if name != "kind" and not hasattr(getattr(other(), name), "kind") and name != "feedback":
                    is_shown = re.search(rf"--{union}\.{name.replace('_', '-')}[ ,]", flags) is not None
                    assert is_shown == (name in {field.name for field in fields(member)}), name
        assert f"--{union} {member().kind}|" in ended.out


def test_the_help_names_every_choice(call):
    for words in (("main",), ("smoke-stream",), ("smoke", "--model.cell", "mann")):
        out = call("train", *words, "--help").out
        config = choose(PRESETS[words[0]].config, words[1:])[0]
        for choice in choices(config):
            assert f"--{choice.path} {choice.chosen}" in out
            assert set(choice.members) <= set(out.replace("|", " ").split())


CHOSEN = ("--task", "omniglot", "--learner", "in-context", "--model", "network", "--model.cell", "mann")


def test_chosen_parts_without_a_preset_are_a_training_of_their_own(call, tmp_path, monkeypatch):
    """The main job would train another network beside it, on characters that it generates."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run_main", lambda *_, **__: pytest.fail("the main job"))
    seen = []
    monkeypatch.setattr(train, "train", lambda config, out, **_: seen.append((config, out)) or 1 / 0)
    call("train", *CHOSEN)
    call("train", "smoke", *CHOSEN)
    parts = {"task": OmniglotConfig(), "learner": InContextConfig()}
    main, smoke = (
        replace(config, **parts, model=replace(model, cell=MANNConfig()))
        for config, model in ((PRESETS["main"].config, NetworkConfig()), (SMOKE, SMOKE.model))
    )
    assert seen == [(main, Path("runs/custom-001")), (smoke, Path("runs/custom-002"))]


def test_a_run_of_chosen_parts_is_called_custom_and_can_be_resumed(call, toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--learner", "in-context", "--model.cell", "lstm")
    ended = call("train", "smoke", *words, "--model.cell.hidden", 4, "--episodes", 4)
    assert ended.code == 0, ended.err
    folder = Path("runs/custom-001")
    assert ended.out.splitlines()[-1] == f"{folder}/result.json"
    own, _ = read_rows(folder / "result.json")
    assert (own.experiment, own.row, own.episodes) == ("custom", "lstm, in-context, regime true", 4)
    config = read_config(read_json(folder / "config.json"))
    assert (config.model.cell.hidden, config.learner) == (4, InContextConfig())
    before = (folder / "result.json").read_bytes()
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained again"))
    for again in (("custom",), ("smoke", *words), words, ("smoke", "--out", folder, *words), ("--out", folder)):
        ended = call("train", *again, "--resume")
        assert ended.code == 0, ended.err
    assert (folder / "result.json").read_bytes() == before
    for other, said in (
        (("smoke",), "preset: got 'smoke', expected custom"),
        (("--learner", "fine-tune"), "--learner: got 'fine-tune', expected in-context, as in"),
        (("--model.cell.hidden", 5), "--model.cell.hidden: got 5, expected 4 as in"),
    ):
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        ended = call("train", *other, "--resume", "--out", folder)
        assert (ended.code, said in ended.err) == (2, True), ended.err
    shutil.rmtree("runs")


def test_an_empty_preset_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("train", "")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("fastslow: preset: got '', expected one of main")
    assert not Path("runs").exists()
