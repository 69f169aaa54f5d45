"""Checkpoints: every bit comes back, and what is not whole is never taken for a checkpoint."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.training.toy import blobs, softmax

from fastslow._checks import UserError
from fastslow.training.checkpoint import Checkpoints
from fastslow.training.config import TrainingConfig
from fastslow.training.fingerprint import named_arrays, tree_digest
from fastslow.training.parallel import copy_to, episode_mesh
from fastslow.training.state import TrainState, initial_state
from fastslow.training.update import compile_update

CONFIG = TrainingConfig(batch=4, seeds=2)


def at_step(step: int) -> TrainState:
    """A state with one of everything that is hard to store, and numbers that tell the step."""
    state = initial_state(softmax(), blobs(), CONFIG)
    odd = {
        "half": jnp.asarray([1.5, -0.0, step], jnp.bfloat16),
        "empty": jnp.zeros((2, 0, 3)),
        "limits": jnp.asarray([jnp.inf, -jnp.inf, jnp.nan, 1e-45]),
        "number": jnp.asarray(step, jnp.uint8),
    }
    state = eqx.tree_at(lambda s: s.learner.model_state, state, odd)
    return eqx.tree_at(lambda s: s.step, state, jnp.asarray(step, jnp.int32))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with checkpoints of steps 1 to 3, of which the last two are kept."""
    checkpoints = Checkpoints(tmp_path_factory.mktemp("run") / "checkpoints")
    for step in (1, 2, 3):
        checkpoints.save(at_step(step))
    checkpoints.wait()
    return checkpoints.folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Checkpoints:
    return Checkpoints(Path(shutil.copytree(written, tmp_path / "checkpoints")))


def shapes(state: Any) -> Any:
    return jax.eval_shape(lambda: state)


LIKE = shapes(at_step(0))


def test_every_bit_comes_back(copy: Checkpoints) -> None:
    assert copy.steps() == [2, 3]
    state, notices = copy.load(LIKE)
    assert notices == ()
    assert tree_digest(state) == tree_digest(at_step(3))
    assert list(named_arrays(state)) == list(named_arrays(at_step(3)))


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none").load(LIKE) == (None, ())


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("harm", [cut_in_half, turn_a_bit, Path.unlink])
def test_no_harm_to_a_file_goes_unseen(harm, copy: Checkpoints) -> None:
    before, victims = tree_digest(at_step(2)), files(copy.folder / "3")
    assert len(victims) > 5
    for victim in victims:
        content = victim.read_bytes()
        harm(victim)
        state, notices = copy.load(LIKE)
        assert len(notices) == 1, victim.name
        assert tree_digest(state) == before
        victim.write_bytes(content)
    assert copy.load(LIKE)[1] == ()


def test_a_checkpoint_cut_in_half_gives_way_to_the_one_before(copy: Checkpoints) -> None:
    cut_in_half(max(files(copy.folder / "3"), key=lambda path: path.stat().st_size))
    state, notices = copy.load(LIKE)
    assert int(state.step) == 2
    assert notices == ("The checkpoint of step 3 is damaged and was passed over for an earlier one.",)
    copy.continue_from(2)
    assert copy.steps() == [2]
    assert (copy.folder / "damaged-3").is_dir()
    copy.save(at_step(3))
    copy.wait()
    assert int(copy.load(LIKE)[0].step) == 3


def test_where_none_is_whole_the_user_is_told(copy: Checkpoints) -> None:
    for step in copy.steps():
        cut_in_half(max(files(copy.folder / str(step)), key=lambda path: path.stat().st_size))
    with pytest.raises(UserError, match=r"no checkpoint in it is whole \(damaged: those of step 2, 3\); .* --out\.$"):
        copy.load(LIKE)


def test_half_written_and_half_deleted_ones_are_not_seen_and_cleaned(copy: Checkpoints) -> None:
    whole = copy.folder / "3"
    for name in ("4.orbax-checkpoint-tmp", "9.orbax-checkpoint-tmp-17", ".discarded-1"):
        shutil.copytree(whole, copy.folder / name)
    assert copy.steps() == [2, 3]
    assert int(copy.load(LIKE)[0].step) == 3
    copy.clean()
    assert sorted(path.name for path in copy.folder.iterdir()) == ["2", "3"]


@pytest.mark.parametrize(
    ("seeds", "rename", "message"),
    [(3, False, r"float32 \(2, 3, 4\)|holds float32 \(2,"), (2, True, "holds nothing for learner.model_state.other")],
)
def test_another_configuration_is_told_from_damage(seeds: int, rename: bool, message: str, copy: Checkpoints) -> None:
    like = shapes(initial_state(softmax(), blobs(), TrainingConfig(batch=4, seeds=seeds)))
    stored = dict(LIKE.learner.model_state)
    if rename:
        stored["other"] = stored.pop("half")
    like = eqx.tree_at(lambda s: s.learner.model_state, like, stored)
    with pytest.raises(UserError, match=message):
        copy.load(like)


def test_updates_do_not_reach_what_is_being_saved(tmp_path: Path) -> None:
    mesh, _ = episode_mesh(CONFIG.batch)
    learner, task = softmax(), blobs()
    update = compile_update(learner, task, CONFIG, mesh)
    state = copy_to(initial_state(learner, task, CONFIG), mesh)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    state, _ = update(state)
    expected = tree_digest(state)
    checkpoints.save(state)
    for _ in range(20):
        state, _ = update(state)
    checkpoints.wait()
    loaded, _ = checkpoints.load(shapes(initial_state(learner, task, CONFIG)))
    assert tree_digest(loaded) == expected
    assert not np.array_equal(loaded.learner.params["weight"], state.learner.params["weight"])


def saving(checkpoints: Checkpoints, state: TrainState) -> None:
    checkpoints.save(state)
    checkpoints.wait()


def test_a_folder_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checkpoints = Checkpoints(tmp_path / "file" / "checkpoints")
    with pytest.raises(UserError, match=r"cannot be written \(.*\); make the folder writable"):
        saving(checkpoints, at_step(1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems may not be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_full_disk_is_told_and_the_checkpoint_before_is_whole(
    small_disk: Path, seen_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not seen_before:  # another program takes the room while the checkpoint is written
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    checkpoints = Checkpoints(small_disk / "checkpoints")
    saving(checkpoints, at_step(1))
    noise = np.random.default_rng(0).standard_normal((2, 300_000), np.float32)
    large = eqx.tree_at(lambda s: s.learner.model_state, at_step(2), {"noise": jnp.asarray(noise)})
    with pytest.raises(UserError, match=r"checkpoints/2: the disk is full; .* --resume"):
        saving(checkpoints, large)
    assert [path.name for path in checkpoints.folder.iterdir()] == ["1"]
    saving(checkpoints, at_step(3))
    assert int(checkpoints.load(LIKE)[0].step) == 3
