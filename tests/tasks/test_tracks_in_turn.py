"""Two kinds of road users in turn: when the rare one comes, and which tracks are kept for tests."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.sentences import refused
from tests.tasks.test_tracks import OWN, table

from fastslow.tasks.tracks_in_turn import TracksInTurnConfig

SHARED = {field.name: getattr(OWN, field.name) for field in fields(OWN) if field.name not in ("kind", "episode")}
IN_TURN = {**SHARED, "shots": 1, "queries": 1, "training": 4, "every": 3}


def config(folder: Path, **changes: Any) -> TracksInTurnConfig:
    pedestrians = changes.pop("pedestrians", 7)
    return TracksInTurnConfig(**(IN_TURN | {"data": str(table(folder, pedestrians=pedestrians))} | changes))


def speeds(x: jax.Array) -> set[float]:
    """By which the tracks of `table` can be told apart."""
    return {round(float(-track[0, 0]), 3) for track in np.asarray(x)}


def test_each_third_update_has_the_second_kind_and_tests_have_both(tmp_path: Path) -> None:
    splits = config(tmp_path).build()
    draw = jax.jit(lambda key, step: splits.train.sample(key, step))
    seen: list[set[float]] = [set(), set()]
    for step in range(60):
        episode = draw(jax.random.key(step), jnp.asarray(step))
        agent = int(step % 3 == 2)
        assert episode.axis_index.tolist() == [agent] * 2
        seen[agent] |= speeds(episode.inputs.x)
    assert [len(each) for each in seen] == [4, 4]
    tested: list[set[float]] = [set(), set()]
    for seed in range(20):
        episode = splits.test.sample(jax.random.key(seed), jnp.asarray(0))
        assert episode.axis_index.tolist() == [0, 0, 1, 1]
        for agent in range(2):
            tested[agent] |= speeds(episode.inputs.x[2 * agent : 2 * agent + 2])
    for agent in range(2):
        assert len(tested[agent]) == 3
        assert not tested[agent] & seen[agent]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"training": 6}, "training: got 7 tracks of bike in mine, expected at least 8"),
        ({"every": 0}, "every: got 0, expected"),
        ({"tested": "bike"}, "tested: got 'bike', expected another kind than learned, as task tracks-in-turn has two"),
        ({"episode": "few-shot"}, "episode: got 'few-shot', expected sequence, as task tracks-in-turn has no support"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, said: str, tmp_path: Path) -> None:
    whole = config(tmp_path, **change)
    with refused(said):
        whole.build()


def test_too_few_of_the_second_kind_are_refused(tmp_path: Path) -> None:
    whole = config(tmp_path, pedestrians=5)
    with refused("training: got 5 tracks of walker, expected at least 6: 4 for training, others for tests"):
        whole.build()
