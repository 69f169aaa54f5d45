"""Trained models on disk: a run folder, or a release, which is a small folder that ships with the package.

A release holds `config.json` (the run's configuration), `params.npz` (parameters and model state of one seed by
their names, the seed, and a checksum over them) and `card.md`. Nothing is ever unpickled.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._checks import Described, UserError, bad, check_choice
from ..configs.config import Config, read_config
from ..configs.json import to_json
from ..configs.run import Trained
from ..learners.base import LearnerState, Trainable
from ..training.checkpoint import Checkpoints
from ..training.files import replace_text, writing
from ..training.fingerprint import digest, named_arrays, tree_digest
from ..training.folder import read_json
from ..training.state import chosen_state, stored_shapes

Which = Literal["best", "last"]
CONFIG, PARAMS, CARD = "config.json", "params.npz", "card.md"
MOST_BYTES = 3_000_000
"""Largest release, all its files together."""
_SEED, _SHA256 = "seed", "sha256"
_FOLDER = Path(str(files("fastslow"))) / "zoo" / "releases"


@dataclass(frozen=True, eq=False)
class Saved:
    """A trained model.

    Attributes:
        name: the release's name, or the folder it was read from.
        config: what was trained.
        learner: what learned; `learner.adapt` and `learner.predict` meet a new task.
        states: each seed's state, every array with a leading axis `seeds`; without the optimizer's, which only a
            resumed run needs.
        seeds: the seed of each; one that stopped being finite is left out, unless all of them did.
        digests: of each seed's parameters, as in a result file.
        which: `best`, the parameters chosen on validation classes, or `last`.
        notices: sentences for the user, such as about a damaged checkpoint that was passed over.
    """

    name: str
    config: Config
    learner: Any
    states: LearnerState
    seeds: tuple[int, ...]
    digests: tuple[str, ...]
    which: Which
    notices: tuple[str, ...] = ()

    def state(self, index: int = 0) -> LearnerState:
        """The state of one seed, by its place in `seeds`."""
        return _one_seed(self.states, index)


def load(run_or_release: str | Path) -> Saved:
    """Loads a run folder or a release; see `fastslow.load`, which is this.

    Raises:
        UserError: for an unknown name, a folder without a trained model, or a file that is damaged.
    """
    if isinstance(run_or_release, str) and run_or_release in release_names():
        return load_release(run_or_release)
    path = Path(run_or_release)
    try:
        if path.is_dir():
            return _load_release(path, str(path)) if (path / PARAMS).is_file() else load_run(path)
    except OSError as error:  # a name too long for a file, a folder that may not be read
        raise _unknown(Described(f"{error.strerror}: {run_or_release}")) from error
    raise _unknown(str(run_or_release))


def load_run(path: str | Path, which: Which = "best") -> Saved:
    """Loads the newest whole checkpoint of a run, finished or not; its data set need not be there.

    Args:
        path: the run folder.
        which: `best`, each seed's best parameters on validation classes (its last ones before the first validation),
            or `last`.

    Raises:
        UserError: for a folder that holds no run, a run without a checkpoint, or checkpoints that are all damaged.
    """
    check_choice("which", which, ("best", "last"))
    path = Path(path)
    if not (path / CONFIG).is_file():
        inside = ", ".join(f"{file.parent}" for file in sorted(path.glob(f"*/{CONFIG}")))
        hint = f"choose one of the runs in it: {inside}" if inside else ""
        raise bad("run", got=str(path), expected=f"a run folder, which holds {CONFIG}", hint=hint)
    config = read_config(read_json(path / CONFIG))
    learner = config.build()
    checkpoints = Checkpoints(path / "checkpoints")
    checkpoints.require_newest()
    state, notices = checkpoints.load(stored_shapes(learner, config.training))
    if state is None:
        first = min(config.training.checkpoint_every, config.training.steps)
        hint = f"wait until it has made {first} updates, or train on with --resume"
        raise bad("run", got=str(path), expected="a run that has saved a checkpoint", hint=hint)
    finite = np.flatnonzero(~np.asarray(state.diverged))
    if not finite.size:
        notices = (*notices, f"Every seed of {path} diverged; these are the parameters from before.")
        finite = np.arange(config.training.seeds)
    chosen = jax.jit(chosen_state, static_argnums=1)(state, which)
    chosen = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[finite]), chosen)
    seeds = tuple(config.training.seed_numbers[index] for index in finite)
    return _saved(str(path), config, learner, chosen, seeds, which, notices)


def with_tasks(saved: Saved, config: Config | None = None) -> Trained:
    """Joins a trained model and its data, to be measured.

    Args:
        saved: the model.
        config: the configuration to measure it with, such as one with other statistics; None for its own.

    Raises:
        UserError: the data cannot be found.
    """
    config = saved.config if config is None else config
    return Trained(config, config.build(), config.task.build(), saved.states, saved.seeds, seconds=0.0)


def load_trained(path: Path) -> Trained:
    """A training that was finished at an earlier start, with its data.

    Raises:
        UserError: there is none in the folder, or its data cannot be found.
    """
    return with_tasks(load_run(path))


def release_names() -> tuple[str, ...]:
    """Names of the models that ship with the package."""
    return tuple(sorted(path.parent.name for path in _FOLDER.glob(f"*/{PARAMS}")))


def load_release(name: str) -> Saved:
    """Loads a model that ships with the package.

    Raises:
        UserError: for an unknown name, listing those that exist, or a release whose files are damaged.
    """
    if name not in release_names():
        raise _unknown(name)
    return _load_release(_FOLDER / name, name)


def write_release(saved: Saved, folder: Path, card: str, index: int = 0) -> None:
    """Writes one seed of a trained model as a release.

    Args:
        saved: the model.
        folder: where to; made where there is none, its files replaced.
        card: text of `card.md`.
        index: place of the seed in `saved.seeds`.

    Raises:
        UserError: where it would be larger than `MOST_BYTES`, or the folder cannot be written.
    """
    arrays = _named(saved.state(index))
    data = io.BytesIO()
    checked = {_SEED: np.asarray(saved.seeds[index]), _SHA256: np.asarray(digest(arrays.values()))}
    np.savez_compressed(data, allow_pickle=False, **arrays, **checked)
    config = to_json(saved.config)
    if "data" in config["task"]:
        config["task"]["data"] = None  # where the data were on the machine that trained it
    text = json.dumps(config, indent=2) + "\n"
    size = data.tell() + len(text.encode()) + len(card.encode())
    if size > MOST_BYTES:
        raise bad(
            "release",
            got=Described(f"{size:,} bytes"),
            expected=f"at most {MOST_BYTES:,}",
            hint="train a smaller model",
        )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / CONFIG, text)
        replace_text(folder / CARD, card)
        (folder / PARAMS).write_bytes(data.getvalue())


def _load_release(folder: Path, name: str) -> Saved:
    config = read_config(read_json(folder / CONFIG))
    learner = config.build()
    arrays, seed = _read(folder / PARAMS)
    like = jax.eval_shape(lambda: learner.init(key=jax.random.key(0)))
    expected = LearnerState(params=like.params, opt_state=(), model_state=like.model_state)
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], _rebuild(expected, arrays, folder / PARAMS))
    return _saved(name, config, learner, state, (seed,), "best", ())


def _saved(
    name: str,
    config: Config,
    learner: Trainable,
    states: LearnerState,
    seeds: tuple[int, ...],
    which: Which,
    notices: tuple[str, ...],
) -> Saved:
    states = LearnerState(params=states.params, opt_state=(), model_state=states.model_state)
    digests = tuple(tree_digest(_one_seed(states.params, index)) for index in range(len(seeds)))
    return Saved(name, config, learner, states, seeds, digests, which, notices)


def _one_seed(states: PyTree, index: int) -> PyTree:
    """Sliced on the host, where there is nothing to compile for each shape."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[index]), states)


def _named(state: LearnerState) -> dict[str, np.ndarray]:
    return named_arrays({"params": state.params, "model_state": state.model_state})


def _read(path: Path) -> tuple[dict[str, np.ndarray], int]:
    """The arrays of a release by their names, and its seed."""
    try:
        with path.open("rb") as whole, np.load(whole, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        seed, sha256 = int(arrays.pop(_SEED)), str(arrays.pop(_SHA256))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); install the package again, or make the release again."
        ) from error
    if digest(arrays.values()) != sha256:
        raise UserError(
            f"{path}: its contents do not match their checksum; install the package again, or make the release again."
        )
    return arrays, seed


def _rebuild(like: LearnerState, arrays: dict[str, np.ndarray], path: Path) -> LearnerState:
    names = {"params": like.params, "model_state": like.model_state}
    leaves, structure = jax.tree_util.tree_flatten_with_path(names)
    found = {jax.tree_util.keystr(keys, simple=True, separator="."): leaf for keys, leaf in leaves}
    for name in sorted(found.keys() | arrays.keys()):
        expected, got = (_described(held.get(name)) for held in (found, arrays))
        if expected != got:
            raise UserError(f"{path}: holds {got} for {name}, expected {expected}; it does not belong to its {CONFIG}.")
    tree = jax.tree_util.tree_unflatten(structure, [arrays[name] for name in found])
    return LearnerState(params=tree["params"], opt_state=(), model_state=tree["model_state"])


def _described(leaf: PyTree) -> str:
    return "nothing" if leaf is None else f"{np.dtype(leaf.dtype).name} {tuple(leaf.shape)}"


def _unknown(got: str) -> UserError:
    known = ", ".join(release_names()) or "none ships with this version"
    return bad("model", got=got, expected=f"the path of a run folder, or the name of a released model ({known})")


__all__ = ["Saved", "load", "load_release", "load_run", "load_trained", "release_names", "with_tasks", "write_release"]
