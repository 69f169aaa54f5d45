"""Trained models on disk: what was trained is what is loaded, and damage is told in one sentence."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastslow
from fastslow._checks import UserError
from fastslow.configs.json import to_json
from fastslow.configs.presets import find_preset
from fastslow.configs.run import train
from fastslow.learners.base import LearnerState
from fastslow.metrics import Figure
from fastslow.tasks.base import Examples
from fastslow.training.checkpoint import Checkpoints
from fastslow.training.fingerprint import tree_digest
from fastslow.training.state import NEVER, Best, TrainState, one_seed
from fastslow.zoo import saved as module
from fastslow.zoo.saved import load, load_release, load_run, release_names, write_release

SEEDS = 2
CONFIG = replace(find_preset("smoke").config, training=replace(find_preset("smoke").config.training, seeds=SEEDS))
INIT = jax.jit(lambda key: CONFIG.build().init(key=key))


def drawn(first: int) -> LearnerState:
    """The state of freshly drawn parameters for each seed, with an optimizer's state, which is not loaded."""
    states = [INIT(jax.random.key(first + place)) for place in range(SEEDS)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *map(jax.device_get, states))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainState]:
    """A run folder with one checkpoint, whose second seed did best before its last update; the first was never better.

    The state in it is drawn, not trained: what is tested is that the same comes back.
    """
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text(json.dumps(to_json(CONFIG)))
    last, best = drawn(0), drawn(SEEDS)
    state = TrainState(
        learner=jax.tree.map(jnp.asarray, last),
        best=Best(best.params, best.model_state, jnp.array([jnp.nan, 0.5]), jnp.array([NEVER, 3], jnp.int32)),
        totals={"loss": Figure(jnp.zeros(SEEDS), jnp.zeros(SEEDS))},
        keys=jax.random.key_data(jax.random.split(jax.random.key(0), SEEDS)),
        step=jnp.asarray(4, jnp.int32),
        diverged_at=jnp.full(SEEDS, NEVER, jnp.int32),
    )
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(state)
    checkpoints.wait()
    return folder, state


@pytest.fixture(scope="module")
def release(run: tuple[Path, TrainState], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases") / "tiny"
    write_release(load_run(run[0]), folder, "# tiny\n", index=1)
    return folder


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    for file in release.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def same(a: object, b: object) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


def test_the_best_parameters_of_a_run_are_loaded(run: tuple[Path, TrainState]) -> None:
    folder, state = run
    saved = load(str(folder))
    assert (saved.config, saved.seeds, saved.which, saved.notices) == (CONFIG, (0, 1), "best", ())
    # no validation yet: the last; otherwise the best
    assert same(saved.state(0).params, one_seed(state.learner.params, 0))
    assert same(saved.state(1).params, one_seed(state.best.params, 1))
    assert same(saved.state(1).model_state, one_seed(state.best.model_state, 1))
    assert saved.digests == tuple(tree_digest(saved.state(place).params) for place in range(SEEDS))
    assert len(set(saved.digests)) == SEEDS


def test_the_last_parameters_can_be_had(run: tuple[Path, TrainState]) -> None:
    folder, state = run
    saved = load_run(folder, "last")
    assert saved.which == "last"
    assert same(saved.states.params, state.learner.params)
    assert saved.digests[0] == load_run(folder).digests[0]
    assert saved.digests[1] != load_run(folder).digests[1]


def test_a_seed_that_diverged_is_not_loaded(run: tuple[Path, TrainState], tmp_path: Path) -> None:
    folder, state = run
    shutil.copy(folder / "config.json", tmp_path)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(eqx.tree_at(lambda s: s.diverged_at, state, jnp.array([2, NEVER], jnp.int32)))
    checkpoints.wait()
    saved = load(tmp_path)
    assert saved.seeds == (1,)
    assert saved.digests == load(folder).digests[1:]
    diverged = jnp.array([2, 5], jnp.int32), jnp.asarray(5, jnp.int32)
    checkpoints.save(eqx.tree_at(lambda s: (s.diverged_at, s.step), state, diverged))
    checkpoints.wait()
    none = load(tmp_path)
    assert none.seeds == (0, 1)
    assert none.digests == load(folder).digests
    assert none.notices == (f"Every seed of {tmp_path} diverged; these are the parameters from before.",)


def test_a_damaged_checkpoint_is_passed_over_with_a_notice(run: tuple[Path, TrainState], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run[0], folder)
    later = folder / "checkpoints" / "8"
    later.mkdir()
    saved = load(folder)
    assert saved.digests == load(run[0]).digests
    assert saved.notices == ("The checkpoint of step 8 is damaged and was passed over for an earlier one.",)
    whole = shutil.copytree(folder / "checkpoints" / "4", tmp_path / "4")
    (folder / "checkpoints" / "4" / "checksums.json").write_text("{}")
    with pytest.raises(UserError, match="no checkpoint in it is whole"):
        load(folder)
    shutil.rmtree(folder / "checkpoints" / "4")
    with pytest.raises(UserError, match="the checkpoint of step 4, which was saved last, is missing"):
        load(folder)
    shutil.move(whole, folder / "checkpoints" / "4")
    assert load(folder).digests == load(run[0]).digests


@pytest.mark.slow
def test_what_a_training_gives_is_what_is_loaded(tmp_path: Path) -> None:
    trained = train(find_preset("smoke").config, tmp_path / "run")
    saved = load(tmp_path / "run")
    assert same(saved.states.params, trained.states.params)
    rng = np.random.default_rng(0)
    support = Examples(jnp.asarray(rng.random((5, 28, 28), np.float32)), jnp.arange(5))
    adapted = saved.learner.adapt(saved.state(), support, key=jax.random.key(0))
    log_probabilities = saved.learner.predict(adapted, support.inputs)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=1), 1, rtol=1e-5)


def test_a_release_holds_one_seed_and_no_pickle(run: tuple[Path, TrainState], release: Path) -> None:
    saved = load(release)
    whole = load_run(run[0])
    assert saved.seeds == (1,)
    assert saved.digests == whole.digests[1:]
    assert same(saved.state(), whole.state(1))
    assert sum(file.stat().st_size for file in release.iterdir()) < 3_000_000
    with np.load(release / "params.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
        assert "params.network.head.linear.weight" in stored.files


def test_a_packaged_release_is_loaded_by_name(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOLDER", release.parent)
    assert release_names() == ("tiny",)
    assert load("tiny").name == "tiny"
    assert load_release("tiny").digests == load(release).digests
    with pytest.raises(UserError, match=r"model: got 'big', expected the path of a run folder, .*\(tiny\)"):
        load("big")


def test_what_is_packaged_loads() -> None:
    for name in release_names():
        saved = load_release(name)
        folder = Path(module.__file__).parents[1] / "zoo" / "releases" / name
        assert (folder / "card.md").is_file()
        assert sum(file.stat().st_size for file in folder.iterdir()) <= 3_000_000
        assert saved.digests[0] in (folder / "card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "shape", "gone", "pickle"])
def test_a_damaged_release_is_told(copy: Path, damage: str) -> None:
    path = copy / "params.npz"
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = "params.network.head.linear.weight"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "bit":
        arrays[name].view(np.uint32)[0, 0] ^= 1
        np.savez(path, **arrays)
    elif damage == "shape":
        np.savez(path, **{**arrays, name: arrays[name].T})
    elif damage == "gone":
        np.savez(path, **{key: array for key, array in arrays.items() if key != name})
    else:
        np.savez(path, **{**arrays, name: np.array([{}], object)}, allow_pickle=True)
    with pytest.raises(UserError, match=r"params\.npz: (cannot be read|its contents do not match their checksum)"):
        load(copy)


def test_parameters_of_another_network_are_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["model"]["cell"]["width"] = 9
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"params\.npz: holds float32 .* expected float32 .* config\.json"):
        load(copy)


def test_a_release_that_is_too_large_is_not_written(
    run: tuple[Path, TrainState], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match=r"release: got [0-9,]* bytes, expected at most 1,000"):
        write_release(load_run(run[0]), tmp_path / "new", "card")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "expected a run folder, which holds config.json"),
        ({"config.json": "{"}, "cannot be read"),
        ({"config.json": '{"speed": 1}'}, "unknown field 'speed'"),
        ({"config.json": "{}"}, "expected a run that has saved a checkpoint"),
    ],
)
def test_a_folder_without_a_model_is_told(files: dict[str, str], told: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=told):
        load(tmp_path)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, fastslow; print(fastslow.__version__, *sorted({'jax', 'numpy', 'sklearn'} & set(sys.modules)));"
        "print(*fastslow.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, names = done.stdout.splitlines()
    assert version == fastslow.__version__
    stub = Path(fastslow.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert set(names.split()) == set(re.findall(r"import (\w+) as \1$", stub, re.MULTILINE))
    assert {"Config", "evaluate", "load", "train", "unroll"} <= set(names.split())


@pytest.mark.parametrize("name", fastslow.__all__)
def test_each_public_name_leads_somewhere(name: str) -> None:
    assert getattr(getattr(fastslow, name), "__name__", name) == name


def test_the_front_door_is_the_same_load(release: Path) -> None:
    assert fastslow.load(release).digests == load(release).digests
