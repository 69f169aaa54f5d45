"""Trained models on disk: what was trained is what is loaded, and damage is told in one sentence."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastslow
from fastslow._checks import UserError
from fastslow.experiments import saved as module
from fastslow.experiments.pipeline import Trained, train_run
from fastslow.experiments.presets import find_preset
from fastslow.experiments.saved import Saved, load, load_release, load_run, release_names, write_release
from fastslow.learners.base import LearnerState
from fastslow.tasks.base import Examples
from fastslow.training.fingerprint import params_sha256
from fastslow.training.state import one_seed

CONFIG = find_preset("smoke").config
SEEDS = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    """A finished run of two seeds, validated once halfway, so that its best and its last parameters differ."""
    folder = tmp_path_factory.mktemp("run")
    training = replace(CONFIG.training, steps=3, seeds=SEEDS, validate_every=2, validation_episodes=2)
    with jax.numpy_dtype_promotion("standard"):  # Adam takes a number to the power of a count
        return folder, train_run(replace(CONFIG, training=training), folder)


@pytest.fixture(scope="module")
def release(run: tuple[Path, Trained], tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def log_probabilities(saved: Saved, state: LearnerState) -> np.ndarray:
    rng = np.random.default_rng(0)
    support = Examples(jnp.asarray(rng.random((5, 28, 28), np.float32)), jnp.arange(5))
    adapted = saved.learner.adapt(state, support, key=jax.random.key(0))
    return np.asarray(saved.learner.predict(adapted, jnp.asarray(rng.random((3, 28, 28), np.float32))))


def test_a_run_is_loaded_as_it_was_trained(run: tuple[Path, Trained]) -> None:
    folder, trained = run
    saved = load(str(folder))
    assert saved.config == trained.config
    assert saved.seeds == (0, 1)
    assert same(saved.states.params, trained.states.params)
    assert same(saved.states.running, trained.states.running)
    assert saved.sha256 == tuple(params_sha256(one_seed(trained.states.params, i)) for i in range(SEEDS))
    assert saved.sha256[0] != saved.sha256[1]
    assert saved.notices == ()
    state = one_seed(trained.states, 1)
    np.testing.assert_array_equal(log_probabilities(saved, saved.state(1)), log_probabilities(saved, state))


def test_the_last_parameters_can_be_had(run: tuple[Path, Trained]) -> None:
    best, last = load_run(run[0]), load_run(run[0], "last")
    assert (best.which, last.which) == ("best", "last")
    # one update later, two episodes are named no better, so the parameters before it stay the best
    assert set(best.sha256).isdisjoint(last.sha256)


def test_a_release_holds_one_seed_and_no_pickle(run: tuple[Path, Trained], release: Path) -> None:
    saved = load(release)
    whole = load_run(run[0])
    assert saved.seeds == (1,)
    assert saved.sha256 == whole.sha256[1:]
    assert same(saved.state(), whole.state(1))
    assert sum(file.stat().st_size for file in release.iterdir()) < 3_000_000
    with np.load(release / "params.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
        assert "params.network.head.linear.weight" in stored.files


def test_a_packaged_release_is_loaded_by_name(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOLDER", release.parent)
    assert release_names() == ("tiny",)
    assert load("tiny").name == "tiny"
    assert load_release("tiny").sha256 == load(release).sha256
    with pytest.raises(UserError, match=r"model: got 'big', wanted the path of a run folder, .*\(tiny\)"):
        load("big")


def test_what_is_packaged_loads() -> None:
    for name in release_names():
        saved = load_release(name)
        folder = Path(module.__file__).parents[1] / "releases" / name
        assert (folder / "card.md").is_file()
        assert sum(file.stat().st_size for file in folder.iterdir()) <= 3_000_000
        assert saved.sha256[0] in (folder / "card.md").read_text(encoding="utf-8")


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
    config["model"]["width"] = 9
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"params\.npz: holds float32 .* wanted float32 .* config\.json"):
        load(copy)


def test_a_release_that_is_too_large_is_not_written(
    run: tuple[Path, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match=r"release: got .* bytes, wanted at most 1,000"):
        write_release(load_run(run[0]), tmp_path / "new", "card")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "wanted a run folder, which holds config.json"),
        ({"config.json": "{"}, "cannot be read"),
        ({"config.json": '{"speed": 1}'}, "unknown field 'speed'"),
        ({"config.json": "{}"}, "wanted a run with a checkpoint"),
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
    assert done.stdout.splitlines() == [fastslow.__version__, "__version__ load"]


def test_the_front_door_is_the_same_load(release: Path) -> None:
    assert fastslow.load(release).sha256 == load(release).sha256
