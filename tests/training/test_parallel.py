"""Devices: made by the command line alone, and shared as evenly as a batch allows."""

import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.training.toy import blobs, softmax

from fastslow.training.config import TrainingConfig
from fastslow.training.loop import fit, run_to_end
from fastslow.training.parallel import block, copy_to, cpu_devices, episode_mesh

ROOT = Path(__file__).resolve().parents[2]
ALONE = """
import fastslow.training.loop, fastslow.training.parallel as parallel
from jax._src import xla_bridge
print(xla_bridge.backends_are_initialized())
parallel.cpu_devices(3)
import jax
print(jax.device_count(), [parallel.episode_mesh(batch)[0].size for batch in (9, 8, 7)])
"""


def test_importing_leaves_jax_asleep_and_devices_are_made_on_demand() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["False", "3 [3, 2, 1]", ""]


def test_too_late_is_said() -> None:
    jax.devices()
    with pytest.raises(RuntimeError, match="jax_num_cpu_devices"):
        cpu_devices(5)


@pytest.mark.parametrize(("batch", "used"), [(2, 2), (16, 2), (1, 1), (17, 1)])
def test_a_mesh_has_as_many_devices_as_divide_the_batch(batch: int, used: int) -> None:
    mesh, notices = episode_mesh(batch)
    assert mesh.size == used
    assert len(notices) == (used < 2)
    assert mesh.axis_names == ("episodes",)
    assert copy_to(jnp.ones(3), mesh).sharding.is_fully_replicated


def test_block_returns_what_it_waited_for() -> None:
    mesh, _ = episode_mesh(2)
    array = copy_to(jnp.ones(3), mesh)
    assert block({"a": array}, mesh)["a"] is array


CROWDED = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from fastslow.training import parallel
parallel.cpu_devices(2)
from fastslow.baselines.gp_oracle import GPOracle
from fastslow.tasks.gaussian_process import GaussianProcessConfig
from fastslow.training.evaluate import evaluate_all
config = GaussianProcessConfig()
oracle = GPOracle(config, config.spec.metrics)
found = evaluate_all(oracle, None, config.build().test, episodes=40, batch=20)
print({figure.total.shape[:2] for figure in found.values()})
"""


def test_devices_do_not_wait_for_each_other_for_ever() -> None:
    # as many devices as threads, and matrices to be factored on both
    done = subprocess.run([sys.executable, "-c", CROWDED], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "{(1, 40)}\n"), done.stderr[-2000:]


HOST = """
import sys
from fastslow.training import parallel
parallel.cpu_devices(1)
parallel.join_hosts(f"localhost:{sys.argv[1]}", 2, int(sys.argv[2]))
import jax
import numpy as np
from tests.training.toy import blobs, softmax
from fastslow.training.config import TrainingConfig
from fastslow.training.loop import fit, run_to_end
config = TrainingConfig(steps=6, batch=4, log_every=6, validate_every=6, validation_episodes=8, checkpoint_every=6)
state = run_to_end(fit(softmax(), blobs(), config, validation=blobs()))
weight = np.asarray(state.learner.params["weight"]).ravel()
print(jax.device_count(), jax.local_device_count(), *(f"{w:.5f}" for w in weight))
"""


def test_two_hosts_train_as_one_with_two_devices() -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    start = lambda host: subprocess.Popen(
        [sys.executable, "-c", HOST, port, host], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    hosts = [start("0"), start("1")]
    told = [host.communicate(timeout=120)[0].splitlines()[-1].split() for host in hosts]
    config = TrainingConfig(steps=6, batch=4, log_every=6, validate_every=6, validation_episodes=8, checkpoint_every=6)
    state = run_to_end(fit(softmax(), blobs(), config, validation=blobs()))
    for found in told:
        assert found[:2] == ["2", "1"]
        np.testing.assert_allclose(
            [float(w) for w in found[2:]], np.ravel(state.learner.params["weight"]), rtol=1e-4, atol=2e-5
        )
