"""The command line with a small task in place of generated characters, which take long to compile.

As a program it is `fastslow` with that task: `python toy.py train smoke …`.
"""

import sys
from functools import cache

import numpy as np

PLACES = ("fastslow.experiments.pipeline", "fastslow.experiments.fast_slow.main", "fastslow.cli.models")
"""Modules that call `build_tasks`."""


@cache
def patterns():
    """Tasks over noisy copies of a few random patterns; the three splits share none."""
    from fastslow.tasks.omniglot import task_from_arrays
    from fastslow.tasks.splits import TaskSplits

    rng = np.random.default_rng(0)

    def task():
        classes = (rng.random((8, 1, 28, 28)) < 0.2).astype(np.float32)
        noisy = np.abs(classes - (rng.random((8, 4, 28, 28)) < 0.05))
        return task_from_arrays(list(noisy.astype(np.float32)), way=5, shot=1, queries=1, ink="light")

    return TaskSplits(task(), task(), task(), name="patterns", split="8 each", sha256="0" * 64)


def put_in_place(replace):
    """Puts the task where the command line looks for one; `replace` sets a dotted name to a value."""
    for place in PLACES:
        replace(f"{place}.build_tasks", lambda config: patterns())


if __name__ == "__main__":
    import importlib

    from fastslow.cli.main import main

    def replace(name, value):
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)

    # the program that it stands for starts JAX later
    from fastslow.cli.start import use_all_cores

    use_all_cores()
    put_in_place(replace)
    sys.exit(main())
