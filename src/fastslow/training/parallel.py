"""Devices: the episodes of a batch are sharded over them, all else is replicated. One path for one or many."""

import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

AXIS = "episodes"
"""Name of the mesh's only axis."""


def cpu_devices(count: int | None = None) -> None:
    """Makes several JAX devices of the CPU, so that a batch is shared among its cores.

    To be called before JAX is first used; the command line does so, importing the library never does.

    Args:
        count: number of devices; None for one a core that this process may run on.

    Raises:
        RuntimeError: where JAX is already running.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jax.config.update("jax_num_cpu_devices", count or cores)


def join_hosts(coordinator: str | None = None, hosts: int | None = None, host: int | None = None) -> None:
    """Joins this process to a training that spans several hosts; to be called before JAX is first used.

    After it, `jax.devices()` holds the devices of all hosts and the same program runs on each of them.

    Args:
        coordinator: `address:port` of host 0; None where a scheduler that JAX knows (Slurm, Open MPI, …) tells it.
        hosts: number of processes.
        host: number of this process.
    """
    jax.distributed.initialize(coordinator, hosts, host)


def episode_mesh(batch: int, devices: Sequence[Any] | None = None) -> tuple[Mesh, tuple[str, ...]]:
    """The devices that share a batch.

    Args:
        batch: episodes to share.
        devices: the devices to choose from; None for all.

    Returns:
        A mesh over as many devices as divide the batch, and a sentence where that is not all of them.
    """
    found = list(jax.devices() if devices is None else devices)
    used = max(n for n in range(1, len(found) + 1) if batch % n == 0)
    notice = (
        f"A batch of {batch} episodes does not divide by {len(found)} devices: it runs on {used}; "
        f"a multiple of {len(found)} would use all."
    )
    # Not `jax.make_mesh`: its axes are of the explicit type, which asks every operation for its sharding.
    return Mesh(np.array(found[:used]), (AXIS,)), (notice,) if used < len(found) else ()


def shard(tree: PyTree, mesh: Mesh) -> PyTree:
    """Inside a compiled function: shards the leading axis of every array over the devices."""
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec(AXIS)))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Inside a compiled function: the same arrays on every device."""
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))


def copy_to(tree: PyTree, mesh: Mesh) -> PyTree:
    """Outside of one: puts a copy of every array onto every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def block(result: PyTree, mesh: Mesh) -> PyTree:
    """Waits for a result where the host must not run ahead of the devices, and returns it.

    Devices made of one CPU share a pool with as many threads as there are cores. A second program that is dispatched
    while the first one waits for a sum over devices can take the thread that the first one needs, and both wait for
    ever. Waiting costs half a millisecond a step. GPUs, and a CPU that is one device, do not need it.
    """
    shared = mesh.size > 1 and mesh.devices.flat[0].platform == "cpu"
    return jax.block_until_ready(result) if shared else result
