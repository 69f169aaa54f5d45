"""What the command line does before JAX starts."""

import contextlib
import os

from ..training.parallel import cpu_devices


def use_all_cores() -> None:
    """Makes a JAX device of each core; leaves alone what the user has set, and a JAX that is already running."""
    if "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    with contextlib.suppress(RuntimeError):
        cpu_devices()
