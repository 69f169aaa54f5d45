"""The command as a process: how it starts, what it exits with, how it takes a Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastslow.training.checkpoint import Checkpoints

TOY = Path(__file__).with_name("toy.py")


def finish(*words):
    return subprocess.run([sys.executable, *map(str, words)], check=False, capture_output=True, text=True, timeout=150)


@pytest.mark.smoke
def test_what_only_prints_does_not_wait_for_jax():
    code = (
        "import sys; from fastslow.cli.main import main;"
        "codes = [main([word]) for word in ('--version', '--help', 'list', 'nonsense')];"
        "assert codes == [0, 0, 0, 2], codes;"
        "assert 'jax' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    ended = finish("-c", code)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.smoke
def test_the_package_is_a_program():
    assert finish("-m", "fastslow", "--version").returncode == 0
    ended = finish("-m", "fastslow", "train", "nothing")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1


def test_devices_are_made_by_a_command_and_never_by_an_import():
    code = (
        "import os; import fastslow.cli.train, fastslow.cli.evaluate, fastslow.cli.reproduce, fastslow.cli.plot;"
        "from jax._src import xla_bridge; assert not xla_bridge.backends_are_initialized();"
        "from fastslow.cli.start import use_all_cores; use_all_cores();"
        "import jax; assert jax.device_count('cpu') == len(os.sched_getaffinity(0)), jax.devices();"
        "use_all_cores()"
    )
    ended = finish("-c", code)
    assert ended.returncode == 0, ended.stderr


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    out = tmp_path / "run"
    words = ["train", "smoke", "--steps", "1000000", "--out", out, "--learner.feedback.regime", "true"]
    process = subprocess.Popen(
        [sys.executable, str(TOY), *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
    )
    try:
        for line in process.stderr:
            if "loss" in line:
                break
        process.send_signal(signal.SIGINT)
        told, rest = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 130, rest
    assert told == ""
    assert rest.splitlines()[-1] == f"Interrupted; all is saved, so continue with: fastslow train --resume --out {out}"
    assert Checkpoints(out / "checkpoints").steps()
    assert not any("tmp" in path.name for path in (out / "checkpoints").iterdir())


def test_a_reader_that_leaves_early_is_no_traceback():
    reads, writes = os.pipe()
    os.close(reads)
    ended = subprocess.run(
        [sys.executable, "-m", "fastslow", "list"],
        check=False,
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
        timeout=100,
    )
    os.close(writes)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1
