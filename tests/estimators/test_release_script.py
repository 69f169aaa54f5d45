"""A release is made from a run and the result of its evaluation, and its card's figures are the result's."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scripts.release import card, command, matching
from tests.estimators.test_paths import model

from fastslow._checks import UserError
from fastslow.configs.json import to_json
from fastslow.configs.presets import find_preset
from fastslow.results.row import ResultRow
from fastslow.training.fingerprint import SCHEME
from fastslow.zoo.saved import Saved, load


@pytest.fixture(scope="module")
def saved(tiny_model: Path) -> Saved:
    return load(tiny_model)


@pytest.fixture
def row(saved: Saved) -> ResultRow:
    return ResultRow(
        experiment="omniglot",
        row="NMN + SG",
        metric="accuracy",
        unit="share",
        axis={},
        value=0.97654,
        ci95=(0.97031, 0.98277),
        chance=0.2,
        episodes=1234,
        seeds=saved.seeds,
        paper_value=None,
        config=to_json(saved.config),
        facts={**saved.config.learner.facts, "updates": 4},
        params_digest={"scheme": SCHEME, "values": list(saved.digests)},
        data={"name": "glyphs", "split": "2**30 each", "digest": "0" * 64, "scheme": "draws-sha256"},
        commit=None,
        versions={"fastslow": "0.1.0", "jax": "0.10.1"},
        hardware={"cpu": "a processor", "cores": 2},
        seconds=60.0,
    )


def test_the_card_tells_what_was_measured(saved: Saved, row: ResultRow) -> None:
    text = card(saved, "tiny", 0, [row], {"step": 4321, "seconds": 600.0}, "a processor, 2 devices", "A note.")
    for figure in (
        "97.7 ± 0.6",
        "chance: 20.0",
        "episodes: 1,234",
        "4,321 of 2",
        "10 minutes on a processor, 2 devices",
        "| note | A note. |",
    ):
        assert figure in text
    learner = "| learner | fine-tune, regime meta, inner steps 1 |"
    for fact in ("running averages", "fastslow train smoke", saved.digests[0], learner, "MIT"):
        assert fact in text
    assert max(map(len, text.split("## Use")[1].splitlines())) <= 120


def test_a_result_of_other_parameters_is_refused(saved: Saved, row: ResultRow) -> None:
    assert matching(saved, [row]) == (0, [row])
    others = {"scheme": SCHEME, "values": ["f" * 64]}
    for other in (replace(row, params_digest=others), replace(row, metric="loss")):
        with pytest.raises(UserError, match=r"result: got .* expected accuracy of one seed's best parameters"):
            matching(saved, [other])


def test_the_card_of_a_network_of_paths_tells_what_it_was_shown(row: ResultRow) -> None:
    paths = load(model()[0])
    mine = {"scheme": SCHEME, "values": list(paths.digests)}
    error = replace(row, metric="MSE", unit="m²", value=0.125, ci95=(0.12, 0.13), chance=None, params_digest=mine)
    assert matching(paths, [replace(error, metric="accuracy"), error]) == (0, [error])
    paths = replace(paths, config=replace(paths.config, task=find_preset("paths").config.task))
    text = " ".join(card(paths, "tiny", 0, [error], {"step": 20, "seconds": 60.0}, "a processor, 2 devices").split())
    for fact in (
        "predicts the next 2 seconds of a road user's path from 2 seconds",
        'PathPredictor("tiny")',
        "50 positions at 25 a second are shown and 50 predicted, in m; episodes of 5 paths",
        "| trained on | at most 19 of its pedestrians and 20,000 generated paths |",
        "0.125 ± 0.005",
        "CC0 1.0",
    ):
        assert fact in text
    assert "classes" not in text


def test_the_command_names_the_preset_and_what_differs() -> None:
    config = find_preset("omniglot-20way-1shot").config
    assert command(config) == "`fastslow train omniglot-20way-1shot`"
    other = replace(config, training=replace(config.training, steps=7), task=replace(config.task, data="/somewhere"))
    assert command(other) == "`fastslow train omniglot-20way-1shot`, with training.steps = 7"
    assert "/somewhere" not in json.dumps(command(other))


def test_the_card_of_a_network_on_streams_tells_each_instance(tiny_stream_model: Path, row: ResultRow) -> None:
    streams = load(tiny_stream_model)
    of_streams = {"scheme": SCHEME, "values": list(streams.digests)}
    first = replace(row, axis={"instance": 1}, config=to_json(streams.config), params_digest=of_streams)
    index, rows = matching(streams, [first, replace(first, axis={"instance": 2}, value=0.5, ci95=(0.4, 0.6))])
    text = card(streams, "tiny", index, rows, {"step": 4321, "seconds": 600.0}, "a processor, 2 devices")
    for fact in (
        "| NMN + SG | 97.7 ± 0.6 | 50.0 ± 10.0 |",
        "streams of 30 drawings of 3 classes",
        "memory 6×4, 2 heads, key strength learned, written key",
        'OnlineOneShot("tiny")',
        {
            "one-hot": "It holds 3 classes, as many as it has labels, and was trained on 30 examples",
            "strings": "It was trained on 3 classes and 30 examples in a stream; it takes more of either",
        }[streams.config.task.labels],
        "20×20",
        "Lake, Salakhutdinov and Tenenbaum",
    ):
        assert fact in " ".join(text.split())
