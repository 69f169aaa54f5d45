"""Every task with every model and every learner: either it builds, or one sentence says why not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import jax
import pytest
from tests.configs.variants import check_shapes, members, named, variants
from tests.training.toy import blobs, softmax

from fastslow._checks import UserError
from fastslow.cells.base import AbstractCellConfig
from fastslow.cells.feedforward import FeedForwardConfig
from fastslow.cells.lstm import LSTMConfig
from fastslow.cells.mann import MANNConfig
from fastslow.configs.config import Config, read_config
from fastslow.configs.json import _by_kind, to_json
from fastslow.configs.members import CELLS, LEARNERS, MODELS, TASKS
from fastslow.configs.presets import PRESETS
from fastslow.configs.run import train
from fastslow.learners.base import AbstractLearnerConfig
from fastslow.learners.in_context import InContextConfig
from fastslow.learners.structure import structure
from fastslow.learners.supervised import SupervisedConfig
from fastslow.metrics import ACCURACY
from fastslow.models.flatten import FlattenConfig
from fastslow.models.network import NetworkConfig
from fastslow.optim.config import OptimizerConfig
from fastslow.results.measure import measure
from fastslow.tasks.base import AbstractTaskConfig, TaskSpec, TaskSplits
from fastslow.tasks.omniglot_stream import OmniglotStreamConfig
from fastslow.tasks.targets import Categorical
from fastslow.tasks.tracks import TracksConfig
from fastslow.training.config import TrainingConfig

EVERY = [variant for kind in (*TASKS, *MODELS, *LEARNERS, *members(OptimizerConfig)) for variant in variants(kind)]
ALL = [[variant for kind in union for variant in variants(kind)] for union in (TASKS, MODELS, LEARNERS)]
IN_CONTEXT = {"nmn": {"label_input": "input"}}
"""What a cell must be told to be shown labels, where it would ignore them."""


@pytest.mark.parametrize("member", EVERY, ids=named)
def test_a_member_comes_back_from_json(member: Any) -> None:
    place = {"task": TASKS, "model": MODELS, "learner": LEARNERS}
    name = next((name for name, union in place.items() if isinstance(member, union)), "optimizer")
    config = replace(Config(), **{name: member})
    data = to_json(config)
    assert data[name]["kind"] == member.kind
    assert read_config(data) == config
    with pytest.raises(UserError, match=rf"unknown field 'colour' @ \$\.{name}"):
        read_config({**data, name: {**data[name], "colour": 1}})
    for field, value in data[name].items():
        if type(value) in (int, float, bool):
            with pytest.raises(UserError, match=rf"got 'x', expected \w+ @ \$\.{name}\.{field}"):
                read_config({**data, name: {**data[name], field: "x"}})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_from_json(name: str) -> None:
    assert read_config(to_json(PRESETS[name].config)) == PRESETS[name].config


@pytest.mark.parametrize("union", ["task", "model", "learner", "optimizer", "model.cell", "model.embed"])
def test_a_kind_that_there_is_not_is_named(union: str) -> None:
    data = to_json(Config())
    inner = data
    for part in union.split("."):
        inner = inner[part]
    inner["kind"] = "nothing"
    with pytest.raises(UserError, match=rf"nothing.*{re.escape(union)}|{re.escape(union)}.*nothing") as raised:
        read_config(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("learner", ALL[2], ids=named)
@pytest.mark.parametrize("task", ALL[0], ids=named)
def test_whatever_is_combined_builds_or_is_refused_in_one_sentence(task: Any, learner: Any) -> None:
    built, refused = [], []
    for model in ALL[1]:
        try:
            built.append(Config(task, model, learner).build())
        except UserError as error:
            refused.append(str(error))
    assert [said for said in refused if not re.fullmatch(r"[^\n]+\.", said) or ". " in said] == []
    streams = learner.kind in ("supervised", "reconstruction", "online", "pair")
    numbered = learner.kind != "pretrained" or task.spec.train_classes is not None
    numbered &= not learner.any_way or task.spec.chance is not None
    axes = [metric.axis for metric in task.spec.metrics if metric.axis is not None]
    numbered &= learner.kind != "pair" or any(len(axis.labels) == 2 for axis in axes)
    assert bool(built) == (task.spec.episode == ("sequence" if streams else "few-shot") and numbered)


@pytest.mark.parametrize("cell", [cell for kind in CELLS for cell in variants(kind)], ids=named)
@pytest.mark.parametrize("task", ALL[0], ids=named)
def test_any_cell_learns_any_task(task: Any, cell: Any) -> None:
    """In context where there are support sets, step by step where there are sequences."""
    learners = {"few-shot": InContextConfig(), "sequence": SupervisedConfig()}
    cell = replace(cell, **IN_CONTEXT.get(cell.kind, {}))
    config = Config(task, NetworkConfig(FlattenConfig(), cell), learners[task.spec.episode])
    check_shapes(config.build(), task.spec)


@pytest.mark.parametrize(
    ("task", "model", "learner"),
    [
        (task, model, learner)
        for task, model, learner in product(*ALL)
        if task.kind in ("glyphs", "gaussian-process") and model.kind in ("network", "autoencoder")
        if {"few-shot": "fine-tune", "sequence": "reconstruction"}[task.spec.episode] == learner.kind
        if learner.kind == "reconstruction" or named(model).startswith("network(conv nmn")
        if (model.kind == "autoencoder") == (learner.kind == "reconstruction")
    ],
    ids=lambda member: named(member),
)
def test_the_other_learners_learn_what_fits_them(task: Any, model: Any, learner: Any) -> None:
    check_shapes(Config(task, model, learner).build(), task.spec)


@pytest.mark.parametrize(
    ("cell", "learner", "said"),
    [
        (
            LSTMConfig(),
            SupervisedConfig(persistent=True),
            "persistent: got True, expected False, as cell lstm has no memory to keep",
        ),
        (
            MANNConfig(FeedForwardConfig(), key_source="hidden"),
            SupervisedConfig(),
            "key_source: got 'hidden', expected cell, as a feed-forward controller",
        ),
    ],
    ids=["persistent", "key source"],
)
def test_choices_without_effect_are_refused(cell: Any, learner: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Config(OmniglotStreamConfig(), NetworkConfig(FlattenConfig(), cell), learner).build()


def test_a_memory_does_not_persist_where_the_number_of_classes_grows() -> None:
    task = OmniglotStreamConfig(classes=4, length=40, start=2)
    with pytest.raises(UserError, match="persistent: got True, expected False where episodes are padded"):
        Config(task, NetworkConfig(FlattenConfig(), MANNConfig()), SupervisedConfig(persistent=True)).build()


def with_huge(config: Any, size: int) -> Iterator[tuple[str, Any]]:
    """A configuration, once for each whole number in it, which then is huge."""
    for field in fields(config):
        held = getattr(config, field.name)
        if type(held) is int:
            yield field.name, replace(config, **{field.name: size})
        elif is_dataclass(held):
            yield from ((name, replace(config, **{field.name: inner})) for name, inner in with_huge(held, size))


def build_with(kind: type, huge: Any) -> None:
    """Builds what can be built of a member without data."""
    plain = NetworkConfig(FlattenConfig(), LSTMConfig(3))
    if issubclass(kind, TASKS):
        learner = {"few-shot": InContextConfig(), "sequence": SupervisedConfig()}[kind().spec.episode]
        Config(huge, plain, learner).build()
        huge.build()
    elif issubclass(kind, MODELS):
        spec = TracksConfig().spec if "path" in huge.kind else Config().task.spec
        structure(huge, replace(spec, shape=(), tokens=7) if "lookup" in named(huge) else spec)
    else:
        Config(learner=huge).build()


@pytest.mark.parametrize("size", [10**9, 10**30], ids=["10 digits", "31 digits"])
@pytest.mark.parametrize("member", [*ALL[0], *ALL[1], *ALL[2]], ids=named)
def test_a_number_too_large_is_refused_before_anything_is_computed(
    member: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTSLOW_DATA", "nowhere")
    for name, huge in with_huge(member, size):
        if (name, size) in {("start", size), ("grow_every", 10**9)}:  # at most the classes; 32 bits hold a milliard
            continue
        with pytest.raises(UserError) as raised:
            build_with(type(member), huge)
        said = rf"{name}(_size)?: got (1000000000|an integer of about 31 digits), expected [^\n]+\."
        assert re.fullmatch(said, str(raised.value))


@dataclass(frozen=True)
class BlobsConfig(AbstractTaskConfig):
    """A task of one's own."""

    noise: float = 0.5
    kind: Literal["blobs"] = "blobs"

    @property
    def spec(self) -> TaskSpec:
        return TaskSpec(self.kind, "few-shot", (4,), Categorical(3), label=3, metrics=(ACCURACY,))

    def build(self) -> TaskSplits:
        parts = (blobs(self.noise),) * 3
        return TaskSplits(*parts, "blobs", "none", "0" * 64, "draws-sha256")


@dataclass(frozen=True)
class SoftmaxConfig(AbstractLearnerConfig):
    """A learner of one's own, which has its own model."""

    kind: Literal["softmax"] = "softmax"

    @property
    def facts(self) -> dict[str, str]:
        return {"protocol": "none"}

    def build(self, model: Any, spec: TaskSpec, optimizer: Any, *, batch: int) -> Any:
        spec.require("few-shot", self.kind)
        return softmax()


def test_members_of_ones_own_train_and_are_measured(tmp_path: Path) -> None:
    training = TrainingConfig(steps=4, batch=2, log_every=2, validate_every=4, validation_episodes=4)
    config = Config(BlobsConfig(noise=0.25), learner=SoftmaxConfig(), training=training)
    (row,) = measure(train(config, tmp_path / "run"), experiment="own", row="softmax", episodes=10)
    assert (row.facts, row.chance) == ({"protocol": "none", "updates": 4}, 1 / 3)
    assert row.config["task"] == {"noise": 0.25, "kind": "blobs"}
    with pytest.raises(UserError, match="blobs"):
        read_config(row.config)


@dataclass(frozen=True)
class EchoConfig(AbstractCellConfig):
    """A cell of one's own, inside of the library's model and learner."""

    kind: Literal["echo"] = "echo"

    def build(self, features: int, label: int, *, key: Any) -> Any:
        return LSTMConfig(hidden=3).build(features, label, key=key)


def test_a_cell_of_ones_own_fits_into_the_librarys_model() -> None:
    config = Config(OmniglotStreamConfig(), NetworkConfig(FlattenConfig(), EchoConfig()), SupervisedConfig())
    learner = config.build()
    state = jax.eval_shape(lambda: learner.init(key=jax.random.key(0)))
    assert state.params.head.linear.weight.shape == (5, 3)


def test_a_member_whose_kind_is_no_literal_is_refused_where_it_is_registered() -> None:
    @dataclass(frozen=True)
    class Odd:
        kind: str = "odd"

    with pytest.raises(TypeError, match="Odd: kind is of type"):
        _by_kind((Odd,))
