"""Options of XLA's compiler for the programs of a run (decision 018)."""

from typing import Any

import jax
from jax.sharding import Mesh

from ..tasks.base import AbstractTask

EFFORT = {"xla_backend_optimization_level": 1}
NO_EMITTERS = {"xla_cpu_use_fusion_emitters": False}


def compiler_options(task: AbstractTask, mesh: Mesh) -> dict[str, Any] | None:
    """What programs over a task's episodes are compiled with.

    On CPUs, optimisation level 1 compiles faster, and its programs are as fast. Fusion emitters make networks of images
    slower, and loops over sequences faster.

    Args:
        task: what the program draws episodes from.
        mesh: what it runs on.

    Returns:
        None for the compiler's own: on other devices, and where JAX is set to compile with least effort.
    """
    on_cpus = all(device.platform == "cpu" for device in mesh.devices.flat)
    if not on_cpus or jax.config.read("jax_disable_most_optimizations"):
        return None
    return EFFORT if task.sequential else EFFORT | NO_EMITTERS


__all__ = ["compiler_options"]
