"""Devices: made by the command line alone, and shared as evenly as a batch allows."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from fastslow.training.parallel import copy_to, cpu_devices, episode_mesh, settle

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


def test_settle_hands_on_what_it_waited_for() -> None:
    mesh, _ = episode_mesh(2)
    array = copy_to(jnp.ones(3), mesh)
    assert settle({"a": array}, mesh)["a"] is array
