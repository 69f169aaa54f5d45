"""The examples run, and are as short as a newcomer wants them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import jax
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
SMALL = {"cell_in_your_model": 2, "train_by_hand": 2, "own_learner": 2, "own_memory": 5}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_at_small_size(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # as users have JAX: an example calls Optax itself, whose Adam needs promotion
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        assert module.main(SMALL[path.stem]) is not None


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_whole(path: Path) -> None:
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip()


@pytest.mark.slow
def test_the_examples_learn() -> None:
    sys.path.insert(0, str(FOLDER))
    try:
        import cell_in_your_model
        import own_learner
        import train_by_hand
    finally:
        sys.path.remove(str(FOLDER))
    before, after = cell_in_your_model.main()
    assert after < before / 2
    before, after = train_by_hand.main()
    assert after > 0.5
    assert own_learner.main() > 0.5
